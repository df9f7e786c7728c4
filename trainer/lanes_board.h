/* Winograd's transforms of a channel's board, one vector of positions at a time, there and back;
 * included by lanes_template.h alone. */

enum { SPAN = WINOGRAD_MAX_TILE + 2, MAX_WIDTH = 64 };

/* A board's and a tile's size, known to the compiler where there is a table entry for the board. */
struct sizes {
    int height, width, tile_height, tile_width;
};

INLINE int tiles_across(struct sizes s)
{
    return (s.width + s.tile_width - 1) / s.tile_width;
}

INLINE int tiles_down(struct sizes s)
{
    return (s.height + s.tile_height - 1) / s.tile_height;
}

INLINE vec read_input(const struct lanes_input *input, size_t at)
{
    const vec x = load(input->x + at);
    return input->norm ? relu(input->scale * x + input->shift) : x;
}

/* The points of one row of tiles. Columns are transformed once each; neighbouring tiles share them. */
INLINE void points_row(const struct lanes_input *input, struct sizes s, int top, float *v,
                       size_t v_point, size_t v_column)
{
    vec columns[SPAN][MAX_WIDTH]; /* [point down][column] */
    for (int column = 0; column < s.width; column++) {
        vec d[SPAN];
        vec p[SPAN];
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            const int row = top - 1 + i;
            d[i] = row >= 0 && row < s.height
                       ? read_input(input, (size_t)(row * s.width + column) * LANES)
                       : zero();
        }
        points(s.tile_height, d, p);
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            columns[i][column] = p[i];
        }
    }
    for (int t = 0; t < tiles_across(s); t++) {
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            vec d[SPAN];
            vec p[SPAN];
            UNROLL for (int j = 0; j < s.tile_width + 2; j++)
            {
                const int column = t * s.tile_width - 1 + j;
                d[j] = column >= 0 && column < s.width ? columns[i][column] : zero();
            }
            points(s.tile_width, d, p);
            UNROLL for (int j = 0; j < s.tile_width + 2; j++)
            {
                store(v + (size_t)t * v_column + (size_t)(i * (s.tile_width + 2) + j) * v_point,
                      p[j]);
            }
        }
    }
}

INLINE void points_board(const struct lanes_input *input, struct sizes s, float *v, size_t v_point,
                         size_t v_column)
{
    for (size_t part = 0; part < PARTS; part++) {
        struct lanes_input from = *input;
        from.x += part * VECTOR_LANES;
        for (int t = 0; t < tiles_down(s); t++) {
            points_row(&from, s, t * s.tile_height,
                       v + (size_t)(t * tiles_across(s)) * v_column + part * VECTOR_LANES, v_point,
                       v_column);
        }
    }
}

/* The transpose of points_board, into dx: the tiles' 2 cells of overlap are added up. `first`: the
 * row of tiles writes what no row above it has written.
 * Its loops are straight code once sizes are constants: NOLINTNEXTLINE(readability-function-cognitive-complexity) */
INLINE void points_back_row(const float *v, size_t v_point, size_t v_column, struct sizes s,
                            int top, bool first, bool add, float *dx)
{
    vec columns[SPAN][MAX_WIDTH];
    for (int t = 0; t < tiles_across(s); t++) {
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            vec p[SPAN];
            vec d[SPAN];
            UNROLL for (int j = 0; j < s.tile_width + 2; j++)
            {
                p[j] =
                    load(v + (size_t)t * v_column + (size_t)(i * (s.tile_width + 2) + j) * v_point);
            }
            points_back(s.tile_width, p, d);
            UNROLL for (int j = 0; j < s.tile_width + 2; j++)
            {
                const int column = t * s.tile_width - 1 + j;
                if (column >= 0 && column < s.width) {
                    /* the tile to the left has been there */
                    columns[i][column] = t > 0 && j < 2 ? (vec)(columns[i][column] + d[j]) : d[j];
                }
            }
        }
    }
    for (int column = 0; column < s.width; column++) {
        vec p[SPAN];
        vec d[SPAN];
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            p[i] = columns[i][column];
        }
        points_back(s.tile_height, p, d);
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            const int row = top - 1 + i;
            if (row >= 0 && row < s.height) {
                float *to = dx + (size_t)(row * s.width + column) * LANES;
                store(to, add || (!first && i < 2) ? (vec)(load(to) + d[i]) : d[i]);
            }
        }
    }
}

