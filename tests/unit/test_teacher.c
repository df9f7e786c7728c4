/* A teacher's word in the targets: the net's own logits, tempered, over the legal moves. */
#include "mcts/random.h"
#include "tests/unit/run_suite.h"
#include "trainer/buffer.h"
#include "trainer/conv.h"
#include "trainer/lanes.h"
#include "trainer/net/evaluator.h"
#include "trainer/net/inference.h"
#include "trainer/teacher.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 6, N = 12 };

struct fixture {
    const struct game *game;
    struct net *net;
    struct window window;
    struct batch batch;
    const struct window_row *rows[N];
    float *planes;
};

/* The first 16 positions are one block: the place in it of a move's logit is cell and position. */
static size_t cell_of(size_t offset)
{
    return offset / LANES;
}

/* A net with an opinion, and a window of positions, each of which says "the first legal move". */
static void begin(struct fixture *f)
{
    struct net_arch arch = {
        .blocks = 1, .filters = 4, .value_filters = 2, .value_hidden = 4, .value = NET_VALUE_WDL};
    struct error err;
    f->game = game_find("connect4");
    ck_assert_int_eq(net_arch_for_game(&arch, f->game, &err), 0);
    f->net = net_create(&arch);
    ck_assert_ptr_nonnull(f->net);
    net_init(f->net, SEED);
    for (size_t i = 0; i < f->net->n_params; i++) {
        f->net->params[i] += 0.6F * ((float)random_uniform(SEED, 0, RANDOM_TEST, i) - 0.5F);
    }
    window_init(&f->window, &(struct window_params){.game = f->game});
    struct record_position positions[N];
    struct store_game record = {.uid = "x", .positions = positions, .n_positions = N};
    union game_state state;
    const char *why = NULL;
    f->game->init(&state, "", &why);
    for (uint32_t ply = 0; ply < N; ply++) {
        const uint16_t actions[N] = {0, 1, 3, 3, 5, 0, 2, 2, 6, 4, 1, 0};
        const uint8_t policy[3] = {0, 0, 9}; /* plain pairs: action 0, 9 visits */
        positions[ply] =
            (struct record_position){.ply = ply, .action = actions[ply], .policy_bytes = 3};
        memcpy(positions[ply].policy, policy, sizeof(policy));
        f->game->play(&state, actions[ply]);
    }
    ck_assert_msg(window_add(&f->window, &record, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(f->window.drawn.n, N);
    f->planes = activation_create(3, N, 42);
    ck_assert_ptr_nonnull(f->planes);
    ck_assert_int_eq(batch_init(&f->batch, f->game, N), 0);
    for (uint32_t i = 0; i < N; i++) {
        f->rows[i] = &f->window.drawn.rows[i];
    }
    batch_fill(&f->batch, &f->window, f->rows, NULL, N, f->planes);
}

static void end(struct fixture *f)
{
    batch_finish(&f->batch);
    window_finish(&f->window);
    net_destroy(f->net);
    buffer_destroy(f->planes);
}

START_TEST(policy_is_the_softmax_of_tempered_logits_over_legal_moves)
{
    const float shares[] = {1.0F, 0.25F};
    const float temperatures[] = {1.0F, 3.0F};
    for (int k = 0; k < 2; k++) {
        struct fixture f;
        struct teacher *teacher = NULL;
        struct inference *inference = NULL;
        struct error err;
        float logits[42];
        float values[3];
        begin(&f);
        ck_assert_int_eq(
            teacher_create(f.game, f.net, N, shares[k], shares[k], temperatures[k], &teacher, &err),
            0);
        ck_assert_int_eq(inference_create(f.net, 1, &inference, &err), 0);
        teacher_apply(teacher, &f.batch);
        for (size_t i = 0; i < N; i++) {
            const struct batch_sample *sample = &f.batch.samples[i];
            float planes[3 * 42];
            double total = 0.0;
            f.game->planes(sample->state, planes);
            inference_run(inference, planes, 1, NULL, logits, values);
            for (uint32_t j = 0; j < sample->n_legal; j++) {
                total += exp((double)(logits[cell_of(sample->offsets[j])] / temperatures[k]));
            }
            /* the record's own move: column 0, or its mirror image */
            union game_state state;
            window_state(&f.window, f.rows[i], &state);
            const uint16_t own = f.game->is_canonical(&state) ? 0 : 6;
            for (uint32_t j = 0; j < sample->n_legal; j++) {
                double p =
                    exp((double)(logits[cell_of(sample->offsets[j])] / temperatures[k])) / total;
                double wanted = (double)shares[k] * p +
                                (sample->legal[j] == own ? 1.0 - (double)shares[k] : 0.0);
                ck_assert_double_eq_tol((double)sample->policy[j], wanted, 1e-5);
            }
            struct wdl value = targets_mix(f.rows[i]->value, shares[k],
                                           (struct wdl){values[0], values[1], values[2]});
            ck_assert_float_eq_tol(sample->value.w, value.w, 1e-5F);
            ck_assert_float_eq_tol(sample->value.d, value.d, 1e-5F);
            ck_assert_float_eq_tol(sample->value.l, value.l, 1e-5F);
        }
        inference_destroy(inference);
        teacher_destroy(teacher);
        end(&f);
    }
}
END_TEST

START_TEST(a_teacher_of_no_share_changes_nothing)
{
    struct fixture f;
    struct teacher *teacher = NULL;
    struct error err;
    begin(&f);
    ck_assert_int_eq(teacher_create(f.game, f.net, N, 0.0F, 0.0F, 1.0F, &teacher, &err), 0);
    teacher_apply(teacher, &f.batch);
    for (size_t i = 0; i < N; i++) {
        ck_assert_float_eq(f.batch.samples[i].value.d, f.rows[i]->value.d);
        float most = 0.0F;
        for (uint32_t j = 0; j < f.batch.samples[i].n_legal; j++) {
            most = fmaxf(most, f.batch.samples[i].policy[j]);
        }
        ck_assert_float_eq(most, 1.0F);
    }
    teacher_destroy(teacher);
    end(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("teacher");
    TCase *tc = tcase_create("teacher");
    tcase_add_test(tc, policy_is_the_softmax_of_tempered_logits_over_legal_moves);
    tcase_add_test(tc, a_teacher_of_no_share_changes_nothing);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
