/* The products, all by one text: sums of rows x vectors in registers over the inputs; part of kernel_template.h. */
#include "trainer/net/kernel_vector.h"

/* sum + v[0] weight, or the same of a pair of each. */
INLINE vec multiply_add(vec sum, const float *v, vec weight, bool pairs)
{
#ifdef KERNEL_PAIRS
    if (pairs) {
        return KERNEL_PAIRS(sum, v, weight);
    }
#endif
    (void)pairs;
    return sum + *v * weight;
}

/* Meanwhile a vector of `ahead` a step is fetched into the second cache: the weights of the next product, which follow
 * these. A processor's own prefetching stops where weights are used over again from the first cache, so that each
 * product would begin by waiting for the third: a fifth of the whole time on Intel's, whose third cache is far. */
INLINE void product_rows(const float *v, size_t v_block, const float *u, uint32_t n_in, float *m,
                         int rows, int vectors, bool pairs, const float *ahead)
{
    vec sums[16][KERNEL_VECTORS];
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int k = 0; k < vectors; k++)
        {
            sums[i][k] = zero();
        }
    }
    while (n_in > 0) {
        uint32_t n = n_in < LANES ? n_in : LANES;
        for (uint32_t c = 0; c < n; c++) {
            vec weight[KERNEL_VECTORS];
            UNROLL for (int k = 0; k < vectors; k++)
            {
                weight[k] = load(u + (size_t)k * LANES);
            }
            UNROLL for (int i = 0; i < rows; i++)
            {
                UNROLL for (int k = 0; k < vectors; k++)
                {
                    sums[i][k] =
                        multiply_add(sums[i][k], v + (uint32_t)(i * LANES) + c, weight[k], pairs);
                }
            }
            u += (size_t)vectors * LANES;
            __builtin_prefetch(ahead, 0, 2);
            ahead += LANES;
        }
        v += v_block;
        n_in -= n;
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int k = 0; k < vectors; k++)
        {
            store(m + (size_t)(i * vectors + k) * LANES, sums[i][k]);
        }
    }
}

/* A function for each number of rows, so that the last ones of a product are fast too: with few
 * positions they are all there is. */
#define ROWS_CASE(n)                                                                            \
    case (n):                                                                                   \
        if ((n) <= most) {                                                                      \
            product_rows(v, v_block, u, n_in, m, (n) <= most ? (n) : 1, vectors, pairs, ahead); \
        }                                                                                       \
        break;

/* A table of sixteen lines, whose first has nothing to choose.
 * NOLINTBEGIN(readability-function-cognitive-complexity,bugprone-branch-clone) */
INLINE void product_all(const float *v, size_t v_block, uint32_t n_rows, const float *u,
                        uint32_t n_in, float *m, int most, int vectors, bool pairs)
{
    uint32_t panels = (n_rows + (uint32_t)most - 1) / (uint32_t)most;
    const float *ahead = u + (size_t)n_in * (size_t)vectors * LANES;
    for (; panels > 0;
         panels--) { /* of even size: a last one of few rows would wait for its weights */
        uint32_t n = (n_rows + panels - 1) / panels;
        switch (n) {
            ROWS_CASE(1)
            ROWS_CASE(2)
            ROWS_CASE(3)
            ROWS_CASE(4)
            ROWS_CASE(5)
            ROWS_CASE(6)
            ROWS_CASE(7)
            ROWS_CASE(8)
            ROWS_CASE(9)
            ROWS_CASE(10)
            ROWS_CASE(11)
            ROWS_CASE(12)
            ROWS_CASE(13)
            ROWS_CASE(14)
            ROWS_CASE(15)
            ROWS_CASE(16)
        }
        v += (size_t)n * LANES;
        m += (size_t)n * (size_t)vectors * LANES;
        ahead += (size_t)n_in * LANES;
        n_rows -= n;
    }
}

/* NOLINTEND(readability-function-cognitive-complexity,bugprone-branch-clone) */

INLINE void product_any(const float *v, size_t v_block, uint32_t n_rows, const float *u,
                        uint32_t n_in, uint32_t vectors, float *m, bool pairs)
{
    switch (vectors) {
    case 1:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_1, 1, pairs);
        break;
    case 2:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_2, 2, pairs);
        break;
#if KERNEL_VECTORS > 2
    case 3:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_3, 3, pairs);
        break;
#endif
#if KERNEL_VECTORS > 3
    case 4:
        product_all(v, v_block, n_rows, u, n_in, m, KERNEL_ROWS_4, 4, pairs);
        break;
#endif
    }
}

static void product(const float *v, size_t v_block, uint32_t n_rows, const float *u, uint32_t n_in,
                    uint32_t vectors, float *m)
{
    product_any(v, v_block, n_rows, u, n_in, vectors, m, false);
}

#ifndef KERNEL_CELLS
static void product_points(const struct kernel_points *p)
{
#ifdef KERNEL_PAIRS
    const bool pairs = true;
#else
    const bool pairs = false;
#endif
    const float *v = p->v;
    const float *u = p->u;
    float *m = p->m;
    for (uint32_t point = 0; point < p->n_points; point++) {
        product_any(v, p->v_block, p->n_rows, u, p->n_in, p->vectors, m, pairs);
        v += p->v_point;
        u += (size_t)p->n_in * p->vectors * LANES;
        m += p->m_point;
    }
}
#endif
