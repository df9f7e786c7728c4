/* What the tree costs when evaluations are free: Connect Four positions of 0 to 27 plies, each
 * searched with 800 nodes, reuse off. Two evaluators: uniform, and one that hashes the key, whose
 * trees are narrower and deeper. Best of several rounds, as other load only ever slows one down. */
#include "mcts/games/connect4.h"
#include "mcts/random.h"
#include "mcts/search.h"
#include "storage/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_POSITIONS = 256, ROUNDS = 7, SEED = 20 };

static void make_position(uint64_t index, struct connect4_state *ret)
{
    const char *why;
    uint32_t plies = (uint32_t)(random_u64(SEED, 0, RANDOM_TEST, index) % 28);
    for (uint64_t attempt = 0;; attempt++) {
        connect4.init(ret, "", &why);
        for (uint32_t ply = 0; ply <= plies; ply++) {
            uint16_t legal[GAME_MAX_LEGAL];
            uint32_t n = connect4.legal(ret, legal);
            if (n == 0) {
                break;
            }
            if (ply == plies) {
                return;
            }
            uint64_t draw = random_u64(SEED, ply + 1, RANDOM_TEST, index << 16 | attempt);
            connect4.play(ret, legal[draw % n]);
        }
    }
}

/* Cheap on purpose: the tree is measured, not the evaluator. */
static void evaluate(const struct search_leaf *leaf, bool hash, float *priors,
                     struct evaluation *ret)
{
    uint64_t bits = 0;
    if (hash) {
        bits = connect4.key(leaf->state).lo * 0x9e3779b97f4a7c15U;
        bits ^= bits >> 29;
        bits *= 0xbf58476d1ce4e5b9U;
    }
    float sum = 0.0F;
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        priors[i] = 1.0F + (float)(bits >> (8 * i) & 0xff) / 32.0F;
        sum += priors[i];
    }
    for (uint32_t i = 0; i < leaf->n_legal; i++) {
        priors[i] /= sum;
    }
    ret->v = hash ? (float)(bits >> 56) / 128.0F - 1.0F : 0.0F;
    ret->d = 0.0F;
    ret->m = 0.0F;
    ret->n_priors = leaf->n_legal;
    ret->priors = priors;
}

static void run(const struct connect4_state *positions, bool hash, bool solver)
{
    struct search_params params = search_params_default;
    struct search *search = search_create(&connect4);
    double best = 1e9;
    uint64_t nodes = 0;
    uint64_t evaluations = 0;

    if (search == NULL) {
        exit(1);
    }
    params.solver = solver;
    for (int round = 0; round < ROUNDS; round++) {
        nodes = 0;
        evaluations = 0;
        double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (uint32_t i = 0; i < N_POSITIONS; i++) {
            struct search_leaf leaf;
            struct evaluation evaluation;
            struct search_result result;
            float priors[GAME_MAX_LEGAL];
            search_begin(search, &params, &positions[i], i, 0);
            while (search_next(search, &leaf) == SEARCH_NEEDS_EVALUATION) {
                evaluate(&leaf, hash, priors, &evaluation);
                search_apply(search, &evaluation);
                evaluations++;
            }
            search_result(search, &result);
            nodes += result.nodes;
        }
        double seconds = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start;
        best = seconds < best ? seconds : best;
    }
    printf("{\"bench\":\"search\",\"game\":\"connect4\",\"evaluator\":\"%s\",\"solver\":%s,"
           "\"positions\":%d,\"nodes\":%llu,\"evaluations\":%llu,\"ns_per_node\":%.1f,"
           "\"nodes_per_s\":%.0f,\"ms_per_position\":%.4f,\"bytes\":%zu}\n",
           hash ? "hash" : "uniform", solver ? "true" : "false", N_POSITIONS,
           (unsigned long long)nodes, (unsigned long long)evaluations, best * 1e9 / (double)nodes,
           (double)nodes / best, best * 1e3 / N_POSITIONS, search_bytes(search));
    search_destroy(search);
}

int main(void)
{
    struct connect4_state positions[N_POSITIONS];
    for (uint32_t i = 0; i < N_POSITIONS; i++) {
        make_position(i, &positions[i]);
    }
    run(positions, false, false);
    run(positions, false, true);
    run(positions, true, false);
    run(positions, true, true);
    return 0;
}
