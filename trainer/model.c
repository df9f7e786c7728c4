#include "trainer/model.h"
#include "trainer/batchnorm.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/dense.h"
#include "trainer/net/net_layout.h"
#include "trainer/squeeze.h"

#include <stdlib.h>
#include <string.h>

struct unit {   /* convolution, batch norm, relu */
    float *sum; /* what the convolution gives */
    float *out; /* behind batch norm and relu */
};

struct block_state {
    struct unit first, second; /* second.out: before squeeze and skip, no relu */
    struct squeeze_state squeeze;
    float *out;
};

struct model {
    struct net_arch arch;
    struct crew *crew;
    struct conv_work *work;
    struct net_layout layout;
    struct net *shape; /* for its table of tensors alone */
    uint32_t max_batch, cells;
    uint32_t n; /* of the last forward */
    enum model_mode mode;
    float *statistics;

    float *planes;
    struct unit input;
    struct block_state *blocks;
    struct unit policy_unit, value_unit;
    float *policy, *dpolicy;
    float *rows;   /* [n][value_filters * cells]: the value head's features by position */
    float *hidden; /* [value_hidden][n] */
    float *value, *dvalue;

    float *drows, *dhidden, *dvalue_unit;
    float *dtrunk, *dinner, *douter; /* [filters][n][cells] */
    float **owned;                   /* every buffer above */
    uint32_t n_owned, room_owned;
    bool no_memory;
};

static float *take(struct model *model, size_t count)
{
    float *buffer = model->n_owned < model->room_owned ? buffer_create(count) : NULL;
    if (buffer == NULL) {
        model->no_memory = true;
        return NULL;
    }
    model->owned[model->n_owned++] = buffer;
    return buffer;
}

static void take_unit(struct model *model, struct unit *unit, uint32_t channels)
{
    const size_t count = (size_t)channels * model->max_batch * model->cells;
    unit->sum = take(model, count);
    unit->out = take(model, count);
}

static void take_block(struct model *model, struct block_state *block)
{
    const struct net_arch *arch = &model->arch;
    const size_t rows = (size_t)arch->filters * model->max_batch;
    struct squeeze_state *squeeze = &block->squeeze;

    take_unit(model, &block->first, arch->filters);
    take_unit(model, &block->second, arch->filters);
    block->out = take(model, rows * model->cells);
    if (arch->se_channels > 0) {
        squeeze->pool = take(model, rows);
        squeeze->gates = take(model, 2 * rows);
        squeeze->dgates = take(model, 2 * rows);
        squeeze->dpool = take(model, rows);
        squeeze->t = take(model, (size_t)arch->se_channels * model->max_batch);
        squeeze->dt = take(model, (size_t)arch->se_channels * model->max_batch);
    }
}

static void take_all(struct model *model)
{
    const struct net_arch *arch = &model->arch;
    const size_t n = model->max_batch;
    const size_t trunk = (size_t)arch->filters * n * model->cells;
    const size_t features = (size_t)arch->value_filters * n * model->cells;

    model->statistics = take(model, model->shape->n_params);
    model->planes = take(model, (size_t)arch->n_planes * n * model->cells);
    take_unit(model, &model->input, arch->filters);
    for (uint32_t i = 0; i < arch->blocks; i++) {
        take_block(model, &model->blocks[i]);
    }
    take_unit(model, &model->policy_unit, arch->filters);
    take_unit(model, &model->value_unit, arch->value_filters);
    model->policy = take(model, net_policy_size(arch) * n);
    model->dpolicy = take(model, net_policy_size(arch) * n);
    model->rows = take(model, features);
    model->drows = take(model, features);
    model->dvalue_unit = take(model, features);
    model->hidden = take(model, arch->value_hidden * n);
    model->dhidden = take(model, arch->value_hidden * n);
    model->value = take(model, net_value_outputs(arch) * n);
    model->dvalue = take(model, net_value_outputs(arch) * n);
    model->dtrunk = take(model, trunk);
    model->dinner = take(model, trunk);
    model->douter = take(model, trunk);
}

static uint32_t max_channels(const struct net_arch *arch)
{
    const uint32_t counts[] = {arch->n_planes, arch->filters, arch->policy_planes,
                               arch->value_filters};
    uint32_t most = 0;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        most = counts[i] > most ? counts[i] : most;
    }
    return most;
}