/* Sums over the cells of dx and of dx (x - pivot), where the relu let x through. */
INLINE void sink_sums(const struct lanes_sink *sink, int cells, size_t part)
{
    vec sum = zero();
    vec product = zero();
    for (int cell = 0; cell < cells; cell++) {
        const size_t at = (size_t)cell * LANES + part * VECTOR_LANES;
        const vec x = load(sink->x + at);
        vec g = load(sink->dx + at);
        if (sink->relu) {
            g = pass(sink->scale * x + sink->shift, g);
        }
        sum += g;
        product += g * (x - sink->pivot);
    }
    store(sink->sums + part * VECTOR_LANES, sum);
    store(sink->products + part * VECTOR_LANES, product);
}

INLINE void points_back_board(const float *v, size_t v_point, size_t v_column, struct sizes s,
                              const struct lanes_sink *sink)
{
    for (size_t part = 0; part < PARTS; part++) {
        for (int t = 0; t < tiles_down(s); t++) {
            points_back_row(v + (size_t)(t * tiles_across(s)) * v_column + part * VECTOR_LANES,
                            v_point, v_column, s, t * s.tile_height, t == 0, sink->add,
                            sink->dx + part * VECTOR_LANES);
        }
        if (sink->x != NULL) {
            sink_sums(sink, s.height * s.width, part);
        }
    }
}

/* One tile of outputs into y. */
INLINE void outputs_tile(const float *m, size_t m_point, struct sizes s, int top, int left,
                         float bias, float *y)
{
    vec rows[WINOGRAD_MAX_TILE][SPAN];
    UNROLL for (int j = 0; j < s.tile_width + 2; j++)
    {
        vec p[SPAN];
        vec o[SPAN];
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            p[i] = load(m + (size_t)(i * (s.tile_width + 2) + j) * m_point);
        }
        outputs(s.tile_height, p, o);
        UNROLL for (int i = 0; i < s.tile_height; i++)
        {
            rows[i][j] = o[i];
        }
    }
    UNROLL for (int i = 0; i < s.tile_height; i++)
    {
        vec o[SPAN];
        outputs(s.tile_width, rows[i], o);
        UNROLL for (int j = 0; j < s.tile_width; j++)
        {
            if (top + i < s.height && left + j < s.width) {
                store(y + ((size_t)(top + i) * (size_t)s.width + (size_t)(left + j)) * LANES,
                      o[j] + bias);
            }
        }
    }
}

/* Each position's mean over the cells and the sum of squares around it: two looks at what is in the
 * nearest cache, because one look loses the digits of a small variance beside a large mean. */
INLINE void moments_part(const float *x, int cells, float *means, float *squares)
{
    vec sum = zero();
    for (int cell = 0; cell < cells; cell++) {
        sum += load(x + (size_t)cell * LANES);
    }
    const vec mean = sum * (1.0F / (float)cells);
    vec square = zero();
    for (int cell = 0; cell < cells; cell++) {
        const vec d = load(x + (size_t)cell * LANES) - mean;
        square += d * d;
    }
    store(means, mean);
    store(squares, square);
}

INLINE void outputs_board(const float *m, size_t m_point, size_t m_column, struct sizes s,
                          float bias, float *y, float *means, float *squares)
{
    const int across = tiles_across(s);
    for (size_t part = 0; part < PARTS; part++) {
        for (int t = 0; t < tiles_down(s) * across; t++) {
            outputs_tile(m + (size_t)t * m_column + part * VECTOR_LANES, m_point, s,
                         t / across * s.tile_height, t % across * s.tile_width, bias,
                         y + part * VECTOR_LANES);
        }
        moments_part(y + part * VECTOR_LANES, s.height * s.width, means + part * VECTOR_LANES,
                     squares + part * VECTOR_LANES);
    }
}

