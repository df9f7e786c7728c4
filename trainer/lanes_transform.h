/* The transposes of Winograd's transforms (trainer/net/winograd_lines.h), which carry gradients back: B v of points to
 * inputs, A y of outputs to points; included by lanes_template.h alone. */
#include "trainer/net/winograd_lines.h"

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

#define BY_TILE(name)                                            \
    INLINE void name##_back(int tile, const vec *from, vec *ret) \
    {                                                            \
        if (tile == 7) {                                         \
            name##7_back(from, ret);                             \
        } else if (tile == 6) {                                  \
            name##6_back(from, ret);                             \
        } else {                                                 \
            name##4_back(from, ret);                             \
        }                                                        \
    }
BY_TILE(points)
BY_TILE(outputs)