struct model *model_create(const struct net_arch *arch, uint32_t max_batch, struct crew *crew)
{
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL) {
        return NULL;
    }
    model->arch = *arch;
    model->crew = crew;
    model->max_batch = max_batch;
    model->cells = arch->height * arch->width;
    model->room_owned = 32 + 11 * arch->blocks;
    model->owned = calloc(model->room_owned, sizeof(*model->owned));
    model->blocks = calloc(arch->blocks, sizeof(*model->blocks));
    model->shape = net_create(arch);
    model->work = conv_work_create(crew, arch->height, arch->width, max_channels(arch));
    if (model->owned == NULL || model->blocks == NULL || model->shape == NULL ||
        model->work == NULL) {
        model_destroy(model);
        return NULL;
    }
    net_layout_get(arch, &model->layout);
    take_all(model);
    if (model->no_memory) {
        model_destroy(model);
        return NULL;
    }
    return model;
}

void model_destroy(struct model *model)
{
    if (model == NULL) {
        return;
    }
    for (uint32_t i = 0; model->owned != NULL && i < model->n_owned; i++) {
        buffer_destroy(model->owned[i]);
    }
    conv_work_destroy(model->work);
    net_destroy(model->shape);
    free(model->blocks);
    free(model->owned);
    free(model);
}

static size_t at(const struct model *model, uint32_t tensor)
{
    return model->shape->tensors[tensor].offset;
}

/* ---- the way there ---- */

static struct batchnorm norm_of(const struct model *model, const float *params,
                                const struct net_layout_bn *where, bool relu)
{
    const float *statistics = model->mode == MODEL_TRAIN ? model->statistics : params;
    return (struct batchnorm){
        .gamma = params + at(model, where->gamma),
        .beta = params + at(model, where->beta),
        .mean = statistics + at(model, where->mean),
        .var = statistics + at(model, where->var),
        .channels = (uint32_t)model->shape->tensors[where->gamma].count,
        .relu = relu,
    };
}

/* Where a convolution with batch norm behind it finds its parameters. */
struct place {
    uint32_t conv;
    const struct net_layout_bn *bn;
    struct conv_shape shape;
    bool relu;
};

static void unit_forward(struct model *model, const float *params, const struct place *place,
                         const float *x, const struct unit *unit)
{
    const size_t count = (size_t)model->n * model->cells;

    conv_forward(model->work, &place->shape, params + at(model, place->conv), NULL, x, model->n,
                 unit->sum);
    if (model->mode == MODEL_TRAIN) {
        batchnorm_statistics(model->crew, unit->sum, place->shape.out, count,
                             model->statistics + at(model, place->bn->mean),
                             model->statistics + at(model, place->bn->var));
    }
    struct batchnorm bn = norm_of(model, params, place->bn, place->relu);
    batchnorm_forward(model->crew, &bn, unit->sum, count, unit->out);
}

static struct place input_place(const struct model *model)
{
    return (struct place){model->layout.input_conv,
                          &model->layout.input_bn,
                          {model->arch.n_planes, model->arch.filters, 3},
                          true};
}
static struct place first_place(const struct model *model, uint32_t block)
{
    const struct net_layout_block *where = &model->layout.blocks[block];
    return (struct place){
        where->conv1, &where->bn1, {model->arch.filters, model->arch.filters, 3}, true};
}
static struct place second_place(const struct model *model, uint32_t block)
{
    const struct net_layout_block *where = &model->layout.blocks[block];
    return (struct place){
        where->conv2, &where->bn2, {model->arch.filters, model->arch.filters, 3}, false};
}
static struct place policy_place(const struct model *model)
{
    return (struct place){model->layout.policy_conv1,
                          &model->layout.policy_bn,
                          {model->arch.filters, model->arch.filters, 3},
                          true};
}
static struct place value_place(const struct model *model)
{
    return (struct place){model->layout.value_conv,
                          &model->layout.value_bn,
                          {model->arch.filters, model->arch.value_filters, 1},
                          true};
}
static struct conv_shape logits_shape(const struct model *model)
{
    return (struct conv_shape){model->arch.filters, model->arch.policy_planes, 3};
}
static struct squeeze_shape squeeze_shape_of(const struct model *model)
{
    return (struct squeeze_shape){model->arch.filters, model->arch.se_channels, model->cells};
}

