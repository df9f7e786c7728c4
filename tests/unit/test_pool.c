#include "random_net.h"
#include "selfplay/pool.h"
#include "tests/unit/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct evaluator *evaluator_of(const struct game *game, uint64_t seed, uint32_t max_batch)
{
    struct net *net = random_net(game, NET_VALUE_WDL, seed, 1.0);
    struct evaluator *evaluator = NULL;
    struct error err;
    ck_assert_msg(evaluator_create(game, net, max_batch, &evaluator, &err) == 0, "%s", err.text);
    net_destroy(net);
    return evaluator;
}

/* A position `plies` random moves into a game that is not over there. */
static void random_position(const struct game *game, uint64_t seed, uint32_t plies, void *ret)
{
    uint16_t legal[GAME_MAX_LEGAL];
    for (uint64_t attempt = 0;; attempt++) {
        ck_assert(game->init(ret, "", NULL));
        uint32_t ply = 0;
        uint32_t n;
        while ((n = game->legal(ret, legal)) > 0 && ply < plies) {
            uint64_t bits = random_u64(seed, ply, RANDOM_TEST, attempt);
            game->play(ret, legal[bits % n]);
            ply++;
        }
        if (n > 0) {
            return;
        }
    }
}

struct answer {
    int n; /* how often it came */
    float v, d;
    uint32_t n_priors;
    float priors[GAME_MAX_LEGAL];
};

static void take(const struct evaluation *evaluation, uint32_t index, void *context)
{
    struct answer *answer = (struct answer *)context + index;
    answer->n++;
    answer->v = evaluation->v;
    answer->d = evaluation->d;
    answer->n_priors = evaluation->n_priors;
    memcpy(answer->priors, evaluation->priors, evaluation->n_priors * sizeof(float));
}

static void ask(struct pool *pool, const struct game *game, const void *state,
                struct answer *answers, uint32_t index)
{
    uint16_t legal[GAME_MAX_LEGAL];
    struct search_leaf leaf = {state, game->legal(state, legal), legal};
    pool_ask(pool, &leaf, take, index, answers);
}

static void same_answer(const struct answer *a, const struct answer *b)
{
    ck_assert_uint_eq(a->n_priors, b->n_priors);
    ck_assert_mem_eq(&a->v, &b->v, sizeof a->v);
    ck_assert_mem_eq(&a->d, &b->d, sizeof a->d);
    ck_assert_mem_eq(a->priors, b->priors, a->n_priors * sizeof(float));
}

/* What the evaluator says of it alone, with the position as it is. */
static void direct(const struct game *game, struct evaluator *evaluator, const void *state,
                   struct answer *ret)
{
    uint16_t legal[GAME_MAX_LEGAL];
    struct evaluator_request request = {state, game->legal(state, legal), legal};
    struct evaluation evaluation;
    evaluator_run(evaluator, &request, 1, &evaluation);
    take(&evaluation, 0, ret);
}

static const char *const game_names[] = {"connect4", "tictactoe"};

/* _i: game. Tic-tac-toe's mirror image does not simply turn the order of moves round. */
START_TEST(answers_are_the_nets_from_batch_and_cache_and_for_mirror_images)
{
    enum { N = 40, BOTH = 2 * N, ASKED = 2 * BOTH };
    const struct game *game = game_find(game_names[_i]);
    struct evaluator *evaluator = evaluator_of(game, 3, BOTH);
    struct eval_cache *cache = eval_cache_create(4096, game->max_legal);
    struct pool *pool = pool_create(game, evaluator, cache, BOTH);
    static struct answer answers[BOTH];
    static union game_state states[BOTH];
    memset(answers, 0, sizeof answers);
    int images = 0;

    for (uint32_t i = 0; i < N; i++) {
        random_position(game, 100 + i, i % 5, &states[i]);
        game->mirror(&states[i], &states[N + i]);
        images += game->is_canonical(&states[i]) ? 0 : 1;
    }
    ck_assert_int_gt(images, 3);                    /* both kinds are there */
    for (uint32_t round = 1; round <= 2; round++) { /* first from the batch, then from the cache */
        for (uint32_t i = 0; i < BOTH; i++) {
            ask(pool, game, &states[i], answers, i);
        }
        uint32_t evaluated = pool_run(pool);
        ck_assert(round == 1 ? evaluated > 0 && evaluated <= N : evaluated == 0);
        for (uint32_t i = 0; i < BOTH; i++) {
            struct answer alone = {0};
            direct(game, evaluator, &states[i], &alone);
            ck_assert_int_eq(answers[i].n, (int)round);
            same_answer(&answers[i], &alone);
        }
    }
    const struct pool_counters *counters = pool_counters(pool);
    ck_assert_uint_eq(counters->lookups, ASKED);
    ck_assert_uint_eq(counters->cache_hits, BOTH);
    ck_assert_uint_eq(counters->lookups,
                      counters->cache_hits + counters->shared + counters->evaluations);
    ck_assert_uint_ge(counters->shared, N); /* each position and its image are one */
    ck_assert_uint_eq(counters->batches, 1);
    pool_destroy(pool);
    eval_cache_destroy(cache);
    evaluator_destroy(evaluator);
}
END_TEST

