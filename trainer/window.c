#include "trainer/window.h"
#include "storage/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SNAPSHOT_BYTES = 64, /* about what a ply may cost in kept states */
    GAMES_A_READ = 200,  /* in one short read transaction */
};

struct window_game {
    size_t first_action;
    size_t first_snapshot;
};

void window_init(struct window *window, const struct window_params *params)
{
    *window = (struct window){.params = *params};
    window->snapshot_every =
        (uint32_t)((params->game->state_bytes + SNAPSHOT_BYTES - 1) / SNAPSHOT_BYTES);
}

void window_finish(struct window *window)
{
    free(window->drawn.rows);
    free(window->held_out.rows);
    free(window->policy_actions);
    free(window->policy_shares);
    free(window->games);
    free(window->actions);
    free(window->snapshots);
    *window = (struct window){0};
}

/* Room for `more` items behind n in an array of *room; false: out of memory. */
static bool grow(void **array, size_t item_bytes, size_t n, size_t more, size_t *room)
{
    if (n + more <= *room) {
        return true;
    }
    size_t wanted = *room == 0 ? 1024 : *room + *room / 2;
    if (wanted < n + more) {
        wanted = n + more;
    }
    void *bigger = realloc(*array, wanted * item_bytes);
    if (bigger == NULL) {
        return false;
    }
    *array = bigger;
    *room = wanted;
    return true;
}

static bool grow_rows(struct window_set *set, uint32_t more)
{
    size_t room = set->room;
    void *rows = set->rows;
    bool ok = grow(&rows, sizeof(*set->rows), set->n, more, &room);
    set->rows = rows;
    set->room = (uint32_t)room;
    return ok;
}

static bool grow_policy(struct window *window, uint32_t more)
{
    size_t room = window->room_policy;
    size_t room_too = window->room_policy;
    void *actions = window->policy_actions;
    void *shares = window->policy_shares;
    bool ok = grow(&actions, sizeof(uint16_t), window->n_policy, more, &room);
    window->policy_actions = actions;
    ok = ok && grow(&shares, sizeof(float), window->n_policy, more, &room_too);
    window->policy_shares = shares;
    if (ok) {
        window->room_policy = (uint32_t)room;
    }
    return ok;
}

/* Room for a whole game, so that what follows cannot fail for memory. */
static bool grow_game(struct window *window, uint32_t n_positions)
{
    size_t room_games = window->room_games;
    void *games = window->games;
    void *actions = window->actions;
    void *snapshots = window->snapshots;
    bool ok = grow(&games, sizeof(*window->games), window->n_games, 1, &room_games);
    window->games = games;
    window->room_games = (uint32_t)room_games;
    ok = ok &&
         grow(&actions, sizeof(uint16_t), window->n_actions, n_positions, &window->room_actions);
    window->actions = actions;
    ok = ok && grow(&snapshots, window->params.game->state_bytes, window->n_snapshots,
                    n_positions / window->snapshot_every + 1, &window->room_snapshots);
    window->snapshots = snapshots;
    return ok && grow_rows(&window->drawn, n_positions) &&
           grow_rows(&window->held_out, n_positions);
}

static bool contains(const uint16_t *legal, uint32_t n_legal, uint16_t action)
{
    for (uint32_t i = 0; i < n_legal; i++) {
        if (legal[i] == action) {
            return true;
        }
    }
    return false;
}

/* The position's visits, as shares, into the window; row->n_policy says how many. */
static int add_policy(struct window *window, const struct record_position *position,
                      const uint16_t *legal, uint32_t n_legal, struct window_row *row,
                      struct error *err)
{
    struct policy_entry entries[GAME_MAX_LEGAL];
    double total = 0.0;

    row->first_policy = window->n_policy;
    row->n_policy = 0;
    if (position->policy_bytes == 0) {
        return 0;
    }
    int n = policy_decode(position->policy, position->policy_bytes, entries, GAME_MAX_LEGAL);
    if (n < 0) {
        return error_set(err, n, "the policy does not decode");
    }
    for (int i = 0; i < n; i++) {
        if (!contains(legal, n_legal, entries[i].action)) {
            return error_set(err, ERROR_INVALID, "visits of action %u, which is not legal there",
                             entries[i].action);
        }
        total += entries[i].visits;
    }
    if (!grow_policy(window, (uint32_t)n)) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (int i = 0; i < n && total > 0.0; i++) {
        window->policy_actions[window->n_policy] = entries[i].action;
        window->policy_shares[window->n_policy] = (float)(entries[i].visits / total);
        window->n_policy++;
        row->n_policy++;
    }
    return 0;
}

/* What a position's kind weighs; false: it is not drawn. */
static bool weigh(const struct window *window, enum position_kind kind, struct window_row *row)
{
    switch (kind) {
    case POSITION_FULL:
    case POSITION_IMPORT:
        row->policy_weight = 1.0F;
        row->value_weight = 1.0F;
        return true;
    case POSITION_FAST:
        row->policy_weight = window->params.fast_policy_weight;
        row->value_weight = window->params.fast_value_weight;
        return row->policy_weight > 0.0F || row->value_weight > 0.0F;
    case POSITION_FORCED:
        break;
    }
    return false;
}

