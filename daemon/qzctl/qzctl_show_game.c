/* show: one game, its board move by move beside what net and search said of each position. */
#include "daemon/qzctl/qzctl_games.h"

#include "daemon/qzctl/board.h"
#include "mcts/game.h"
#include "storage/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_PLY = 1 };
enum { MAX_TOP = 4, FACTS = 6 };

/* The game being shown, at one of its positions. */
struct showing {
    const struct game *rules;
    union game_state state;
    const json_t *game;
    bool color;
};

struct visit {
    uint16_t action;
    int64_t visits;
};

static int take_ply(int option, const char *value, void *context)
{
    (void)option;
    return qzctl_number("--ply", value, 0, RECORD_MAX_PLIES, context);
}

/* ---- facts of a row ---- */

static double real_at(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static bool known(const json_t *row, const char *key)
{
    return json_is_number(json_object_get(row, key));
}

static const char *text_at(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text == NULL ? "" : text;
}

/* The move's notation; false where the store names one that is not legal. */
static bool move_text(const struct showing *s, const json_t *action, char ret[GAME_MAX_ACTION_TEXT])
{
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = s->rules->legal(&s->state, legal);
    for (uint32_t i = 0; i < n; i++) {
        if (json_is_integer(action) && json_integer_value(action) == legal[i]) {
            s->rules->action_format(&s->state, legal[i], ret);
            return true;
        }
    }
    snprintf(ret, GAME_MAX_ACTION_TEXT, "-");
    return false;
}

static int by_visits(const void *a, const void *b)
{
    const struct visit *x = a;
    const struct visit *y = b;
    if (x->visits != y->visits) {
        return x->visits > y->visits ? -1 : 1;
    }
    return (int)x->action - (int)y->action;
}

/* Most visited first. Returns how many. */
static uint32_t read_visits(const json_t *row, struct visit ret[GAME_MAX_LEGAL])
{
    json_t *policy = json_loads(text_at(row, "policy"), 0, NULL);
    const json_t *entry;
    size_t i;
    uint32_t n = 0;
    json_array_foreach(policy, i, entry)
    {
        if (n < GAME_MAX_LEGAL) {
            ret[n++] =
                (struct visit){(uint16_t)json_integer_value(json_object_get(entry, "action")),
                               json_integer_value(json_object_get(entry, "visits"))};
        }
    }
    json_decref(policy);
    qsort(ret, n, sizeof *ret, by_visits);
    return n;
}

static const char *proof_text(const json_t *row)
{
    if (!known(row, "proven")) {
        return "";
    }
    double proven = real_at(row, "proven");
    return proven > 0 ? ", proven win" : proven < 0 ? ", proven loss" : ", proven draw";
}

static void value_text(const json_t *row, const char *q_key, const char *d_key, const char *label,
                       char ret[BOARD_NOTE_BYTES])
{
    if (!known(row, q_key)) {
        snprintf(ret, BOARD_NOTE_BYTES, "%-7s-", label);
        return;
    }
    double q = real_at(row, q_key);
    double d = real_at(row, d_key);
    double win = (1 - d + q) / 2;
    snprintf(ret, BOARD_NOTE_BYTES, "%-7s%+.3f  win %2.0f draw %2.0f loss %2.0f %%", label, q,
             100 * win, 100 * d, 100 * (1 - d - win));
}

static void visits_text(const struct showing *s, const json_t *row, char ret[BOARD_NOTE_BYTES])
{
    struct visit visits[GAME_MAX_LEGAL];
    uint32_t n = read_visits(row, visits);
    int used = snprintf(ret, BOARD_NOTE_BYTES, "visits ");
    for (uint32_t i = 0; i < n && i < MAX_TOP; i++) {
        char move[GAME_MAX_ACTION_TEXT];
        json_t *action = json_integer(visits[i].action);
        (void)move_text(s, action, move);
        json_decref(action);
        used += snprintf(ret + used, (size_t)(BOARD_NOTE_BYTES - used), "%s%s %lld",
                         i > 0 ? ", " : "", move, (long long)visits[i].visits);
    }
    if (n > MAX_TOP) {
        (void)snprintf(ret + used, (size_t)(BOARD_NOTE_BYTES - used), ", ...");
    }
}

/* What stands beside the board. Returns how many lines. */
static uint32_t facts_of(const struct showing *s, const json_t *row,
                         char ret[FACTS][BOARD_NOTE_BYTES])
{
    char played[GAME_MAX_ACTION_TEXT];
    char best[GAME_MAX_ACTION_TEXT];
    (void)move_text(s, json_object_get(row, "action"), played);
    (void)move_text(s, json_object_get(row, "best_action"), best);
    snprintf(ret[0], BOARD_NOTE_BYTES, "ply %lld, %s player plays %s",
             (long long)json_integer_value(json_object_get(row, "ply")),
             s->rules->side_to_move(&s->state) == 0 ? "first" : "second", played);
    value_text(row, "q", "d", "search", ret[1]);
    value_text(row, "v", "v_d", "net", ret[2]);
    visits_text(s, row, ret[3]);
    snprintf(ret[4], BOARD_NOTE_BYTES, "best %s, %lld nodes (%s), kld %.2f%s", best,
             (long long)json_integer_value(json_object_get(row, "nodes")), text_at(row, "kind"),
             real_at(row, "kld"), proof_text(row));
    char z[32] = "not over";
    if (known(row, "z")) {
        snprintf(z, sizeof z, "z %+.0f", real_at(row, "z"));
    }
    if (known(row, "generation")) {
        snprintf(ret[5], BOARD_NOTE_BYTES, "%s; net %lld, generation %lld", z,
                 (long long)json_integer_value(json_object_get(row, "net_id")),
                 (long long)json_integer_value(json_object_get(row, "generation")));
    } else {
        snprintf(ret[5], BOARD_NOTE_BYTES, "%s; not searched", z);
    }
    return FACTS;
}

/* Every move of one position. */
static int put_visits(const struct showing *s, const json_t *row)
{
    struct visit visits[GAME_MAX_LEGAL];
    uint32_t n = read_visits(row, visits);
    struct table *table = table_create();
    double all = 0;
    if (n == 0 || table == NULL) {
        table_destroy(table);
        return QZCTL_OK;
    }
    table_column(table, "move", TABLE_LEFT, 0);
    table_column(table, "visits", TABLE_RIGHT, 0);
    table_column(table, "share%", TABLE_RIGHT, 0);
    for (uint32_t i = 0; i < n; i++) {
        all += (double)visits[i].visits;
    }
    for (uint32_t i = 0; i < n; i++) {
        char move[GAME_MAX_ACTION_TEXT];
        json_t *action = json_integer(visits[i].action);
        (void)move_text(s, action, move);
        json_decref(action);
        table_cell(table, move);
        table_cellf(table, "%lld", (long long)visits[i].visits);
        table_cellf(table, "%.1f", all > 0 ? 100 * (double)visits[i].visits / all : 0.0);
    }
    return qzctl_put_table(table, 0);
}

/* ---- the whole game ---- */

static const char *result_text(const json_t *game)
{
    if (strcmp(text_at(game, "state"), "finished") != 0) {
        return text_at(game, "state");
    }
    double outcome = real_at(game, "first_player_outcome");
    return outcome > 0 ? "the first player won" : outcome < 0 ? "the second player won" : "a draw";
}

static void put_head(const struct showing *s)
{
    char when[64];
    const json_t *game = s->game;
    qzctl_time_text(json_integer_value(json_object_get(game, "started_at")), when);
    printf("game %lld, uid %s\n%s, %s; %lld plies, %s",
           (long long)json_integer_value(json_object_get(game, "id")), text_at(game, "uid"),
           s->rules->title, text_at(game, "kind"),
           (long long)json_integer_value(json_object_get(game, "plies")), result_text(game));
    if (*text_at(game, "reason") != '\0') {
        printf(" (%s)", text_at(game, "reason"));
    }
    printf("\nbegun %s on ", when);
    table_put_safe(text_at(game, "host"), stdout);
    printf(", seed %lld", (long long)json_integer_value(json_object_get(game, "seed")));
    if (*text_at(game, "opening") != '\0') {
        printf(", opening ");
        table_put_safe(text_at(game, "opening"), stdout);
    }
    if (known(game, "would_resign_ply")) {
        printf("\nthe %s player would have resigned at ply %.0f",
               real_at(game, "would_resign_side") > 0 ? "second" : "first",
               real_at(game, "would_resign_ply"));
    }
    putchar('\n');
}

/* Play the row's move; false, having said so, where the rules forbid it. */
static bool play_row(struct showing *s, const json_t *row)
{
    char text[GAME_MAX_ACTION_TEXT];
    const json_t *action = json_object_get(row, "action");
    if (!move_text(s, action, text)) {
        (void)qzctl_fail("ply %lld: action %lld is not legal there (qzctl check, qzctl replay)",
                         (long long)json_integer_value(json_object_get(row, "ply")),
                         (long long)json_integer_value(action));
        return false;
    }
    s->rules->play(&s->state, (uint16_t)json_integer_value(action));
    return true;
}

static int put_game(struct showing *s, const json_t *positions, int64_t ply)
{
    char facts[FACTS][BOARD_NOTE_BYTES];
    const json_t *row;
    size_t i;
    put_head(s);
    json_array_foreach(positions, i, row)
    {
        if (ply < 0 || (int64_t)i == ply) {
            uint32_t n = facts_of(s, row, facts);
            putchar('\n');
            board_print(s->rules, &s->state, s->color, facts, n, stdout);
        }
        if ((int64_t)i == ply) {
            putchar('\n');
            return put_visits(s, row);
        }
        if (!play_row(s, row)) {
            return QZCTL_FAILED;
        }
    }
    snprintf(facts[0], BOARD_NOTE_BYTES, "%s", result_text(s->game));
    putchar('\n');
    board_print(s->rules, &s->state, s->color, facts, 1, stdout);
    return qzctl_flush();
}

/* Moves in the game's notation and visits as objects, beside what the store has. */
static int put_game_json(struct showing *s, json_t *positions, int64_t ply)
{
    json_t *shown = json_array();
    json_t *row;
    size_t i;
    json_array_foreach(positions, i, row)
    {
        char text[GAME_MAX_ACTION_TEXT];
        json_t *entry;
        size_t e;
        json_t *policy = json_loads(text_at(row, "policy"), 0, NULL);
        (void)move_text(s, json_object_get(row, "action"), text);
        (void)json_object_set_new(row, "move", json_string(text));
        (void)move_text(s, json_object_get(row, "best_action"), text);
        (void)json_object_set_new(row, "best", json_string(text));
        json_array_foreach(policy, e, entry)
        {
            (void)move_text(s, json_object_get(entry, "action"), text);
            (void)json_object_set_new(entry, "move", json_string(text));
        }
        (void)json_object_set_new(row, "policy", policy == NULL ? json_null() : policy);
        if (ply < 0 || (int64_t)i == ply) {
            (void)json_array_append(shown, row);
        }
        if (!play_row(s, row)) {
            json_decref(shown);
            return QZCTL_FAILED;
        }
    }
    return qzctl_put_object(json_pack("{s:O, s:o}", "game", s->game, "positions", shown));
}

static int find_game(struct qzctl *qzctl, const char *which, json_t **ret_rows)
{
    char condition[GAME_CONDITION_BYTES];
    if (!qzctl_game_condition(which, condition)) {
        return qzctl_fail("%s: neither \"last\", an id, nor 4 digits or more of a uid", which);
    }
    int r = qzctl_select(qzctl, 2, ret_rows, "SELECT * FROM games WHERE %s LIMIT 2", condition);
    if (r == QZCTL_OK && json_array_size(*ret_rows) != 1) {
        r = qzctl_fail(
            json_array_size(*ret_rows) == 0 ? "%s: no such game" : "%s: more than one game", which);
    }
    return r;
}

static int show(struct qzctl *qzctl, const json_t *game, int64_t ply)
{
    struct showing s = {
        .game = game, .rules = game_find(text_at(game, "game")), .color = qzctl_wants_color()};
    const char *why = NULL;
    json_t *positions = NULL;
    if (s.rules == NULL) {
        return qzctl_fail("no game is called %s", text_at(game, "game"));
    }
    if (!s.rules->init(&s.state, text_at(game, "opening"), &why)) {
        return qzctl_fail("the opening \"%s\" is none: %s", text_at(game, "opening"), why);
    }
    int r = qzctl_select(qzctl, RECORD_MAX_PLIES, &positions,
                         "SELECT p.ply, p.action, p.best_action, p.q, p.d, p.best_q, p.best_d,"
                         " p.greedy_q, p.greedy_d, p.played_q, p.played_d, p.v, p.v_d, p.m, p.z,"
                         " p.nodes, p.kld, p.proven, p.kind, policy_json(p.policy) AS policy,"
                         " s.net_id, n.generation FROM positions p"
                         " LEFT JOIN searches s ON s.id = p.search_id"
                         " LEFT JOIN nets n ON n.id = s.net_id"
                         " WHERE p.game_id = %lld ORDER BY p.ply",
                         (long long)json_integer_value(json_object_get(game, "id")));
    if (r == QZCTL_OK && ply >= (int64_t)json_array_size(positions)) {
        r = qzctl_fail("the game has %zu plies, the first is 0", json_array_size(positions));
    } else if (r == QZCTL_OK) {
        r = qzctl->json ? put_game_json(&s, positions, ply) : put_game(&s, positions, ply);
    }
    json_decref(positions);
    return r;
}

static int run_show(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv)
{
    static const struct option own[] = {{"ply", required_argument, NULL, OPTION_PLY}, {0}};
    json_t *rows = NULL;
    int64_t ply = -1;
    int first = 0;
    int r = qzctl_parse(qzctl, command, argc, argv, own, take_ply, &ply, &first);
    if (r >= 0) {
        return r;
    }
    if (argc - first != 1) {
        return qzctl_usage(command, "one game is needed");
    }
    r = find_game(qzctl, argv[first], &rows);
    if (r == QZCTL_OK) {
        r = show(qzctl, json_array_get(rows, 0), ply);
    }
    json_decref(rows);
    return r;
}

const struct qzctl_command qzctl_show_game = {
    "show",
    "GAME",
    "a game move by move: the board, and what net and search said",
    "  --ply N   this position only, with the visits of every move\n"
    "\n"
    "GAME is an id, the first 4 digits or more of a uid, or \"last\" (\"qzctl games\" lists "
    "them).\n"
    "Values are of the side to move: search is q after all visits, net is v, the net alone; z is\n"
    "the game's result. visits: the most searched moves.\n"
    "\n"
    "Examples:\n"
    "  qzctl show last | less\n"
    "  qzctl show 17 --ply 12\n"
    "  qzctl show 3f2a --json | jq '.positions[] | [.ply, .move, .q, .z]'\n",
    run_show,
};
