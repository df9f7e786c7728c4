/* Winograd's transforms of one vector of positions, there and back; included by lanes_template.h
 * alone. Inner functions are inlined with constant sizes, so that each size becomes straight code
 * on registers. The points are 0, 1, -1, 2, -2, infinity for tiles of 4; besides 1/2, -1/2 for
 * those of 6; and 3/4 for those of 7 (trainer/net/winograd.c has G). Each *_back is the transpose
 * of its other. */

/* ---- in one direction: B^T d and its transpose B v; A^T m and A y ---- */

INLINE void points4(const vec *d, vec *ret)
{
    const vec a = d[4] - 4.0F * d[2];
    const vec b = d[3] - 4.0F * d[1];
    const vec c = d[4] - d[2];
    const vec e = 2.0F * (d[3] - d[1]);
    ret[0] = 4.0F * d[0] + (d[4] - 5.0F * d[2]);
    ret[1] = a + b;
    ret[2] = a - b;
    ret[3] = c + e;
    ret[4] = c - e;
    ret[5] = 4.0F * d[1] + (d[5] - 5.0F * d[3]);
}

INLINE void points4_back(const vec *v, vec *ret)
{
    const vec p = v[1] + v[2];
    const vec q = v[1] - v[2];
    const vec r = v[3] + v[4];
    const vec s = v[3] - v[4];
    ret[0] = 4.0F * v[0];
    ret[1] = 4.0F * (v[5] - q) - 2.0F * s;
    ret[2] = -5.0F * v[0] - 4.0F * p - r;
    ret[3] = q + 2.0F * s - 5.0F * v[5];
    ret[4] = v[0] + p + r;
    ret[5] = v[5];
}

INLINE void outputs4(const vec *m, vec *ret)
{
    const vec a = m[1] + m[2];
    const vec b = m[1] - m[2];
    const vec c = m[3] + m[4];
    const vec d = m[3] - m[4];
    ret[0] = m[0] + a + c;
    ret[1] = b + 2.0F * d;
    ret[2] = a + 4.0F * c;
    ret[3] = b + 8.0F * d + m[5];
}

INLINE void outputs4_back(const vec *y, vec *ret)
{
    const vec even1 = y[0] + y[2];
    const vec odd1 = y[1] + y[3];
    const vec even2 = y[0] + 4.0F * y[2];
    const vec odd2 = 2.0F * y[1] + 8.0F * y[3];
    ret[0] = y[0];
    ret[1] = even1 + odd1;
    ret[2] = even1 - odd1;
    ret[3] = even2 + odd2;
    ret[4] = even2 - odd2;
    ret[5] = y[3];
}

INLINE void points6(const vec *d, vec *ret)
{
    const vec a = d[2] - 4.25F * d[4] + d[6];
    const vec b = d[1] - 4.25F * d[3] + d[5];
    const vec c = 0.25F * d[2] - 1.25F * d[4] + d[6];
    const vec e = 0.5F * d[1] - 2.5F * d[3] + 2.0F * d[5];
    const vec f = 4.0F * d[2] - 5.0F * d[4] + d[6];
    const vec g = 2.0F * d[1] - 2.5F * d[3] + 0.5F * d[5];
    ret[0] = d[0] - d[6] + 5.25F * (d[4] - d[2]);
    ret[1] = a + b;
    ret[2] = a - b;
    ret[3] = c + e;
    ret[4] = c - e;
    ret[5] = f + g;
    ret[6] = f - g;
    ret[7] = d[7] - d[1] + 5.25F * (d[3] - d[5]);
}

INLINE void points6_back(const vec *v, vec *ret)
{
    const vec p = v[1] + v[2];
    const vec q = v[1] - v[2];
    const vec r = v[3] + v[4];
    const vec s = v[3] - v[4];
    const vec t = v[5] + v[6];
    const vec u = v[5] - v[6];
    ret[0] = v[0];
    ret[1] = q + 0.5F * s + 2.0F * u - v[7];
    ret[2] = p + 0.25F * r + 4.0F * t - 5.25F * v[0];
    ret[3] = 5.25F * v[7] - 4.25F * q - 2.5F * (s + u);
    ret[4] = 5.25F * v[0] - 4.25F * p - 1.25F * r - 5.0F * t;
    ret[5] = q + 2.0F * s + 0.5F * u - 5.25F * v[7];
    ret[6] = p + r + t - v[0];
    ret[7] = v[7];
}

