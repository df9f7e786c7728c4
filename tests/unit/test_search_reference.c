/* The design's third mistake: records that are not what the search did. The search and a plain
 * recursive one agree on every count over 1,000 positions. */
#include "mcts/random.h"
#include "tests/unit/reference_puct.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { CHUNKS = 10, POSITIONS_PER_CHUNK = 100 };

static void compare(const struct search_result *ours, const struct search_result *theirs,
                    uint64_t seed)
{
#define AGREE(field)                                                               \
    do {                                                                           \
        if (ours->field != theirs->field) {                                        \
            ck_abort_msg("%s: %g != %g at seed %llu", #field, (double)ours->field, \
                         (double)theirs->field, (unsigned long long)seed);         \
        }                                                                          \
    } while (false)
    AGREE(nodes);
    AGREE(n_moves);
    for (uint32_t i = 0; i < ours->n_moves; i++) {
        AGREE(moves[i].action);
        AGREE(moves[i].n);
        AGREE(moves[i].visits);
        AGREE(moves[i].prior);
        AGREE(moves[i].proven);
    }
    AGREE(proven);
    AGREE(proven_value);
    AGREE(best_action);
    AGREE(q);
    AGREE(d);
    AGREE(greedy_q);
    AGREE(greedy_d);
    AGREE(v);
    AGREE(v_d);
    AGREE(m);
    if (!isnan(theirs->best_q)) {
        AGREE(best_q);
        AGREE(best_d);
    }
#undef AGREE
    /* libm's logarithm here, our own there. */
    ck_assert_float_eq_tol(ours->kld, theirs->kld, 1e-6F);
}

static uint32_t below(uint64_t seed, uint64_t index, uint32_t n)
{
    return (uint32_t)(random_u64(seed, 0, RANDOM_TEST, 1000 + index) % n);
}

static void random_params(uint64_t seed, struct search_params *ret)
{
    static const float cpucts[] = {0.5F, 1.5F, 4.0F};
    *ret = search_params_default;
    ret->nodes = below(seed, 0, 5) == 0 ? 2 + below(seed, 1, 20) : 50 + below(seed, 1, 350);
    ret->solver = below(seed, 6, 2) == 0;
    ret->noise_share = seed % 3 == 0 ? 0.0F : 0.25F;
    ret->cpuct = cpucts[below(seed, 2, 3)];
    ret->fpu_reduction = 0.1F * (float)below(seed, 3, 5);
    ret->fpu_reduction_root = 0.1F * (float)below(seed, 4, 3);
}

START_TEST(counts_values_and_targets_equal_those_of_the_reference)
{
    struct search *search[2] = {search_create(game_find("connect4")),
                                search_create(game_find("tictactoe"))};
    for (uint64_t i = 0; i < POSITIONS_PER_CHUNK; i++) {
        uint64_t seed = (uint64_t)_i * POSITIONS_PER_CHUNK + i;
        bool small = seed % 4 == 3;
        const struct game *game = game_find(small ? "tictactoe" : "connect4");
        uint32_t plies = small ? below(seed, 5, 7) : below(seed, 5, 36);
        struct search_params params;
        struct search_result ours;
        struct search_result theirs;
        union game_state state;

        random_params(seed, &params);
        state_random(game, seed, plies, &state);
        search_begin(search[small], &params, &state, seed, plies);
        search_finish(search[small], game, net_by_key, &ours);
        struct reference *reference =
            reference_create(game, &params, net_by_key, &state, seed, plies);
        reference_run(reference, &theirs);
        compare(&ours, &theirs, seed);
        reference_destroy(reference);
    }
    search_destroy(search[0]);
    search_destroy(search[1]);
}
END_TEST

/* Whole games on one tree: each search goes on from the last one's subtree. */
START_TEST(kept_subtrees_equal_those_of_the_reference)
{
    const struct game *game = game_find("connect4");
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct search *search = search_create(game);
        struct search_params params;
        struct search_result ours;
        struct search_result theirs;
        union game_state state;

        random_params(seed, &params);
        params.nodes = 150;
        state_at(game, "", &state);
        search_begin(search, &params, &state, seed, 0);
        struct reference *reference = reference_create(game, &params, net_by_key, &state, seed, 0);
        uint32_t n_searches = 0;
        for (uint32_t ply = 0;; ply++) {
            search_finish(search, game, net_by_key, &ours);
            reference_run(reference, &theirs);
            compare(&ours, &theirs, seed);
            n_searches++;
            uint16_t action = ours.moves[search_choose(&ours, 0.5F, seed, ply)].action;
            if (!search_advance(search, &params, action, seed, ply + 1)) {
                break; /* over, or a proof without visits */
            }
            reference_advance(reference, action, seed, ply + 1);
        }
        ck_assert_uint_gt(n_searches, 6);
        reference_destroy(reference);
        search_destroy(search);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search_reference");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, counts_values_and_targets_equal_those_of_the_reference, 0, CHUNKS);
    tcase_add_test(tcase, kept_subtrees_equal_those_of_the_reference);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
