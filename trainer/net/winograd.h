/* Winograd's short convolutions F(m, 3): m outputs of a 3-tap filter by m + 2 multiplications, in both
 * directions of the board. What follows from the board's size: which tiles, how many; and the weights'
 * way into the points, done once when a net is loaded, in double. */
#ifndef TRAINER_NET_WINOGRAD_H
#define TRAINER_NET_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WINOGRAD_MAX_TILE = 7,
    WINOGRAD_MAX_POINTS = (WINOGRAD_MAX_TILE + 2) * (WINOGRAD_MAX_TILE + 2)
};

/* The kernels are compiled for these boards; the last is for all others. */
enum winograd_shape { WINOGRAD_6X7, WINOGRAD_8X8, WINOGRAD_ANY, WINOGRAD_SHAPES };

struct winograd {
    enum winograd_shape shape;
    uint32_t height, width;           /* of the board */
    uint32_t tile_height, tile_width; /* outputs of a tile: 3, 4, 6 or 7 */
    uint32_t tiles_down, tiles_across, tiles;
    uint32_t points; /* (tile_height + 2) * (tile_width + 2) */
};

/* coarse: the products are of numbers of few bits (bf16). The points of large tiles are sums with large factors that cancel
 * on the way back: on boards of 6x7, F(6x7) leaves a mean error of 0.08 in v where F(3x4) leaves 0.008 (a trained 4x32). */
void winograd_init(struct winograd *w, uint32_t height, uint32_t width, bool coarse);
/* G of F(tile, 3), [tile + 2][3]; tile as above. */
const double (*winograd_matrix(uint32_t tile))[3];
/* ret[point] = G filter G^T of one 3x3 filter, times scale. */
void winograd_filter(const struct winograd *w, const float filter[9], double scale,
                     float ret[WINOGRAD_MAX_POINTS]);

#endif