INLINE vec read_gradient(const struct lanes_gradient *from, size_t cell, size_t part)
{
    const size_t at = cell * LANES + part * VECTOR_LANES;
    vec g = load(from->g + at);
    if (from->x == NULL) {
        return g;
    }
    const vec x = load(from->x + at);
    if (from->relu) {
        g = pass(from->scale * x + from->shift, g);
    }
    return load(from->a + part * VECTOR_LANES) * g +
           (load(from->b + part * VECTOR_LANES) * x + load(from->c + part * VECTOR_LANES));
}

/* The transpose of outputs_board: the points of the outputs' gradient. */
INLINE void outputs_back_tile(const struct lanes_gradient *from, struct sizes s, int top, int left,
                              size_t part, float *m, size_t m_point)
{
    vec columns[SPAN][WINOGRAD_MAX_TILE];
    UNROLL for (int j = 0; j < s.tile_width; j++)
    {
        vec y[WINOGRAD_MAX_TILE];
        vec p[SPAN];
        UNROLL for (int i = 0; i < s.tile_height; i++)
        {
            y[i] = top + i < s.height && left + j < s.width
                       ? read_gradient(
                             from, (size_t)(top + i) * (size_t)s.width + (size_t)(left + j), part)
                       : zero();
        }
        outputs_back(s.tile_height, y, p);
        UNROLL for (int i = 0; i < s.tile_height + 2; i++)
        {
            columns[i][j] = p[i];
        }
    }
    UNROLL for (int i = 0; i < s.tile_height + 2; i++)
    {
        vec p[SPAN];
        outputs_back(s.tile_width, columns[i], p);
        UNROLL for (int j = 0; j < s.tile_width + 2; j++)
        {
            store(m + (size_t)(i * (s.tile_width + 2) + j) * m_point, p[j]);
        }
    }
}

INLINE void outputs_back_board(const struct lanes_gradient *from, struct sizes s, float *m,
                               size_t m_point, size_t m_column)
{
    const int across = tiles_across(s);
    for (size_t part = 0; part < PARTS; part++) {
        for (int t = 0; t < tiles_down(s) * across; t++) {
            outputs_back_tile(from, s, t / across * s.tile_height, t % across * s.tile_width, part,
                              m + (size_t)t * m_column + part * VECTOR_LANES, m_point);
        }
    }
}

/* ---- filters ---- */

INLINE void filter_matrices(struct sizes s, float down[SPAN][3], float across[SPAN][3])
{
    const double(*from)[3] = winograd_matrix((uint32_t)s.tile_height);
    for (int i = 0; i < s.tile_height + 2; i++) {
        for (int k = 0; k < 3; k++) {
            down[i][k] = (float)from[i][k];
        }
    }
    from = winograd_matrix((uint32_t)s.tile_width);
    for (int j = 0; j < s.tile_width + 2; j++) {
        for (int k = 0; k < 3; k++) {
            across[j][k] = (float)from[j][k];
        }
    }
}

INLINE void filters_board(const float *f, struct sizes s, float *u, size_t u_point)
{
    float down[SPAN][3];
    float across[SPAN][3];
    filter_matrices(s, down, across);
    for (size_t part = 0; part < PARTS; part++) {
        for (int i = 0; i < s.tile_height + 2; i++) {
            vec row[3];
            UNROLL for (int x = 0; x < 3; x++)
            {
                const float *column = f + (size_t)x * LANES + part * VECTOR_LANES;
                row[x] = down[i][0] * load(column) + down[i][1] * load(column + (size_t)3 * LANES) +
                         down[i][2] * load(column + (size_t)6 * LANES);
            }
            for (int j = 0; j < s.tile_width + 2; j++) {
                store(u + (size_t)(i * (s.tile_width + 2) + j) * u_point + part * VECTOR_LANES,
                      across[j][0] * row[0] + across[j][1] * row[1] + across[j][2] * row[2]);
            }
        }
    }
}