INLINE void outputs6(const vec *m, vec *ret)
{
    const vec a = m[1] + m[2];
    const vec b = m[1] - m[2];
    const vec c = m[3] + m[4];
    const vec d = m[3] - m[4];
    const vec e = m[5] + m[6];
    const vec f = m[5] - m[6];
    ret[0] = m[0] + a + c + e;
    ret[1] = b + 2.0F * d + 0.5F * f;
    ret[2] = a + 4.0F * c + 0.25F * e;
    ret[3] = b + 8.0F * d + 0.125F * f;
    ret[4] = a + 16.0F * c + 0.0625F * e;
    ret[5] = b + 32.0F * d + 0.03125F * f + m[7];
}

INLINE void outputs6_back(const vec *y, vec *ret)
{
    const vec even1 = y[0] + y[2] + y[4];
    const vec odd1 = y[1] + y[3] + y[5];
    const vec even2 = y[0] + 4.0F * y[2] + 16.0F * y[4];
    const vec odd2 = 2.0F * y[1] + 8.0F * y[3] + 32.0F * y[5];
    const vec even3 = y[0] + 0.25F * y[2] + 0.0625F * y[4];
    const vec odd3 = 0.5F * y[1] + 0.125F * y[3] + 0.03125F * y[5];
    ret[0] = y[0];
    ret[1] = even1 + odd1;
    ret[2] = even1 - odd1;
    ret[3] = even2 + odd2;
    ret[4] = even2 - odd2;
    ret[5] = even3 + odd3;
    ret[6] = even3 - odd3;
    ret[7] = y[5];
}

/* For all points but a = 3/4, B^T d of F(7, 3) is that of F(6, 3) over the differences d[i + 1] - a
 * d[i]. */
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

INLINE void points7_back(const vec *v, vec *ret)
{
    vec e[8];
    points6_back(v, e);
    ret[0] = -EXTRA_POINT * e[0];
    UNROLL for (int i = 1; i < 8; i++)
    {
        ret[i] = e[i - 1] - EXTRA_POINT * e[i];
    }
    ret[8] = e[7];
    ret[1] -= v[8];
    ret[3] += 5.25F * v[8];
    ret[5] -= 5.25F * v[8];
    ret[7] += v[8];
}

INLINE void outputs7(const vec *m, vec *ret)
{
    const vec a = m[1] + m[2];
    const vec b = m[1] - m[2];
    const vec c = m[3] + m[4];
    const vec d = m[3] - m[4];
    const vec e = m[5] + m[6];
    const vec f = m[5] - m[6];
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

INLINE void outputs7_back(const vec *y, vec *ret)
{
    outputs6_back(y, ret);
    const vec even[3] = {y[6], 64.0F * y[6], 0.015625F * y[6]};
    UNROLL for (int i = 0; i < 3; i++)
    {
        ret[2 * i + 1] += even[i];
        ret[2 * i + 2] += even[i];
    }
    ret[7] = y[6];
    vec sum = y[6];
    UNROLL for (int i = 5; i >= 0; i--)
    {
        sum = y[i] + EXTRA_POINT * sum;
    }
    ret[8] = sum;
}

#define BY_TILE(name, back)                                     \
    INLINE void name##back(int tile, const vec *from, vec *ret) \
    {                                                           \
        if (tile == 7) {                                        \
            name##7##back(from, ret);                           \
        } else if (tile == 6) {                                 \
            name##6##back(from, ret);                           \
        } else {                                                \
            name##4##back(from, ret);                           \
        }                                                       \
    }
BY_TILE(points, )
BY_TILE(points, _back)
BY_TILE(outputs, )
BY_TILE(outputs, _back)