static struct squeeze_weights squeeze_weights_of(const struct model *model, const float *params,
                                                 uint32_t block)
{
    const struct net_layout_block *where = &model->layout.blocks[block];
    if (model->arch.se_channels == 0) {
        return (struct squeeze_weights){0};
    }
    return (struct squeeze_weights){
        params + at(model, where->se_fc1_weight), params + at(model, where->se_fc1_bias),
        params + at(model, where->se_fc2_weight), params + at(model, where->se_fc2_bias)};
}

/* The value head's two dense layers. */
static void value_layers(const struct model *model, const float *params, struct dense ret[2])
{
    const struct net_layout *where = &model->layout;
    ret[0] = (struct dense){.in = model->arch.value_filters * model->cells,
                            .out = model->arch.value_hidden,
                            .by_position = true,
                            .relu = true,
                            .weight = params + at(model, where->value_fc1_weight),
                            .bias = params + at(model, where->value_fc1_bias)};
    ret[1] = (struct dense){.in = model->arch.value_hidden,
                            .out = net_value_outputs(&model->arch),
                            .weight = params + at(model, where->value_fc2_weight),
                            .bias = params + at(model, where->value_fc2_bias)};
}

/* [value_filters][n][cells] to [n][value_filters][cells], or back. */
static void transpose_features(const struct model *model, const float *from, bool to_rows,
                               float *ret)
{
    const size_t cells = model->cells;
    const size_t filters = model->arch.value_filters;

    for (size_t f = 0; f < filters; f++) {
        for (size_t i = 0; i < model->n; i++) {
            size_t channelwise = (f * model->n + i) * cells;
            size_t rowwise = (i * filters + f) * cells;
            memcpy(ret + (to_rows ? rowwise : channelwise),
                   from + (to_rows ? channelwise : rowwise), cells * sizeof(float));
        }
    }
}

static const float *trunk_end(const struct model *model)
{
    return model->blocks[model->arch.blocks - 1].out;
}

void model_forward(struct model *model, const float *params, enum model_mode mode, uint32_t n)
{
    const struct squeeze_shape squeeze = squeeze_shape_of(model);
    struct dense dense[2];

    model->n = n;
    model->mode = mode;
    struct place place = input_place(model);
    unit_forward(model, params, &place, model->planes, &model->input);
    const float *x = model->input.out;
    for (uint32_t i = 0; i < model->arch.blocks; i++) {
        struct block_state *block = &model->blocks[i];
        struct squeeze_weights weights = squeeze_weights_of(model, params, i);
        place = first_place(model, i);
        unit_forward(model, params, &place, x, &block->first);
        place = second_place(model, i);
        unit_forward(model, params, &place, block->first.out, &block->second);
        squeeze_forward(model->crew, &squeeze, &weights, block->second.out, x, n, &block->squeeze,
                        block->out);
        x = block->out;
    }

    place = policy_place(model);
    unit_forward(model, params, &place, x, &model->policy_unit);
    const struct conv_shape logits = logits_shape(model);
    conv_forward(model->work, &logits, params + at(model, model->layout.policy_conv2),
                 params + at(model, model->layout.policy_conv2_bias), model->policy_unit.out, n,
                 model->policy);

    place = value_place(model);
    unit_forward(model, params, &place, x, &model->value_unit);
    transpose_features(model, model->value_unit.out, true, model->rows);
    value_layers(model, params, dense);
    dense_forward(&dense[0], model->rows, n, model->hidden);
    dense_forward(&dense[1], model->hidden, n, model->value);
}

/* ---- the way back ---- */

/* dy: gradient of unit->out, overwritten. */
static void unit_backward(struct model *model, const float *params, const struct place *place,
                          const float *x, const struct unit *unit, float *dy, float *gradient,
                          float *ret_dx, bool add)
{
    struct batchnorm bn = norm_of(model, params, place->bn, place->relu);
    batchnorm_backward(model->crew, &bn, unit->sum, unit->out, (size_t)model->n * model->cells, dy,
                       gradient + at(model, place->bn->gamma),
                       gradient + at(model, place->bn->beta));
    conv_backward(model->work, &place->shape, params + at(model, place->conv), x, dy, model->n,
                  gradient + at(model, place->conv), NULL, ret_dx, add);
}

