#include "trainer/buffer.h"
#include "trainer/lanes.h"
#include "trainer/model_internal.h"

#include <stdlib.h>

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

static float *take_activation(struct model *model, uint32_t channels)
{
    return take(model, channels * lanes_size(model->max_batch, model->cells));
}

/* Numbers by channel and position. */
static float *take_numbers(struct model *model, size_t channels)
{
    return take(model, channels * lanes_size(model->max_batch, 1));
}

static void take_unit(struct model *model, struct unit *unit, uint32_t channels)
{
    unit->sum = take_activation(model, channels);
    unit->means = take_numbers(model, channels);
    unit->squares = take_numbers(model, channels);
    unit->scale = take(model, channels);
    unit->shift = take(model, channels);
    unit->sums = take_numbers(model, channels);
    unit->products = take_numbers(model, channels);
}

/* `unit` ends here: its sums are those that the ending finds. */
static void take_ending(struct model *model, struct squeeze_state *state, const struct unit *unit,
                        uint32_t channels, uint32_t squeeze)
{
    state->sums = unit->sums;
    state->products = unit->products;
    if (squeeze > 0) {
        state->pool = take_numbers(model, channels);
        state->gates = take_numbers(model, 2 * (size_t)channels);
        state->dgates = take_numbers(model, 2 * (size_t)channels);
        state->dpool = take_numbers(model, channels);
        state->t = take_numbers(model, squeeze);
        state->dt = take_numbers(model, squeeze);
    }
}

static void take_block(struct model *model, struct block_state *block)
{
    const struct net_arch *arch = &model->arch;

    take_unit(model, &block->first, arch->filters);
    take_unit(model, &block->second, arch->filters);
    take_ending(model, &block->squeeze, &block->second, arch->filters, arch->se_channels);
    block->out = take_activation(model, arch->filters);
}

static void take_heads(struct model *model)
{
    const struct net_arch *arch = &model->arch;
    const size_t features = (size_t)arch->value_filters * model->cells;

    take_unit(model, &model->policy_unit, arch->filters);
    model->policy = take_activation(model, arch->policy_planes);
    model->policy_means = take_numbers(model, arch->policy_planes);
    model->policy_squares = take_numbers(model, arch->policy_planes);
    model->dpolicy = take_activation(model, arch->policy_planes);
    take_unit(model, &model->value_unit, arch->value_filters);
    take_ending(model, &model->value_end, &model->value_unit, arch->value_filters, 0);
    model->value_out = take_activation(model, arch->value_filters);
    model->dvalue_out = take_activation(model, arch->value_filters);
    model->features = take_numbers(model, features);
    model->dfeatures = take_numbers(model, features);
    model->hidden = take_numbers(model, arch->value_hidden);
    model->dhidden = take_numbers(model, arch->value_hidden);
    model->value = take_numbers(model, net_value_outputs(arch));
    model->dvalue = take_numbers(model, net_value_outputs(arch));
}

static void take_all(struct model *model)
{
    const struct net_arch *arch = &model->arch;
    const uint32_t most = arch->filters > arch->value_filters ? arch->filters : arch->value_filters;

    model->statistics = take(model, model->shape->n_params);
    take_unit(model, &model->input, arch->filters);
    take_ending(model, &model->input_end, &model->input, arch->filters, 0);
    model->input_out = take_activation(model, arch->filters);
    for (uint32_t i = 0; i < arch->blocks; i++) {
        take_block(model, &model->blocks[i]);
    }
    take_heads(model);
    model->a = take(model, most);
    model->b = take(model, most);
    model->c = take(model, most);
    model->dtrunk = take_activation(model, arch->filters);
    model->dinner = take_activation(model, arch->filters);
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
    model->kernel = lanes_choose();
    model->room_owned = 64 + 23 * arch->blocks;
    model->owned = calloc(model->room_owned, sizeof(*model->owned));
    model->blocks = calloc(arch->blocks, sizeof(*model->blocks));
    model->shape = net_create(arch);
    model->work = conv_work_create(crew, model->kernel, arch->height, arch->width,
                                   max_channels(arch), max_batch);
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
