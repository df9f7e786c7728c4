#include "trainer/model.h"
#include "trainer/batchnorm.h"
#include "trainer/conv.h"
#include "trainer/dense.h"
#include "trainer/lanes.h"
#include "trainer/model_internal.h"
#include "trainer/net/net_layout.h"
#include "trainer/squeeze.h"

#include <string.h>

static size_t at(const struct model *model, uint32_t tensor)
{
    return model->shape->tensors[tensor].offset;
}

/* ---- the way there ---- */

/* Where a convolution with batch norm behind it finds its parameters. */
struct place {
    uint32_t conv;
    const struct net_layout_bn *bn;
    struct conv_shape shape;
};

static struct batchnorm_count count_of(const struct model *model)
{
    return (struct batchnorm_count){model->n, model->cells};
}

static struct batchnorm norm_of(const struct model *model, const float *params,
                                const struct place *place)
{
    const float *statistics = model->mode == MODEL_TRAIN ? model->statistics : params;
    return (struct batchnorm){
        .gamma = params + at(model, place->bn->gamma),
        .beta = params + at(model, place->bn->beta),
        .mean = statistics + at(model, place->bn->mean),
        .var = statistics + at(model, place->bn->var),
        .channels = place->shape.out,
    };
}

/* Up to where batch norm is known as a scale and a shift; in training that is the crew's next piece of work. */
static void unit_forward(struct model *model, const float *params, const struct place *place,
                         const struct conv_input *input, const struct unit *unit)
{
    const struct conv_output output = {unit->sum, unit->means, unit->squares};

    conv_forward(model->work, &place->shape, params + at(model, place->conv), NULL, input, model->n,
                 &output);
    const struct batchnorm bn = norm_of(model, params, place);
    if (model->mode == MODEL_TRAIN) {
        batchnorm_statistics(model->crew, &bn, unit->means, unit->squares, count_of(model),
                             model->statistics + at(model, place->bn->mean),
                             model->statistics + at(model, place->bn->var), unit->scale,
                             unit->shift);
    } else {
        batchnorm_scale(&bn, unit->scale, unit->shift);
    }
}

/* What a convolution reads: an activation, or a unit with its batch norm and relu. */
static struct conv_input plain_input(const float *x)
{
    return (struct conv_input){.x = x};
}
static struct conv_input unit_input(const struct unit *unit)
{
    return (struct conv_input){.x = unit->sum, .scale = unit->scale, .shift = unit->shift};
}

static struct place input_place(const struct model *model)
{
    return (struct place){model->layout.input_conv,
                          &model->layout.input_bn,
                          {model->arch.n_planes, model->arch.filters, 3}};
}
static struct place first_place(const struct model *model, uint32_t block)
{
    const struct net_layout_block *where = &model->layout.blocks[block];
    return (struct place){where->conv1, &where->bn1, {model->arch.filters, model->arch.filters, 3}};
}
static struct place second_place(const struct model *model, uint32_t block)
{
    const struct net_layout_block *where = &model->layout.blocks[block];
    return (struct place){where->conv2, &where->bn2, {model->arch.filters, model->arch.filters, 3}};
}
static struct place policy_place(const struct model *model)
{
    return (struct place){model->layout.policy_conv1,
                          &model->layout.policy_bn,
                          {model->arch.filters, model->arch.filters, 3}};
}
static struct place value_place(const struct model *model)
{
    return (struct place){model->layout.value_conv,
                          &model->layout.value_bn,
                          {model->arch.filters, model->arch.value_filters, 1}};
}
static struct conv_shape logits_shape(const struct model *model)
{
    return (struct conv_shape){model->arch.filters, model->arch.policy_planes, 3};
}
static struct squeeze_shape ending_shape(const struct model *model, uint32_t channels,
                                         uint32_t squeeze)
{
    return (struct squeeze_shape){channels, squeeze, count_of(model)};
}

