#include "trainer/net/winograd.h"

#include <stddef.h>

/* G of F(1, 3), whose points are the inputs; of F(3, 3) at the points 0, 1, -1, 2, infinity, of F(4, 3) at 0, 1, -1, 2, -2, infinity and of F(6, 3) at 0, 1, -1, 2, -2, 1/2, -1/2, infinity. The
 * other two matrices stand in kernel_template.h. */
static const double filter1[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
static const double filter3[5][3] = {
    {1.0 / 2, 0, 0},
    {-1.0 / 2, -1.0 / 2, -1.0 / 2},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 6, 1.0 / 3, 2.0 / 3},
    {0, 0, 1},
};
static const double filter4[6][3] = {
    {1.0 / 4, 0, 0},
    {-1.0 / 6, -1.0 / 6, -1.0 / 6},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6},
    {1.0 / 24, -1.0 / 12, 1.0 / 6},
    {0, 0, 1},
};
/* F(7, 3) has the points of F(6, 3) and a = 3/4: its rows are those of F(6, 3) divided by (point - a), infinity's
 * as it is, and a's 1, a, a^2 divided by the product of (a - point) over the other finite points. */
#define A       0.75
#define PRODUCT (A * (A * A - 1.0) * (A * A - 4.0) * (A * A - 0.25))
static const double filter7[9][3] = {
    {1 / (0 - A), 0, 0},
    {-2.0 / 9 / (1 - A), -2.0 / 9 / (1 - A), -2.0 / 9 / (1 - A)},
    {-2.0 / 9 / (-1 - A), 2.0 / 9 / (-1 - A), -2.0 / 9 / (-1 - A)},
    {1.0 / 90 / (2 - A), 1.0 / 45 / (2 - A), 2.0 / 45 / (2 - A)},
    {1.0 / 90 / (-2 - A), -1.0 / 45 / (-2 - A), 2.0 / 45 / (-2 - A)},
    {32.0 / 45 / (0.5 - A), 16.0 / 45 / (0.5 - A), 8.0 / 45 / (0.5 - A)},
    {32.0 / 45 / (-0.5 - A), -16.0 / 45 / (-0.5 - A), 8.0 / 45 / (-0.5 - A)},
    {0, 0, 1},
    {1 / PRODUCT, A / PRODUCT, A *A / PRODUCT},
};
static const double filter6[8][3] = {
    {1, 0, 0},
    {-2.0 / 9, -2.0 / 9, -2.0 / 9},
    {-2.0 / 9, 2.0 / 9, -2.0 / 9},
    {1.0 / 90, 1.0 / 45, 2.0 / 45},
    {1.0 / 90, -1.0 / 45, 2.0 / 45},
    {32.0 / 45, 16.0 / 45, 8.0 / 45},
    {32.0 / 45, -16.0 / 45, 8.0 / 45},
    {0, 0, 1},
};

void winograd_init(struct winograd *w, uint32_t height, uint32_t width, enum winograd_size size)
{
    *w = (struct winograd){
        .shape = WINOGRAD_ANY, .height = height, .width = width, .tile_height = 4, .tile_width = 4};
    if (size == WINOGRAD_CELLS) {
        w->shape = WINOGRAD_SINGLE;
        w->tile_height = w->tile_width = 1;
    } else if (height == 6 && width == 7) {
        w->shape = WINOGRAD_6X7;
        w->tile_height = size == WINOGRAD_SMALL ? 3 : 6;
        w->tile_width = size == WINOGRAD_SMALL ? 4 : 7;
    } else if (height == 8 && width == 8) {
        w->shape = WINOGRAD_8X8;
    }
    w->tiles_down = (height + w->tile_height - 1) / w->tile_height;
    w->tiles_across = (width + w->tile_width - 1) / w->tile_width;
    w->tiles = w->tiles_down * w->tiles_across;
    w->points = (w->tile_height + 2) * (w->tile_width + 2);
    w->left_rows = w->outcome_rows = w->tiles;
    if (size == WINOGRAD_CELLS) {
        w->summed = true;
        w->left_rows = (height + 1) * (width + 1);
        w->edge = width + 2;
        w->outcome_rows = height * (width + 1);
    }
}

const double (*winograd_matrix(uint32_t tile))[3]
{
    return tile == 7   ? filter7
           : tile == 6 ? filter6
           : tile == 3 ? filter3
           : tile == 1 ? filter1
                       : filter4;
}

void winograd_filter(const struct winograd *w, const float filter[9], double scale,
                     float ret[WINOGRAD_MAX_POINTS])
{
    const double(*down)[3] = winograd_matrix(w->tile_height);
    const double(*across)[3] = winograd_matrix(w->tile_width);
    for (size_t i = 0; i < w->tile_height + 2; i++) {
        double row[3]; /* of G filter */
        for (size_t x = 0; x < 3; x++) {
            row[x] = 0;
            for (size_t y = 0; y < 3; y++) {
                row[x] += down[i][y] * (double)filter[y * 3 + x];
            }
        }
        for (size_t j = 0; j < w->tile_width + 2; j++) {
            double sum = across[j][0] * row[0] + across[j][1] * row[1] + across[j][2] * row[2];
            *ret++ = (float)(sum * scale);
        }
    }
}
