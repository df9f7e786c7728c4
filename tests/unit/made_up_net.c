#include "tests/unit/made_up_net.h"

#include "mcts/games/connect4.h"
#include "mcts/random.h"

#include <check.h>
#include <string.h>

void net_uniform(const struct game *game, const struct search_leaf *leaf, float *priors,
                 struct evaluation *ret)
{
    (void)game;
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        priors[i] = 1.0F / (float)leaf->n_legal;
    }
    *ret = (struct evaluation){0.0F, 0.0F, 0.0F, leaf->n_legal, priors};
}

void net_by_key(const struct game *game, const struct search_leaf *leaf, float *priors,
                struct evaluation *ret)
{
    struct game_key key = game->key(leaf->state);
    uint64_t seed = key.lo ^ key.hi * 31;
    float sum = 0.0F;
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        double u = random_uniform(seed, 0, RANDOM_TEST, 10 + leaf->legal[i]);
        priors[i] = (float)(0.02 + u * u * u);
        sum += priors[i];
    }
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        priors[i] /= sum;
    }
    double v = 1.4 * random_uniform(seed, 0, RANDOM_TEST, 0) - 0.7;
    double d = 0.3 * random_uniform(seed, 0, RANDOM_TEST, 1);
    double m = 42.0 * random_uniform(seed, 0, RANDOM_TEST, 2);
    *ret = (struct evaluation){(float)v, (float)d, (float)m, leaf->n_legal, priors};
}

void search_finish(struct search *search, const struct game *game, made_up_net net,
                   struct search_result *ret)
{
    struct search_leaf leaf;
    struct evaluation evaluation;
    float priors[GAME_MAX_LEGAL];
    enum search_status status;

    while ((status = search_next(search, &leaf)) == SEARCH_NEEDS_EVALUATION) {
        net(game, &leaf, priors, &evaluation);
        search_apply(search, &evaluation);
    }
    ck_assert_int_eq(status, SEARCH_DONE);
    /* A field that search_result() forgets must not compare equal by luck. */
    memset(ret, 0xa5, sizeof(*ret));
    search_result(search, ret);
}

void state_at(const struct game *game, const char *moves, union game_state *ret)
{
    const char *why;
    size_t bad;
    memset(ret, 0, sizeof(*ret));
    if (!game->init(ret, "", &why) || !game_play_text(game, ret, moves, &bad)) {
        ck_abort_msg("%s: no such line", moves); /* cheaper than an assertion, which writes */
    }
}

void state_random(const struct game *game, uint64_t seed, uint32_t plies, union game_state *ret)
{
    for (uint64_t attempt = 0;; attempt++) {
        uint16_t legal[GAME_MAX_LEGAL];
        state_at(game, "", ret);
        uint32_t n = game->legal(ret, legal);
        for (uint32_t ply = 0; ply < plies && n > 0; ply++) {
            uint64_t draw = random_u64(seed, ply, RANDOM_TEST, attempt);
            game->play(ret, legal[draw % n]);
            n = game->legal(ret, legal);
        }
        if (n > 0) {
            return;
        }
    }
}

struct search_params search_quiet(uint32_t nodes, bool solver)
{
    struct search_params params = search_params_default;
    params.nodes = nodes;
    params.noise_share = 0.0F;
    params.solver = solver;
    return params;
}

void search_run(const struct game *game, made_up_net net, const struct search_params *params,
                const void *state, uint64_t seed, struct search_result *ret)
{
    struct search *search = search_create(game);
    ck_assert_ptr_nonnull(search);
    search_begin(search, params, state, seed, game->ply(state));
    search_finish(search, game, net, ret);
    search_destroy(search);
}

void search_run_moves(const char *moves, made_up_net net, const struct search_params *params,
                      struct search_result *ret)
{
    union game_state state;
    state_at(&connect4, moves, &state);
    search_run(&connect4, net, params, &state, 1, ret);
}
