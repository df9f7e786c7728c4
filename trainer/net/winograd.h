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

/* How large the tiles are. The points of large ones are sums with large factors that cancel on the way back: with products of
 * numbers of few bits (bf16), F(6x7) leaves a mean error of 0.08 in v where F(3x4) leaves 0.008 (a trained 4x32). */
enum winograd_size {
    WINOGRAD_LARGE,
    WINOGRAD_SMALL,
    WINOGRAD_CELLS, /* F(1x1): no transform, a cell's points are it and its 8 neighbours; the product adds them up */
};

/* The kernels are compiled for these boards; ANY is for all others. */
enum winograd_shape {
    WINOGRAD_6X7,
    WINOGRAD_8X8,
    WINOGRAD_ANY,
    WINOGRAD_SINGLE, /* cells, of any board */
    WINOGRAD_SHAPES
};

struct winograd {
    enum winograd_shape shape;
    uint32_t height, width;           /* of the board */
    uint32_t tile_height, tile_width; /* outputs of a tile: 1, 3, 4, 6 or 7 */
    uint32_t tiles_down, tiles_across, tiles;
    uint32_t points; /* (tile_height + 2) * (tile_width + 2) */
    /* A product's rows. Of tiles: both sides have one a tile, for each point. Of cells: the left side is stored once, each
     * board with a column and a row of zeros behind it, and `edge` zeros before and behind all boards, so that a
     * neighbour is a fixed number of rows away; the outcome has the rows of the board, with the column. */
    uint32_t left_rows, edge, outcome_rows; /* left_rows, outcome_rows: of one position */
    bool summed;                            /* of cells */
};

void winograd_init(struct winograd *w, uint32_t height, uint32_t width, enum winograd_size size);
/* G of F(tile, 3), [tile + 2][3]; tile as above. */
const double (*winograd_matrix(uint32_t tile))[3];
/* ret[point] = G filter G^T of one 3x3 filter, times scale. */
void winograd_filter(const struct winograd *w, const float filter[9], double scale,
                     float ret[WINOGRAD_MAX_POINTS]);

#endif
