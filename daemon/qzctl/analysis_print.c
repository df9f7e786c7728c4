/* An analysis as JSON and as text. */
#include "daemon/qzctl/analysis.h"

#include "daemon/qzctl/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *action_text(const struct game *game, const void *state, uint16_t action)
{
    char text[GAME_MAX_ACTION_TEXT];
    game->action_format(state, action, text);
    return json_string(text);
}

static json_t *line_json(const struct analysis *analysis, const struct game *game)
{
    union game_state state = analysis->state;
    json_t *line = json_array();
    for (uint32_t i = 0; i < analysis->n_line; i++) {
        (void)json_array_append_new(line, action_text(game, &state, analysis->line[i]));
        game->play(&state, analysis->line[i]);
    }
    return line;
}

static json_t *moves_json(const struct analysis *analysis, const struct game *game, bool alone)
{
    json_t *moves = json_array();
    for (uint32_t i = 0; i < analysis->result.n_moves; i++) {
        const struct search_move *move = &analysis->result.moves[i];
        json_t *object =
            json_pack("{s:o, s:i, s:o}", "move", action_text(game, &analysis->state, move->action),
                      "action", (int)move->action, "prior", real((double)move->prior));
        if (!alone) {
            (void)json_object_set_new(object, "visits", json_integer(move->visits));
            (void)json_object_set_new(object, "n", json_integer(move->n));
            (void)json_object_set_new(object, "q", real((double)move->q));
            (void)json_object_set_new(object, "d", real((double)move->d));
            (void)json_object_set_new(object, "proven", json_boolean(move->proven));
        }
        (void)json_array_append_new(moves, object);
    }
    return moves;
}

static void set_result(json_t *object, const struct analysis *analysis, const struct game *game,
                       bool alone)
{
    const struct search_result *result = &analysis->result;
    (void)json_object_set_new(object, "nodes", json_integer(alone ? 0 : result->nodes));
    (void)json_object_set_new(object, "q", real((double)result->q));
    (void)json_object_set_new(object, "d", real((double)result->d));
    (void)json_object_set_new(object, "v", real((double)result->v));
    (void)json_object_set_new(object, "v_d", real((double)result->v_d));
    if (!alone) {
        (void)json_object_set_new(object, "best_q", real((double)result->best_q));
        (void)json_object_set_new(object, "best_d", real((double)result->best_d));
        (void)json_object_set_new(object, "kld", real((double)result->kld));
        (void)json_object_set_new(
            object, "proven", result->proven ? json_integer(result->proven_value) : json_null());
    }
    (void)json_object_set_new(object, "best",
                              action_text(game, &analysis->state, result->best_action));
    (void)json_object_set_new(object, "line", line_json(analysis, game));
    (void)json_object_set_new(object, "moves", moves_json(analysis, game, alone));
}

json_t *analysis_json(const struct analysis *analysis, const struct qzctl_net *net,
                      const struct search_options *options)
{
    json_t *position = json_string(analysis->moves);
    json_t *object =
        json_pack("{s:o}", "position", position == NULL ? json_string("(no UTF-8)") : position);
    if (analysis->refused[0] != '\0') {
        json_t *why = json_string(analysis->refused);
        (void)json_object_set_new(object, "error", why == NULL ? json_string("no UTF-8") : why);
        return object;
    }
    (void)json_object_set_new(object, "game", json_string(net->game->name));
    (void)json_object_set_new(object, "ply", json_integer(net->game->ply(&analysis->state)));
    (void)json_object_set_new(object, "net", qzctl_net_json(net));
    (void)json_object_set_new(object, "over", json_boolean(analysis->over));
    if (analysis->over) {
        (void)json_object_set_new(object, "value", json_integer(analysis->value));
    } else {
        set_result(object, analysis, net->game, options->nodes == 0);
    }
    return object;
}

/* ---- for a person ---- */

static void print_value(const char *label, float q, float d)
{
    double win = (1 - (double)d + (double)q) / 2;
    printf("%-10s%+.4f   win %.1f %%, draw %.1f %%, loss %.1f %%\n", label, (double)q, 100 * win,
           100 * (double)d, 100 * (1 - (double)d - win));
}