static struct squeeze_input squeeze_input_of(const struct model *model, const float *params,
                                             const struct place *place, const struct unit *unit)
{
    const struct batchnorm bn = norm_of(model, params, place);
    return (struct squeeze_input){unit->sum,   unit->means, unit->scale,
                                  unit->shift, bn.mean,     bn.beta};
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

/* ---- the value head's dense layers ---- */

static void value_layers(const struct model *model, const float *params, struct dense ret[2])
{
    const struct net_layout *where = &model->layout;
    ret[0] = (struct dense){.in = model->arch.value_filters * model->cells,
                            .out = model->arch.value_hidden,
                            .relu = true,
                            .weight = params + at(model, where->value_fc1_weight),
                            .bias = params + at(model, where->value_fc1_bias)};
    ret[1] = (struct dense){.in = model->arch.value_hidden,
                            .out = net_value_outputs(&model->arch),
                            .weight = params + at(model, where->value_fc2_weight),
                            .bias = params + at(model, where->value_fc2_bias)};
}

/* Each worker has blocks of positions of its own, and of the weights' gradients a share. */
struct head {
    struct model *model;
    struct dense dense[2];
    float *dweights[2], *dbiases[2];
};
_Static_assert(sizeof(struct head) <= CREW_CONTEXT, "its last part is put off");

static struct head head_of(struct model *model, const float *params)
{
    struct head head = {.model = model};
    value_layers(model, params, head.dense);
    return head;
}

/* Activations [blocks][value_filters][cells][16] of blocks [first, end) to features [value_filters *
 * cells][blocks][16], or back. */
static void copy_features(const struct model *model, size_t first, size_t end, const float *from,
                          bool to_features, float *ret)
{
    const size_t blocks = lanes_blocks(model->n);
    const size_t features = (size_t)model->arch.value_filters * model->cells;

    for (size_t block = first; block < end; block++) {
        for (size_t i = 0; i < features; i++) {
            const size_t activation = (block * features + i) * LANES;
            const size_t feature = (i * blocks + block) * LANES;
            memcpy(ret + (to_features ? feature : activation),
                   from + (to_features ? activation : feature), LANES * sizeof(float));
        }
    }
}

static void head_forward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct head *head = context;
    struct model *model = head->model;
    const size_t n = lanes_size(model->n, 1);
    size_t first;
    size_t end;

    crew_share(n / LANES, worker, n_workers, &first, &end);
    if (first < end) {
        copy_features(model, first, end, model->value_out, true, model->features);
        first *= LANES;
        end *= LANES;
        dense_forward(&head->dense[0], model->features, n, first, end, model->hidden);
        dense_forward(&head->dense[1], model->hidden, n, first, end, model->value);
    }
}

static void head_backward_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct head *head = context;
    struct model *model = head->model;
    const size_t n = lanes_size(model->n, 1);
    size_t first;
    size_t end;

    crew_share(n / LANES, worker, n_workers, &first, &end);
    if (first < end) {
        dense_backward(&head->dense[1], NULL, n, first * LANES, end * LANES, model->dvalue,
                       model->dhidden);
        dense_backward(&head->dense[0], model->hidden, n, first * LANES, end * LANES,
                       model->dhidden, model->dfeatures);
        copy_features(model, first, end, model->dfeatures, false, model->dvalue_out);
    }
}

static void head_gradient_task(void *context, uint32_t worker, uint32_t n_workers)
{
    const struct head *head = context;
    struct model *model = head->model;
    const size_t n = lanes_size(model->n, 1);

    dense_gradient(&head->dense[1], model->hidden, model->dvalue, n, worker, n_workers,
                   head->dweights[1], head->dbiases[1]);
    dense_gradient(&head->dense[0], model->features, model->dhidden, n, worker, n_workers,
                   head->dweights[0], head->dbiases[0]);
}

static const float *trunk_end(const struct model *model)
{
    return model->blocks[model->arch.blocks - 1].out;
}

/* Batch norm and relu of a unit whose outcome is wanted whole. */
static void end_forward(struct model *model, const float *params, const struct place *place,
                        const struct unit *unit, const struct squeeze_state *state, float *ret)
{
    const struct squeeze_shape shape = ending_shape(model, place->shape.out, 0);
    const struct squeeze_input input = squeeze_input_of(model, params, place, unit);
    squeeze_forward(model->crew, model->kernel, &shape, NULL, &input, NULL, state, ret);
}

static void block_forward(struct model *model, const float *params, uint32_t i, const float *x)
{
    struct block_state *block = &model->blocks[i];
    const struct squeeze_weights weights = squeeze_weights_of(model, params, i);
    const struct squeeze_shape squeeze =
        ending_shape(model, model->arch.filters, model->arch.se_channels);

    struct conv_input input = plain_input(x);
    struct place place = first_place(model, i);
    unit_forward(model, params, &place, &input, &block->first);
    input = unit_input(&block->first);
    place = second_place(model, i);
    unit_forward(model, params, &place, &input, &block->second);
    const struct squeeze_input ending = squeeze_input_of(model, params, &place, &block->second);
    squeeze_forward(model->crew, model->kernel, &squeeze, &weights, &ending, x, &block->squeeze,
                    block->out);
}