static void heads_backward(struct model *model, const float *params, float *gradient)
{
    const struct net_layout *where = &model->layout;
    const struct conv_shape logits = logits_shape(model);
    struct dense dense[2];

    conv_backward(model->work, &logits, params + at(model, where->policy_conv2),
                  model->policy_unit.out, model->dpolicy, model->n,
                  gradient + at(model, where->policy_conv2),
                  gradient + at(model, where->policy_conv2_bias), model->dinner, false);
    struct place place = policy_place(model);
    unit_backward(model, params, &place, trunk_end(model), &model->policy_unit, model->dinner,
                  gradient, model->dtrunk, false);

    value_layers(model, params, dense);
    dense_backward(&dense[1], model->hidden, NULL, model->n, model->dvalue,
                   gradient + at(model, where->value_fc2_weight),
                   gradient + at(model, where->value_fc2_bias), model->dhidden);
    dense_backward(&dense[0], model->rows, model->hidden, model->n, model->dhidden,
                   gradient + at(model, where->value_fc1_weight),
                   gradient + at(model, where->value_fc1_bias), model->drows);
    transpose_features(model, model->drows, false, model->dvalue_unit);
    place = value_place(model);
    unit_backward(model, params, &place, trunk_end(model), &model->value_unit, model->dvalue_unit,
                  gradient, model->dtrunk, true);
}

/* dtrunk: the gradient of the block's output, and afterwards of its input. */
static void block_backward(struct model *model, const float *params, uint32_t i, float *gradient)
{
    struct block_state *block = &model->blocks[i];
    const float *x = i == 0 ? model->input.out : model->blocks[i - 1].out;
    const struct net_layout_block *where = &model->layout.blocks[i];
    const struct squeeze_shape squeeze = squeeze_shape_of(model);
    const struct squeeze_weights weights = squeeze_weights_of(model, params, i);
    struct squeeze_gradients gradients = {0};

    if (model->arch.se_channels > 0) {
        gradients = (struct squeeze_gradients){
            gradient + at(model, where->se_fc1_weight), gradient + at(model, where->se_fc1_bias),
            gradient + at(model, where->se_fc2_weight), gradient + at(model, where->se_fc2_bias)};
    }
    squeeze_backward(model->crew, &squeeze, &weights, block->second.out, block->out, model->n,
                     &block->squeeze, model->dtrunk, &gradients, model->douter);
    struct place place = second_place(model, i);
    unit_backward(model, params, &place, block->first.out, &block->second, model->douter, gradient,
                  model->dinner, false);
    place = first_place(model, i);
    unit_backward(model, params, &place, x, &block->first, model->dinner, gradient, model->dtrunk,
                  true);
}

void model_backward(struct model *model, const float *params, float *ret_gradient)
{
    memset(ret_gradient, 0, model->shape->n_params * sizeof(float));
    heads_backward(model, params, ret_gradient);
    for (uint32_t i = model->arch.blocks; i-- > 0;) {
        block_backward(model, params, i, ret_gradient);
    }
    struct place place = input_place(model);
    unit_backward(model, params, &place, model->planes, &model->input, model->dtrunk, ret_gradient,
                  NULL, false);
    memset(model->dpolicy, 0, (size_t)net_policy_size(&model->arch) * model->n * sizeof(float));
}

/* ---- what callers see ---- */

float *model_planes(struct model *model)
{
    return model->planes;
}
const float *model_policy(const struct model *model)
{
    return model->policy;
}
const float *model_value(const struct model *model)
{
    return model->value;
}
float *model_dpolicy(struct model *model)
{
    return model->dpolicy;
}
float *model_dvalue(struct model *model)
{
    return model->dvalue;
}
const float *model_statistics(const struct model *model)
{
    return model->statistics;
}
size_t model_statistics_count(const struct model *model)
{
    return (size_t)model->n * model->cells;
}
