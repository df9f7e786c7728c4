/* A row of numbers as a row of bars, one character each. */
#ifndef DAEMON_SPARKLINE_H
#define DAEMON_SPARKLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPARKLINE_CELL_BYTES = 3 }; /* of UTF-8 */

/* Draw n values, oldest first, in at most `width` cells, scaled from the least to the greatest. More values than
 * cells: each cell is the mean of its share of them, the last one of the newest. NaN, and a cell of NaNs only, is a
 * blank. utf8: block elements, else ASCII. Returns the number of cells; ret is cut to `size`. */
uint32_t sparkline(const double *values, uint32_t n, uint32_t width, bool utf8, char *ret,
                   size_t size);

#endif