static void heads_forward(struct model *model, const float *params)
{
    const struct conv_shape logits = logits_shape(model);
    const struct conv_output policy = {model->policy, model->policy_means, model->policy_squares};

    struct conv_input input = plain_input(trunk_end(model));
    struct place place = policy_place(model);
    unit_forward(model, params, &place, &input, &model->policy_unit);
    const struct conv_input policy_input = unit_input(&model->policy_unit);
    conv_forward(model->work, &logits, params + at(model, model->layout.policy_conv2),
                 params + at(model, model->layout.policy_conv2_bias), &policy_input, model->n,
                 &policy);

    place = value_place(model);
    unit_forward(model, params, &place, &input, &model->value_unit);
    end_forward(model, params, &place, &model->value_unit, &model->value_end, model->value_out);
    struct head head = head_of(model, params);
    crew_run(model->crew, head_forward_task, &head);
}

void model_forward(struct model *model, const float *params, enum model_mode mode,
                   const float *planes, uint32_t n)
{
    model->n = n;
    model->mode = mode;
    model->planes = planes;
    const struct conv_input input = plain_input(planes);
    const struct place place = input_place(model);
    unit_forward(model, params, &place, &input, &model->input);
    end_forward(model, params, &place, &model->input, &model->input_end, model->input_out);
    const float *x = model->input_out;
    for (uint32_t i = 0; i < model->arch.blocks; i++) {
        block_forward(model, params, i, x);
        x = model->blocks[i].out;
    }
    heads_forward(model, params);
}

/* ---- the way back ---- */

/* g: gradient of what the unit's batch norm gives (behind its relu, where `relu`), or of what the
 * gates make of it (NULL: none). The unit's sums and products are those of batch norm's own
 * gradient. */
static void unit_backward(struct model *model, const float *params, const struct place *place,
                          const struct conv_input *input, const struct unit *unit, const float *g,
                          bool relu, const struct squeeze_state *gates, float *gradient,
                          const struct conv_sink *sink)
{
    const struct batchnorm bn = norm_of(model, params, place);
    batchnorm_backward(model->crew, &bn, unit->sums, unit->products, count_of(model),
                       gradient + at(model, place->bn->gamma),
                       gradient + at(model, place->bn->beta), model->a, model->b, model->c);
    const struct conv_gradient from = {
        .g = g,
        .y = unit->sum,
        .a = model->a,
        .b = model->b,
        .c = model->c,
        .gate = gates == NULL ? NULL : gates->gates,
        .dpool = gates == NULL ? NULL : gates->dpool,
        .scale = relu ? unit->scale : NULL,
        .shift = relu ? unit->shift : NULL,
    };
    conv_backward(model->work, &place->shape, params + at(model, place->conv), input, &from,
                  model->n, gradient + at(model, place->conv), NULL, sink);
}

/* To a unit's outcome behind its relu, with the sums for its batch norm. */
static struct conv_sink unit_sink(const struct model *model, const float *params,
                                  const struct place *place, const struct unit *unit, float *dx)
{
    return (struct conv_sink){
        .dx = dx,
        .x = unit->sum,
        .scale = unit->scale,
        .shift = unit->shift,
        .pivot = norm_of(model, params, place).mean,
        .sums = unit->sums,
        .products = unit->products,
    };
}

/* The way back of end_forward: masks dy by the relu, and leaves the unit its sums. */
static void end_backward(struct model *model, const float *params, const struct place *place,
                         const struct unit *unit, const struct squeeze_state *state, const float *y,
                         float *dy)
{
    const struct squeeze_shape shape = ending_shape(model, place->shape.out, 0);
    const struct squeeze_input input = squeeze_input_of(model, params, place, unit);
    squeeze_backward(model->crew, model->kernel, &shape, NULL, &input, y, state, dy, NULL);
}