INLINE void filters_back_board(const float *u, size_t u_point, struct sizes s, float *f)
{
    float down[SPAN][3];
    float across[SPAN][3];
    filter_matrices(s, down, across);
    for (size_t part = 0; part < PARTS; part++) {
        vec sums[9];
        UNROLL for (int k = 0; k < 9; k++)
        {
            sums[k] = zero();
        }
        for (int i = 0; i < s.tile_height + 2; i++) {
            vec row[3] = {zero(), zero(), zero()};
            for (int j = 0; j < s.tile_width + 2; j++) {
                const vec p =
                    load(u + (size_t)(i * (s.tile_width + 2) + j) * u_point + part * VECTOR_LANES);
                UNROLL for (int x = 0; x < 3; x++)
                {
                    row[x] += across[j][x] * p;
                }
            }
            UNROLL for (int k = 0; k < 9; k++)
            {
                sums[k] += down[i][k / 3] * row[k % 3];
            }
        }
        UNROLL for (int k = 0; k < 9; k++)
        {
            store(f + (size_t)k * LANES + part * VECTOR_LANES, sums[k]);
        }
    }
}

/* One board's entry of the table. */
#define TILE_FUNCTIONS(name, ...)                                                                  \
    static void points_##name(const struct winograd *w, const struct lanes_input *input, float *v, \
                              size_t v_point, size_t v_column)                                     \
    {                                                                                              \
        (void)w;                                                                                   \
        if (input->norm) {                                                                         \
            points_board(&(struct lanes_input){input->x, input->scale, input->shift, true},        \
                         (struct sizes){__VA_ARGS__}, v, v_point, v_column);                       \
        } else {                                                                                   \
            points_board(&(struct lanes_input){input->x, 0.0F, 0.0F, false},                       \
                         (struct sizes){__VA_ARGS__}, v, v_point, v_column);                       \
        }                                                                                          \
    }                                                                                              \
    static void outputs_##name(const struct winograd *w, const float *m, size_t m_point,           \
                               size_t m_column, float bias, float *y, float *means,                \
                               float *squares)                                                     \
    {                                                                                              \
        (void)w;                                                                                   \
        outputs_board(m, m_point, m_column, (struct sizes){__VA_ARGS__}, bias, y, means, squares); \
    }                                                                                              \
    static void outputs_back_##name(const struct winograd *w,                                      \
                                    const struct lanes_gradient *gradient, float *m,               \
                                    size_t m_point, size_t m_column)                               \
    {                                                                                              \
        (void)w;                                                                                   \
        outputs_back_board(gradient, (struct sizes){__VA_ARGS__}, m, m_point, m_column);           \
    }                                                                                              \
    static void points_back_##name(const struct winograd *w, const float *v, size_t v_point,       \
                                   size_t v_column, const struct lanes_sink *sink)                 \
    {                                                                                              \
        (void)w;                                                                                   \
        points_back_board(v, v_point, v_column, (struct sizes){__VA_ARGS__}, sink);                \
    }                                                                                              \
    static void filters_##name(const struct winograd *w, const float *f, float *u, size_t u_point) \
    {                                                                                              \
        (void)w;                                                                                   \
        filters_board(f, (struct sizes){__VA_ARGS__}, u, u_point);                                 \
    }                                                                                              \
    static void filters_back_##name(const struct winograd *w, const float *u, size_t u_point,      \
                                    float *f)                                                      \
    {                                                                                              \
        (void)w;                                                                                   \
        filters_back_board(u, u_point, (struct sizes){__VA_ARGS__}, f);                            \
    }
#define TILE_ENTRY(name)                                                                        \
    {                                                                                           \
        points_##name, outputs_##name, outputs_back_##name, points_back_##name, filters_##name, \
            filters_back_##name                                                                 \
    }