static int add_position(struct window *window, const struct store_game *game, uint32_t ply,
                        struct wdl target, void *state, struct error *err)
{
    const struct game *rules = window->params.game;
    const struct record_position *position = &game->positions[ply];
    struct window_set *set = game->held_out ? &window->held_out : &window->drawn;
    uint16_t legal[GAME_MAX_LEGAL];
    const uint32_t n_legal = rules->legal(state, legal);
    struct window_row row = {.game = window->n_games, .ply = (uint16_t)ply, .value = target};

    if (position->ply != ply) {
        return error_set(err, ERROR_INVALID, "a position of ply %u stands there", position->ply);
    }
    if (!contains(legal, n_legal, position->action)) {
        return error_set(err, ERROR_INVALID, "action %u is not legal there", position->action);
    }
    if (ply % window->snapshot_every == 0) {
        memcpy(window->snapshots + window->n_snapshots++ * rules->state_bytes, state,
               rules->state_bytes);
    }
    window->actions[window->n_actions++] = position->action;
    if (weigh(window, position->kind, &row)) {
        int r = add_policy(window, position, legal, n_legal, &row, err);
        if (r < 0) {
            return r;
        }
        if (row.n_policy == 0) {
            row.policy_weight = 0.0F;
        }
        set->rows[set->n++] = row;
        if (!game->held_out && !targets_has_q(position, window->params.targets.q)) {
            window->rows_without_q++;
        }
    }
    rules->play(state, position->action);
    return 0;
}

/* The result must be what the rules say of the last position, if they say anything. */
static int check_outcome(const struct window *window, const struct store_game *game,
                         const void *state, struct error *err)
{
    const struct game *rules = window->params.game;
    int value = 0;

    if (!rules->over(state, &value)) {
        return 0; /* resigned, or cut off */
    }
    int first_value = rules->side_to_move(state) == 0 ? value : -value;
    if (first_value != game->first_player_outcome) {
        return error_set(err, ERROR_INVALID,
                         "the rules say %d for the first player, the record says %d", first_value,
                         game->first_player_outcome);
    }
    return 0;
}

static int replay(struct window *window, const struct store_game *game, const struct wdl *targets,
                  union game_state *state, struct error *err)
{
    int r = 0;
    uint32_t ply = 0;

    for (; ply < game->n_positions && r == 0; ply++) {
        r = add_position(window, game, ply, targets[ply], state, err);
    }
    if (r < 0) {
        return error_prefix(err, r, "game %s, ply %u", game->uid, ply - 1);
    }
    r = check_outcome(window, game, state, err);
    return r < 0 ? error_prefix(err, r, "game %s, ply %u", game->uid, ply) : 0;
}

int window_add(struct window *window, const struct store_game *game, struct error *err)
{
    const struct game *rules = window->params.game;
    const struct window before = *window;
    union game_state state;
    const char *why = NULL;

    if (!rules->init(&state, game->opening == NULL ? "" : game->opening, &why)) {
        return error_set(err, ERROR_INVALID, "game %s: the opening \"%s\" is none: %s", game->uid,
                         game->opening, why);
    }
    struct wdl *targets = calloc(game->n_positions + 1, sizeof(*targets));
    if (targets == NULL || !grow_game(window, game->n_positions)) {
        free(targets);
        return error_set(err, ERROR_NO_MEMORY, "game %s: out of memory", game->uid);
    }
    window->games[window->n_games] = (struct window_game){.first_action = window->n_actions,
                                                          .first_snapshot = window->n_snapshots};
    targets_value(game, rules->side_to_move(&state), &window->params.targets, targets);
    int r = replay(window, game, targets, &state, err);
    free(targets);
    if (r < 0) { /* as it was; what has grown stays grown */
        window->drawn.n = before.drawn.n;
        window->held_out.n = before.held_out.n;
        window->n_policy = before.n_policy;
        window->n_actions = before.n_actions;
        window->n_snapshots = before.n_snapshots;
        window->rows_without_q = before.rows_without_q;
        return r;
    }
    window->n_games++;
    return 0;
}

struct reading {
    struct window *window;
    int64_t last_seq;
    struct error *err;
};

static int each_game(struct store_game *game, void *context)
{
    struct reading *reading = context;
    reading->last_seq = game->seq;
    return window_add(reading->window, game, reading->err);
}

int window_read(struct window *window, struct store *store, int64_t first_seq, int64_t last_seq,
                struct error *err)
{
    struct reading reading = {.window = window, .last_seq = first_seq - 1, .err = err};
    int n;

    do { /* short reads, so that no read transaction holds up the writer's log */
        n = store_read_games(store, reading.last_seq, last_seq, GAMES_A_READ, each_game, &reading,
                             err);
    } while (n > 0);
    return n;
}

void window_state(const struct window *window, const struct window_row *row, void *ret_state)
{
    const struct game *rules = window->params.game;
    const struct window_game *game = &window->games[row->game];
    const size_t snapshot = game->first_snapshot + row->ply / window->snapshot_every;
    const uint16_t *actions = window->actions + game->first_action;

    memcpy(ret_state, window->snapshots + snapshot * rules->state_bytes, rules->state_bytes);
    for (uint32_t ply = row->ply - row->ply % window->snapshot_every; ply < row->ply; ply++) {
        rules->play(ret_state, actions[ply]);
    }
}