static void policy_backward(struct model *model, const float *params, float *gradient)
{
    const struct net_layout *where = &model->layout;
    const struct conv_shape logits = logits_shape(model);
    const struct place place = policy_place(model);
    const struct conv_gradient dpolicy = {.g = model->dpolicy};
    const struct conv_sink sink =
        unit_sink(model, params, &place, &model->policy_unit, model->dinner);

    struct conv_input input = unit_input(&model->policy_unit);
    conv_backward(model->work, &logits, params + at(model, where->policy_conv2), &input, &dpolicy,
                  model->n, gradient + at(model, where->policy_conv2),
                  gradient + at(model, where->policy_conv2_bias), &sink);
    input = plain_input(trunk_end(model));
    unit_backward(model, params, &place, &input, &model->policy_unit, model->dinner, true, NULL,
                  gradient, &(struct conv_sink){.dx = model->dtrunk});
}

static void value_backward(struct model *model, const float *params, float *gradient)
{
    const struct net_layout *where = &model->layout;
    const struct place place = value_place(model);
    const struct conv_input input = plain_input(trunk_end(model));
    struct head head = head_of(model, params);

    head.dweights[0] = gradient + at(model, where->value_fc1_weight);
    head.dbiases[0] = gradient + at(model, where->value_fc1_bias);
    head.dweights[1] = gradient + at(model, where->value_fc2_weight);
    head.dbiases[1] = gradient + at(model, where->value_fc2_bias);
    crew_run(model->crew, head_backward_task, &head);
    crew_later(model->crew, head_gradient_task, &head, sizeof(head));
    end_backward(model, params, &place, &model->value_unit, &model->value_end, model->value_out,
                 model->dvalue_out);
    unit_backward(model, params, &place, &input, &model->value_unit, model->dvalue_out, false, NULL,
                  gradient, &(struct conv_sink){.dx = model->dtrunk, .add = true});
}

/* dtrunk: the gradient of the block's output, and afterwards of its input. */
static void block_backward(struct model *model, const float *params, uint32_t i, float *gradient)
{
    struct block_state *block = &model->blocks[i];
    const float *x = i == 0 ? model->input_out : model->blocks[i - 1].out;
    const struct net_layout_block *where = &model->layout.blocks[i];
    const struct squeeze_shape squeeze =
        ending_shape(model, model->arch.filters, model->arch.se_channels);
    const struct squeeze_weights weights = squeeze_weights_of(model, params, i);
    const struct place first = first_place(model, i);
    const struct place second = second_place(model, i);
    const struct squeeze_input ending = squeeze_input_of(model, params, &second, &block->second);
    struct squeeze_gradients gradients = {0};

    if (model->arch.se_channels > 0) {
        gradients = (struct squeeze_gradients){
            gradient + at(model, where->se_fc1_weight), gradient + at(model, where->se_fc1_bias),
            gradient + at(model, where->se_fc2_weight), gradient + at(model, where->se_fc2_bias)};
    }
    squeeze_backward(model->crew, model->kernel, &squeeze, &weights, &ending, block->out,
                     &block->squeeze, model->dtrunk, &gradients);
    struct conv_input input = unit_input(&block->first);
    const struct conv_sink sink = unit_sink(model, params, &first, &block->first, model->dinner);
    unit_backward(model, params, &second, &input, &block->second, model->dtrunk, false,
                  model->arch.se_channels == 0 ? NULL : &block->squeeze, gradient, &sink);
    input = plain_input(x);
    unit_backward(model, params, &first, &input, &block->first, model->dinner, true, NULL, gradient,
                  &(struct conv_sink){.dx = model->dtrunk, .add = true});
}

void model_backward(struct model *model, const float *params, float *ret_gradient)
{
    const struct place place = input_place(model);
    const struct conv_input input = plain_input(model->planes);

    memset(ret_gradient, 0, model->shape->n_params * sizeof(float));
    policy_backward(model, params, ret_gradient);
    value_backward(model, params, ret_gradient);
    for (uint32_t i = model->arch.blocks; i-- > 0;) {
        block_backward(model, params, i, ret_gradient);
    }
    end_backward(model, params, &place, &model->input, &model->input_end, model->input_out,
                 model->dtrunk);
    unit_backward(model, params, &place, &input, &model->input, model->dtrunk, false, NULL,
                  ret_gradient, NULL);
    crew_finish(model->crew);
    memset(model->dpolicy, 0,
           model->arch.policy_planes * lanes_size(model->n, model->cells) * sizeof(float));
    memset(model->dvalue, 0,
           net_value_outputs(&model->arch) * lanes_size(model->n, 1) * sizeof(float));
}

/* ---- what callers see ---- */

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