static int by_worth(const void *a, const void *b)
{
    const struct search_move *x = a;
    const struct search_move *y = b;
    if (x->visits != y->visits) {
        return x->visits > y->visits ? -1 : 1;
    }
    if (x->prior > y->prior || x->prior < y->prior) {
        return x->prior > y->prior ? -1 : 1;
    }
    return (int)x->action - (int)y->action;
}

static const char *proof_text(const struct search_move *move)
{
    if (!move->proven) {
        return "";
    }
    return move->q > 0 ? "win" : move->q < 0 ? "loss" : "draw";
}

static struct table *moves_table(bool alone)
{
    static const char *const heads[] = {"visits", "share%", "prior%", "q", "draw%", "proven"};
    struct table *table = table_create();
    if (table != NULL) {
        table_column(table, "move", TABLE_LEFT, 0);
        for (size_t i = 0; i < 6; i++) {
            if (!alone || i == 2) {
                table_column(table, heads[i], TABLE_RIGHT, 0);
            }
        }
    }
    return table;
}

static void print_moves(const struct analysis *analysis, const struct game *game, bool alone)
{
    struct search_result sorted = analysis->result;
    struct table *table = moves_table(alone);
    double total = 0;
    if (table == NULL) {
        return;
    }
    qsort(sorted.moves, sorted.n_moves, sizeof *sorted.moves, by_worth);
    for (uint32_t i = 0; i < sorted.n_moves; i++) {
        total += sorted.moves[i].visits;
    }
    for (uint32_t i = 0; i < sorted.n_moves; i++) {
        const struct search_move *move = &sorted.moves[i];
        char text[GAME_MAX_ACTION_TEXT];
        game->action_format(&analysis->state, move->action, text);
        table_cell(table, text);
        if (alone) {
            table_cellf(table, "%.1f", 100 * (double)move->prior);
            continue;
        }
        table_cellf(table, "%u", move->visits);
        table_cellf(table, "%.1f", total > 0 ? 100 * move->visits / total : 0.0);
        table_cellf(table, "%.1f", 100 * (double)move->prior);
        table_cellf(table, "%+.4f", (double)move->q);
        table_cellf(table, "%.1f", 100 * (double)move->d);
        table_cell(table, proof_text(move));
    }
    (void)table_print(table, stdout, 0);
    table_destroy(table);
}

static void print_line(const struct analysis *analysis, const struct game *game)
{
    union game_state state = analysis->state;
    printf("%-10s", analysis->n_line > 1 ? "best line" : "best move");
    for (uint32_t i = 0; i < analysis->n_line; i++) {
        char text[GAME_MAX_ACTION_TEXT];
        game->action_format(&state, analysis->line[i], text);
        printf("%s%s", i > 0 ? " " : "", text);
        game->play(&state, analysis->line[i]);
    }
    putchar('\n');
}

void analysis_print(const struct analysis *analysis, const struct qzctl_net *net,
                    const struct search_options *options)
{
    const struct game *game = net->game;
    const struct search_result *result = &analysis->result;
    char drawing[GAME_MAX_DRAWING];
    game->draw(&analysis->state, drawing);
    printf("%s, ply %u, %s player to move; net %.12s", game->title, game->ply(&analysis->state),
           game->side_to_move(&analysis->state) == 0 ? "first" : "second", net->sha256);
    if (net->generation >= 0) {
        printf(" (generation %lld)", (long long)net->generation);
    }
    printf("\n%s", drawing);
    if (analysis->over) {
        printf("The game is over: %s.\n", analysis->value == 0  ? "a draw"
                                          : analysis->value < 0 ? "the side to move has lost"
                                                                : "the side to move has won");
        return;
    }
    if (options->nodes > 0) {
        print_value("search", result->q, result->d);
    }
    print_value("net alone", result->v, result->v_d);
    print_line(analysis, game);
    if (options->nodes > 0) {
        printf("%-10s%u, kld %.4f%s\n", "nodes", result->nodes, (double)result->kld,
               !result->proven            ? ""
               : result->proven_value > 0 ? ", a proven win"
               : result->proven_value < 0 ? ", a proven loss"
                                          : ", a proven draw");
    }
    print_moves(analysis, game, options->nodes == 0);
}
