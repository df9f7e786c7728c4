#include "daemon/qzctl/sparkline.h"

#include <math.h>
#include <string.h>

enum { LEVELS = 8 };

static const char *const blocks[LEVELS] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                           "\u2585", "\u2586", "\u2587", "\u2588"};
static const char *const letters[LEVELS] = {"_", ".", ":", "-", "=", "+", "*", "#"};

/* Mean of the values of a cell; NaN: there is none. */
static double cell_of(const double *values, uint32_t n, uint32_t cells, uint32_t cell)
{
    uint64_t from = (uint64_t)cell * n / cells;
    uint64_t to = (uint64_t)(cell + 1) * n / cells;
    double sum = 0;
    uint32_t known = 0;
    for (uint64_t i = from; i < to; i++) {
        if (isfinite(values[i])) {
            sum += values[i];
            known++;
        }
    }
    return known == 0 ? (double)NAN : sum / known;
}

uint32_t sparkline(const double *values, uint32_t n, uint32_t width, bool utf8, char *ret,
                   size_t size)
{
    uint32_t cells = n < width ? n : width;
    double least = INFINITY;
    double greatest = -INFINITY;
    size_t used = 0;

    for (uint32_t i = 0; i < cells; i++) {
        double value = cell_of(values, n, cells, i);
        least = value < least ? value : least;
        greatest = value > greatest ? value : greatest;
    }
    for (uint32_t i = 0; i < cells; i++) {
        double value = cell_of(values, n, cells, i);
        const char *cell = " ";
        if (!isnan(value)) {
            double share = greatest > least ? (value - least) / (greatest - least) : 0.5;
            int level = (int)(share * (LEVELS - 1) + 0.5);
            cell = utf8 ? blocks[level] : letters[level];
        }
        size_t length = strlen(cell);
        if (used + length >= size) {
            cells = i;
            break;
        }
        memcpy(ret + used, cell, length);
        used += length;
    }
    if (size > 0) {
        ret[used] = '\0';
    }
    return cells;
}
