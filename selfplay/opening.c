#include "selfplay/opening.h"

#include "mcts/random.h"
#include "storage/error.h"

#include <stdlib.h>
#include <string.h>

enum {
    SHARE = 0, /* indices of the draws of a game; the moves' are above */
    LENGTH = 1,
    FIRST_MOVE = 2,
    MAX_TRIES = 64, /* random moves end few games so early; after these the usual start it is */
};

/* One try at `plies` random moves. False: the game is over behind them. */
static bool try_moves(const struct game *game, uint32_t plies, uint64_t seed, uint64_t first_index,
                      char ret_opening[GAME_MAX_OPENING_TEXT])
{
    union game_state state;
    uint16_t legal[GAME_MAX_LEGAL];
    const char *why = NULL;
    size_t length = 0;

    ret_opening[0] = '\0';
    if (!game->init(state.bytes, "", &why)) {
        return false;
    }
    for (uint32_t ply = 0; ply < plies; ply++) {
        uint32_t n = game->legal(state.bytes, legal);
        if (n == 0 || length + GAME_MAX_ACTION_TEXT >= GAME_MAX_OPENING_TEXT) {
            return false;
        }
        double u = random_uniform(seed, 0, RANDOM_OPENING, first_index + ply);
        uint16_t action = legal[(uint32_t)(u * n)];
        game->action_format(state.bytes, action, ret_opening + length);
        length += strlen(ret_opening + length);
        game->play(state.bytes, action);
    }
    return game->legal(state.bytes, legal) > 0;
}

void opening_draw(const struct game *game, const struct opening_params *params, uint64_t seed,
                  char ret_opening[GAME_MAX_OPENING_TEXT])
{
    ret_opening[0] = '\0';
    if (params->plies == 0 ||
        random_uniform(seed, 0, RANDOM_OPENING, SHARE) >= (double)params->share) {
        return;
    }
    double u = random_uniform(seed, 0, RANDOM_OPENING, LENGTH);
    uint32_t plies = 1 + (uint32_t)(u * params->plies);
    for (uint64_t attempt = 0; attempt < MAX_TRIES; attempt++) {
        if (try_moves(game, plies, seed, FIRST_MOVE + attempt * plies, ret_opening)) {
            return;
        }
    }
    ret_opening[0] = '\0';
}

/* ---- openings of matches ---- */
struct found {
    struct game_key key;
    uint64_t rank; /* in the drawn order */
    struct opening_line line;
};

struct finder {
    const struct game *game;
    struct found *found;
    size_t n, room;
    struct opening_line line; /* being tried */
};

struct game_key opening_canonical_key(const struct game *game, const void *state)
{
    union game_state image;

    if (!game->has_mirror || game->is_canonical(state)) {
        return game->key(state);
    }
    game->mirror(state, &image);
    return game->key(&image);
}

static int add_found(struct finder *finder, const void *state)
{
    if (finder->n == finder->room) {
        size_t room = finder->room == 0 ? 1024 : 2 * finder->room;
        struct found *found = reallocarray(finder->found, room, sizeof *found);
        if (found == NULL) {
            return ERROR_NO_MEMORY;
        }
        finder->found = found;
        finder->room = room;
    }
    finder->found[finder->n++] = (struct found){
        .key = opening_canonical_key(finder->game, state), .rank = 0, .line = finder->line};
    return 0;
}

/* Every line of moves below `state`, in the order of actions. The depth is OPENING_MATCH_PLIES. */
static int find_lines(struct finder *finder, const union game_state *state, uint32_t ply)
{
    const struct game *game = finder->game;
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = game->legal(state, legal); /* 0: the game is over */
    int r = 0;

    if (ply == OPENING_MATCH_PLIES) {
        return n == 0 ? 0 : add_found(finder, state);
    }
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        union game_state next;
        memcpy(&next, state, game->state_bytes);
        game->play(&next, legal[i]);
        finder->line.actions[ply] = legal[i];
        r = find_lines(finder, &next, ply + 1);
    }
    return r;
}

static int compare_keys(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    if (x->key.hi != y->key.hi) {
        return x->key.hi < y->key.hi ? -1 : 1;
    }
    if (x->key.lo != y->key.lo) {
        return x->key.lo < y->key.lo ? -1 : 1;
    }
    for (int ply = 0; ply < OPENING_MATCH_PLIES; ply++) {
        if (x->line.actions[ply] != y->line.actions[ply]) {
            return x->line.actions[ply] < y->line.actions[ply] ? -1 : 1;
        }
    }
    return 0;
}

static int compare_ranks(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    return x->rank == y->rank ? compare_keys(a, b) : x->rank < y->rank ? -1 : 1;
}

int opening_list(const struct game *game, uint64_t seed, struct opening_line **ret, size_t *ret_n)
{
    struct finder finder = {.game = game};
    union game_state start;
    size_t n = 0;

    int r = game->init(&start, "", NULL) ? find_lines(&finder, &start, 0) : 0;
    struct opening_line *lines = malloc((finder.n + 1) * sizeof *lines);
    if (r < 0 || lines == NULL) {
        free(finder.found);
        free(lines);
        return ERROR_NO_MEMORY;
    }
    if (finder.n > 0) {
        qsort(finder.found, finder.n, sizeof *finder.found, compare_keys);
    }
    for (size_t i = 0; i < finder.n; i++) {
        const struct game_key *last = &finder.found[n == 0 ? 0 : n - 1].key;
        const struct game_key *key = &finder.found[i].key;
        if (n == 0 || key->hi != last->hi || key->lo != last->lo) {
            finder.found[n] = finder.found[i];
            finder.found[n].rank = random_u64(seed, OPENING_MATCH_PLIES, RANDOM_MATCH, n);
            n++;
        }
    }
    if (n > 0) {
        qsort(finder.found, n, sizeof *finder.found, compare_ranks);
    }
    for (size_t i = 0; i < n; i++) {
        lines[i] = finder.found[i].line;
    }
    free(finder.found);
    *ret = lines;
    *ret_n = n;
    return 0;
}

void opening_text(const struct game *game, const struct opening_line *line,
                  char ret_opening[GAME_MAX_OPENING_TEXT])
{
    union game_state state;
    size_t length = 0;

    ret_opening[0] = '\0';
    (void)game->init(&state, "", NULL);
    for (int ply = 0; ply < OPENING_MATCH_PLIES; ply++) {
        game->action_format(&state, line->actions[ply], ret_opening + length);
        length += strlen(ret_opening + length);
        game->play(&state, line->actions[ply]);
    }
}
