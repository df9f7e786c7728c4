/* For Intel's processors with AMX-BF16, which multiply so fast that nothing is to be saved by transforms: a 3x3 convolution is
 * nine products of cells' neighbours, added up in tiles: registers of up to 16 rows of 64 bytes, of which one
 * instruction adds A [rows][32 bf16] times B [16 pairs][16 columns] to C [rows][16 floats]. The rows of A are
 * consecutive cells. (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.) */
#define KERNEL           kernel_amx
#define KERNEL_NAME      "amx"
#define KERNEL_ID        "direct-bf16/amx"
#define KERNEL_PRECISION KERNEL_BF16
#define VECTOR_LANES     16
#define KERNEL_VECTORS   2
/* Of the products outside the convolutions, in fp32 as in kernel_avx512.c. */
#define KERNEL_ROWS_1 16
#define KERNEL_ROWS_2 12

#define VECTOR_MAX         _mm512_max_ps
#define VECTOR_NONZERO(x)  _mm512_test_epi32_mask((__m512i)(x), (__m512i)(x))
#define KERNEL_JOIN        join
#define KERNEL_STEPS       TILE_PAIRS
#define KERNEL_CELLS       tiles_positions
#define KERNEL_CELLS_BEGIN tiles_begin
#define KERNEL_CELLS_END   _tile_release

#include <cpuid.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trainer/net/kernel.h"
#include "trainer/net/vector.h"

enum {
    POINTS = 9,
    TILE_ROWS = 16,
    TILE_PAIRS = 16,
    TILE_LANES = 16,
    TILE_BYTES = 64,             /* of a row */
    REQUEST_PERMISSION = 0x1023, /* ARCH_REQ_XCOMP_PERM of arch_prctl(2) */
    TILE_DATA = 18,              /* the state it is asked for */
    TILES_LEFT = 6,              /* of sums (0 to 3) and rows (4, 5); weights are in 6 and 7 */
    TILES = 8,
};

/* The flags amx_bf16 and amx_tile of the processor, by whose names not every compiler knows them. */
static bool has_tiles(void)
{
    const unsigned flags = 1U << 22U | 1U << 24U;
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & flags) == flags;
}

/* Linux gives a process tiles only if it asks, once; threads and children inherit them. A Linux without them (before 5.16), or
 * a filter of system calls, says no. */
static bool can_run(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma") && has_tiles() &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

INLINE vec join(vec low, vec high)
{
    return (vec)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* A panel of consecutive rows on both sides. */
struct panel {
    const float *v;
    float *m;
};

/* Two panels by two vectors of columns, or one of either. Where `ahead` is set, as much as is read of u is fetched from
 * there into the second cache. */
INLINE void tiles_product(const struct kernel_cells *p, const struct panel *first,
                          const struct panel *second, bool two_vectors, const float *ahead)
{
    const float *u = p->u;
    size_t row = (size_t)p->vectors * TILE_LANES;
    ptrdiff_t line = (ptrdiff_t)p->winograd->width + 1;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int point = 0; point < POINTS; point++) {
        ptrdiff_t at = ((point / 3 - 1) * line + point % 3 - 1) * TILE_LANES;
        for (uint32_t i = 0; i < p->n_in; i += TILE_PAIRS) {
            _tile_loadd(4, first->v + at, TILE_BYTES);
            _tile_loadd(6, u, TILE_BYTES);
            _tile_dpbf16ps(0, 4, 6);
            if (two_vectors) {
                _tile_loadd(7, u + (size_t)TILE_PAIRS * TILE_LANES, TILE_BYTES);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (second != NULL) {
                _tile_loadd(5, second->v + at, TILE_BYTES);
                _tile_dpbf16ps(2, 5, 6);
                if (two_vectors) {
                    _tile_dpbf16ps(3, 5, 7);
                }
            }
            if (ahead != NULL) {
                for (size_t k = 0; k < TILE_PAIRS * row; k += TILE_LANES) {
                    __builtin_prefetch(ahead + k, 0, 2);
                }
                ahead += TILE_PAIRS * row;
            }
            at += (ptrdiff_t)p->v_block;
            u += TILE_PAIRS * row;
        }
    }
    _tile_stored(0, first->m, row * sizeof(float));
    if (two_vectors) {
        _tile_stored(1, first->m + TILE_LANES, row * sizeof(float));
    }
    if (second != NULL) {
        _tile_stored(2, second->m, row * sizeof(float));
        if (two_vectors) {
            _tile_stored(3, second->m + TILE_LANES, row * sizeof(float));
        }
    }
}

static void configure(uint32_t height)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < TILES; i++) {
        config.row_bytes[i] = TILE_BYTES;
        config.rows[i] = (uint8_t)(i < TILES_LEFT ? height : TILE_PAIRS);
    }
    _tile_loadconfig(&config);
}

/* A position's rows are cut into panels of the same height, because the tiles are configured once: it takes as long as a
 * dozen of their products. Where they do not divide the rows the last one overlaps the one before, and writes the same
 * bits once more. */
struct cut {
    uint32_t panels, height;
};

static struct cut cut_of(const struct winograd *w)
{
    const uint32_t panels = (w->outcome_rows + TILE_ROWS - 1) / TILE_ROWS;
    return (struct cut){panels, (w->outcome_rows + panels - 1) / panels};
}

static void tiles_begin(const struct kernel_cells *p)
{
    configure(cut_of(p->winograd).height);
}

/* The i-th panel of two positions, that one and the next. */
static struct panel panel_of(const struct kernel_cells *p, struct cut cut, uint32_t position,
                             uint32_t i)
{
    const struct winograd *w = p->winograd;
    const size_t behind = i < cut.panels ? 0 : 1;
    uint32_t row = (i < cut.panels ? i : i - cut.panels) * cut.height;
    uint32_t last = w->outcome_rows - cut.height;
    row = row < last ? row : last;
    return (struct panel){
        p->v + ((position + behind) * w->left_rows + row) * TILE_LANES,
        p->m + (behind * w->outcome_rows + row) * p->vectors * TILE_LANES,
    };
}

INLINE void all_panels(const struct kernel_cells *p, uint32_t position, uint32_t n,
                       bool two_vectors)
{
    const struct cut cut = cut_of(p->winograd);
    const uint32_t n_panels = n * cut.panels;
    const float *ahead =
        position > 0 ? NULL : p->u + (size_t)POINTS * p->n_in * p->vectors * TILE_LANES;
    for (uint32_t i = 0; i < n_panels; i += 2) {
        const struct panel first = panel_of(p, cut, position, i);
        if (i + 1 < n_panels) {
            const struct panel second = panel_of(p, cut, position, i + 1);
            tiles_product(p, &first, &second, two_vectors, ahead);
        } else {
            tiles_product(p, &first, NULL, two_vectors, ahead);
        }
        ahead = NULL;
    }
}

static void tiles_positions(const struct kernel_cells *p, uint32_t position, uint32_t n)
{
    if (p->vectors == 2) {
        all_panels(p, position, n, true);
    } else {
        all_panels(p, position, n, false);
    }
}

#include "trainer/net/kernel_template.h"
