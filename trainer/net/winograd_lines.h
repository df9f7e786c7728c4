/* Winograd's transforms in one direction, on vectors: of inputs to points (B^T d) and of points to outputs (A^T m). The
 * points are 0, 1, -1, 2, infinity for tiles of 3; 0, 1, -1, 2, -2, infinity for those of 4; besides 1/2, -1/2 for those of 6;
 * and 3/4 for those of 7 (winograd.c has G, and where they come from). */
#ifndef TRAINER_NET_WINOGRAD_LINES_H
#define TRAINER_NET_WINOGRAD_LINES_H

#include "trainer/net/vector.h"

/* B^T d of F(3, 3): 5 inputs to 5 points. */
INLINE void points3(const vec *d, vec *ret)
{
    ret[0] = 2.0F * (d[0] - d[2]) + (d[3] - d[1]);
    ret[1] = d[3] - d[2] - 2.0F * d[1];
    ret[2] = d[3] - 3.0F * d[2] + 2.0F * d[1];
    ret[3] = d[3] - d[1];
    ret[4] = 2.0F * (d[1] - d[3]) + (d[4] - d[2]);
}

/* B^T d of F(4, 3): 6 inputs to 6 points. */
INLINE void points4(const vec *d, vec *ret)
{
    vec a = d[4] - 4.0F * d[2];
    vec b = d[3] - 4.0F * d[1];
    vec c = d[4] - d[2];
    vec e = 2.0F * (d[3] - d[1]);
    ret[0] = 4.0F * d[0] + (d[4] - 5.0F * d[2]);
    ret[1] = a + b;
    ret[2] = a - b;
    ret[3] = c + e;
    ret[4] = c - e;
    ret[5] = 4.0F * d[1] + (d[5] - 5.0F * d[3]);
}

/* B^T d of F(6, 3): 8 inputs to 8 points. */
INLINE void points6(const vec *d, vec *ret)
{
    vec a = d[2] - 4.25F * d[4] + d[6];
    vec b = d[1] - 4.25F * d[3] + d[5];
    vec c = 0.25F * d[2] - 1.25F * d[4] + d[6];
    vec e = 0.5F * d[1] - 2.5F * d[3] + 2.0F * d[5];
    vec f = 4.0F * d[2] - 5.0F * d[4] + d[6];
    vec g = 2.0F * d[1] - 2.5F * d[3] + 0.5F * d[5];
    ret[0] = d[0] - d[6] + 5.25F * (d[4] - d[2]);
    ret[1] = a + b;
    ret[2] = a - b;
    ret[3] = c + e;
    ret[4] = c - e;
    ret[5] = f + g;
    ret[6] = f - g;
    ret[7] = d[7] - d[1] + 5.25F * (d[3] - d[5]);
}

/* A^T m of F(3, 3): 5 points to 3 outputs. */
INLINE void outputs3(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    ret[0] = m[0] + a + m[3];
    ret[1] = m[1] - m[2] + 2.0F * m[3];
    ret[2] = a + 4.0F * m[3] + m[4];
}

/* A^T m of F(4, 3): 6 points to 4 outputs. */
INLINE void outputs4(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    vec b = m[1] - m[2];
    vec c = m[3] + m[4];
    vec d = m[3] - m[4];
    ret[0] = m[0] + a + c;
    ret[1] = b + 2.0F * d;
    ret[2] = a + 4.0F * c;
    ret[3] = b + 8.0F * d + m[5];
}

/* A^T m of F(6, 3): 8 points to 6 outputs. */
INLINE void outputs6(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    vec b = m[1] - m[2];
    vec c = m[3] + m[4];
    vec d = m[3] - m[4];
    vec e = m[5] + m[6];
    vec f = m[5] - m[6];
    ret[0] = m[0] + a + c + e;
    ret[1] = b + 2.0F * d + 0.5F * f;
    ret[2] = a + 4.0F * c + 0.25F * e;
    ret[3] = b + 8.0F * d + 0.125F * f;
    ret[4] = a + 16.0F * c + 0.0625F * e;
    ret[5] = b + 32.0F * d + 0.03125F * f + m[7];
}

/* Both of F(7, 3): its points are those of F(6, 3) and a = 3/4. For all but a, B^T d is that of F(6, 3) over the
 * differences d[i + 1] - a d[i]. */
#define EXTRA_POINT 0.75F

INLINE void points7(const vec *d, vec *ret)
{
    vec e[8];
    UNROLL for (int i = 0; i < 8; i++)
    {
        e[i] = d[i + 1] - EXTRA_POINT * d[i];
    }
    points6(e, ret);
    ret[8] = d[7] - d[1] + 5.25F * (d[3] - d[5]);
}

INLINE void outputs7(const vec *m, vec *ret)
{
    vec a = m[1] + m[2];
    vec b = m[1] - m[2];
    vec c = m[3] + m[4];
    vec d = m[3] - m[4];
    vec e = m[5] + m[6];
    vec f = m[5] - m[6];
    vec g = m[8];
    ret[0] = m[0] + a + c + e + g;
    g *= EXTRA_POINT;
    ret[1] = b + 2.0F * d + 0.5F * f + g;
    g *= EXTRA_POINT;
    ret[2] = a + 4.0F * c + 0.25F * e + g;
    g *= EXTRA_POINT;
    ret[3] = b + 8.0F * d + 0.125F * f + g;
    g *= EXTRA_POINT;
    ret[4] = a + 16.0F * c + 0.0625F * e + g;
    g *= EXTRA_POINT;
    ret[5] = b + 32.0F * d + 0.03125F * f + g;
    g *= EXTRA_POINT;
    ret[6] = a + 64.0F * c + 0.015625F * e + g + m[7];
}

INLINE void points(int tile, const vec *d, vec *ret)
{
    if (tile == 7) {
        points7(d, ret);
    } else if (tile == 6) {
        points6(d, ret);
    } else if (tile == 3) {
        points3(d, ret);
    } else {
        points4(d, ret);
    }
}

INLINE void outputs(int tile, const vec *m, vec *ret)
{
    if (tile == 7) {
        outputs7(m, ret);
    } else if (tile == 6) {
        outputs6(m, ret);
    } else if (tile == 3) {
        outputs3(m, ret);
    } else {
        outputs4(m, ret);
    }
}

#endif