static void search_to_end(struct pool *pool, struct search *search, const struct game *game,
                          const void *state, struct search_result *ret)
{
    struct search_params params = search_params_default;
    params.nodes = 60;
    search_begin(search, &params, state, 9, game->ply(state));
    while (pool_advance(pool, search) == SEARCH_NEEDS_EVALUATION) {
        ck_assert_uint_eq(pool_run(pool), 1);
    }
    memset(ret, 0, sizeof *ret);
    search_result(search, ret);
}

static void same_result(const struct search_result *a, const struct search_result *b)
{
    ck_assert_uint_eq(a->nodes, b->nodes);
    ck_assert_uint_eq(a->n_moves, b->n_moves);
    ck_assert_mem_eq(&a->q, &b->q, sizeof a->q);
    ck_assert_mem_eq(&a->greedy_q, &b->greedy_q, sizeof a->greedy_q);
    for (uint32_t i = 0; i < a->n_moves; i++) {
        ck_assert_uint_eq(a->moves[i].visits, b->moves[i].visits);
        ck_assert_mem_eq(&a->moves[i].q, &b->moves[i].q, sizeof a->moves[i].q);
    }
}

START_TEST(searches_side_by_side_end_as_they_do_alone_with_or_without_cache)
{
    enum { N = 16 };
    const struct game *game = game_find("connect4");
    struct evaluator *evaluator = evaluator_of(game, 4, N);
    struct eval_cache *cache =
        eval_cache_create(64, game->max_legal); /* so small that it forgets */
    struct pool *alone = pool_create(game, evaluator, NULL, 1);
    struct pool *together = pool_create(game, evaluator, cache, N);
    struct search *searches[N];
    union game_state state;
    struct search_params params = search_params_default;
    params.nodes = 60;

    for (uint32_t i = 0; i < N; i++) {
        random_position(game, i, 4 + i / 2, &state);
        searches[i] = search_create(game);
        search_begin(searches[i], &params, &state, 9, game->ply(&state));
    }
    do {
        for (uint32_t i = 0; i < N; i++) {
            (void)pool_advance(together, searches[i]);
        }
    } while (pool_run(together) > 0);
    ck_assert_uint_gt(pool_counters(together)->cache_hits, 0);
    struct search *single = search_create(game);
    for (uint32_t i = 0; i < N; i++) {
        static struct search_result one;
        static struct search_result among;
        random_position(game, i, 4 + i / 2, &state);
        search_to_end(alone, single, game, &state, &one);
        memset(&among, 0, sizeof among);
        search_result(searches[i], &among);
        same_result(&one, &among);
        search_destroy(searches[i]);
    }
    search_destroy(single);
    pool_destroy(alone);
    pool_destroy(together);
    eval_cache_destroy(cache);
    evaluator_destroy(evaluator);
}
END_TEST

START_TEST(another_net_forgets_the_cache_and_what_waits)
{
    const struct game *game = game_find("connect4");
    struct evaluator *first = evaluator_of(game, 1, 4);
    struct evaluator *second = evaluator_of(game, 2, 4);
    struct eval_cache *cache = eval_cache_create(64, game->max_legal);
    struct pool *pool = pool_create(game, NULL, cache, 4);
    struct answer answers[3] = {{0}};
    struct answer expected = {0};
    union game_state a;
    union game_state b;
    random_position(game, 1, 3, &a);
    random_position(game, 2, 5, &b);

    pool_set_evaluator(pool, first);
    ask(pool, game, &a, answers, 0);
    ck_assert_uint_eq(pool_run(pool), 1);
    ask(pool, game, &b, answers, 1);
    ck_assert_uint_eq(pool_waiting(pool), 1);
    pool_set_evaluator(pool, second);
    ck_assert_uint_eq(pool_waiting(pool), 0);
    ck_assert_uint_eq(pool_run(pool), 0);
    ck_assert_int_eq(answers[1].n, 0); /* dropped */
    ask(pool, game, &a, answers, 2);
    ck_assert_uint_eq(pool_run(pool), 1); /* not from the cache */
    direct(game, second, &a, &expected);
    same_answer(&answers[2], &expected);
    ck_assert_float_ne(answers[0].v, answers[2].v);
    pool_destroy(pool);
    eval_cache_destroy(cache);
    evaluator_destroy(first);
    evaluator_destroy(second);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("pool");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, answers_are_the_nets_from_batch_and_cache_and_for_mirror_images, 0,
                        2);
    tcase_add_test(cases, searches_side_by_side_end_as_they_do_alone_with_or_without_cache);
    tcase_add_test(cases, another_net_forgets_the_cache_and_what_waits);
    Suite *suite = suite_create("pool");
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
