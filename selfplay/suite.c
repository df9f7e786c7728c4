/* Files of positions and how a player does on them. Lines are read one at a time; whatever is wrong with
 * one is said with file:line, and nothing of the file is kept. */
#include "selfplay/suite.h"

#include "storage/clock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

struct reader {
    const char *path;
    uint32_t line; /* of the file, from 1 */
    struct suite *suite;
    uint32_t capacity; /* of its positions */
    struct error *err;
};

static int refuse(const struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(const struct reader *reader, const char *format, ...)
{
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(reader->err, ERROR_INVALID, "%s:%u: %s", reader->path, reader->line, what);
}

static int no_memory(const struct reader *reader)
{
    return error_set(reader->err, ERROR_NO_MEMORY, "%s:%u: out of memory", reader->path,
                     reader->line);
}

/* The position behind `moves`, which may not end the game. */
static int read_moves(const struct reader *reader, const char *moves, struct suite_position *ret)
{
    const struct game *game = reader->suite->game;
    const char *why = NULL;
    size_t bad = 0;
    int value;

    ret->moves = strdup(moves);
    ret->state = malloc(game->state_bytes);
    if (ret->moves == NULL || ret->state == NULL) {
        return no_memory(reader);
    }
    if (!game->init(ret->state, "", &why)) {
        return refuse(reader, "%s cannot begin: %s", game->title, why);
    }
    if (!game_play_text(game, ret->state, moves, &bad)) {
        return refuse(reader, "\"%.16s\" (character %zu of the moves) is no legal move of %s",
                      moves + bad, bad + 1, game->title);
    }
    if (game->over(ret->state, &value)) {
        return refuse(reader, "the game is over behind \"%.100s\"", moves);
    }
    return 0;
}

static int read_mask(const struct reader *reader, const char *mask, struct suite_position *ret)
{
    const struct game *game = reader->suite->game;
    uint16_t legal[GAME_MAX_LEGAL];
    uint32_t n = game->legal(ret->state, legal);
    uint32_t next = 0; /* the first legal move above the actions seen */
    bool kept = false;

    if (strlen(mask) != game->n_actions) {
        return refuse(reader, "the mask \"%.64s\" has %zu characters; %s has %u actions", mask,
                      strlen(mask), game->title, game->n_actions);
    }
    for (uint32_t action = 0; action < game->n_actions; action++) {
        char c = mask[action];
        bool is_legal = next < n && legal[next] == action;
        next += is_legal ? 1 : 0;
        if (c != '0' && c != '1' && c != '.') {
            return refuse(reader, "'%c' in the mask \"%.64s\"; it may hold 0, 1 and .",
                          isprint((unsigned char)c) ? c : '?', mask);
        }
        if (is_legal == (c == '.')) {
            return refuse(reader, "the mask \"%.64s\" has '%c' for action %u, which is %s", mask, c,
                          action, is_legal ? "legal" : "not legal");
        }
        ret->keeps[action] = c == '1';
        ret->decisive = ret->decisive || c == '0';
        kept = kept || c == '1';
    }
    return kept ? 0 : refuse(reader, "no move of \"%.64s\" keeps the value; one always does", mask);
}

/* "MOVES SCORE MASK"; moves may hold blanks, so the line is read from its end. */
static int read_mask_line(const struct reader *reader, char *line, struct suite_position *ret)
{
    char *mask = strrchr(line, ' ');
    if (mask != NULL) {
        *mask++ = '\0';
    }
    char *score = mask == NULL ? NULL : strrchr(line, ' ');
    if (score == NULL) {
        return refuse(reader, "a line is \"MOVES SCORE MASK\"");
    }
    *score++ = '\0';
    char *end;
    errno = 0;
    long number = strtol(score, &end, 10);
    if (end == score || *end != '\0' || isspace((unsigned char)*score) || errno != 0) {
        return refuse(reader, "the score \"%.32s\" is no whole number", score);
    }
    ret->value = (number > 0) - (number < 0);
    int r = read_moves(reader, line, ret);
    return r < 0 ? r : read_mask(reader, mask, ret);
}

/* "moves,value" */
static int read_value_line(const struct reader *reader, char *line, struct suite_position *ret)
{
    char *value = strrchr(line, ',');
    if (value == NULL) {
        return refuse(reader, "a line is \"moves,value\"");
    }
    *value++ = '\0';
    if (strcmp(value, "W") != 0 && strcmp(value, "D") != 0 && strcmp(value, "L") != 0) {
        return refuse(reader, "the value \"%.32s\" is none of W, D, L", value);
    }
    ret->value = (*value == 'W') - (*value == 'L');
    return read_moves(reader, line, ret);
}

static void position_finish(struct suite_position *position)
{
    free(position->moves);
    free(position->state);
}

static int read_line(struct reader *reader, char *line)
{
    struct suite *suite = reader->suite;
    if (suite->n == SUITE_MAX_POSITIONS) {
        return refuse(reader, "a suite has at most %d positions", SUITE_MAX_POSITIONS);
    }
    if (suite->n == reader->capacity) {
        uint32_t capacity = reader->capacity == 0 ? 256 : 2 * reader->capacity;
        struct suite_position *grown =
            realloc(suite->positions, capacity * sizeof *suite->positions);
        if (grown == NULL) {
            return no_memory(reader);
        }
        suite->positions = grown;
        reader->capacity = capacity;
    }
    struct suite_position position = {0};
    int r = suite->kind == SUITE_MOVES ? read_mask_line(reader, line, &position)
                                       : read_value_line(reader, line, &position);
    if (r < 0) {
        position_finish(&position);
        return r;
    }
    suite->positions[suite->n++] = position;
    return 0;
}

/* Every line without its end; a value suite's header is checked and left out. */
static int read_lines(struct reader *reader, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int r = 0;

    while (r == 0 && (length = getline(&line, &size, file)) >= 0) {
        size_t n = (size_t)length;
        reader->line++;
        n -= n > 0 && line[n - 1] == '\n' ? 1 : 0;
        n -= n > 0 && line[n - 1] == '\r' ? 1 : 0;
        line[n] = '\0';
        if (strlen(line) != n) {
            r = refuse(reader, "a NUL byte in a text file");
        } else if (reader->suite->kind == SUITE_VALUES && reader->line == 1) {
            if (strcmp(line, "moves,value") != 0) {
                r = refuse(reader, "the first line must be \"moves,value\"");
            }
        } else {
            r = read_line(reader, line);
        }
    }
    free(line);
    if (r == 0 && ferror(file)) {
        return error_set(reader->err, ERROR_IO, "%s: %s", reader->path, strerror(errno));
    }
    if (r == 0 && reader->suite->n == 0) {
        reader->line += reader->line == 0 ? 1 : 0;
        return refuse(reader, "no positions");
    }
    return r;
}

/* Name and kind of the suite from its file name. */
static int name_suite(const char *path, struct suite *suite, struct error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(name, '.');
    if (dot != NULL && strcmp(dot, ".mask") == 0) {
        suite->kind = SUITE_MOVES;
    } else if (dot != NULL && strcmp(dot, ".csv") == 0) {
        suite->kind = SUITE_VALUES;
    } else {
        return error_set(err, ERROR_INVALID,
                         "%s: a suite's name ends with .mask (moves) or .csv (values)", path);
    }
    size_t length = (size_t)(dot - name);
    if (length == 0 || length >= sizeof suite->name) {
        return error_set(err, ERROR_INVALID, "%s: a suite's name has 1 to %zu characters", path,
                         sizeof suite->name - 1);
    }
    memcpy(suite->name, name, length);
    suite->name[length] = '\0';
    return 0;
}

int suite_load(const char *path, const struct game *game, struct suite **ret, struct error *err)
{
    struct suite *suite = calloc(1, sizeof *suite);
    if (suite == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", path);
    }
    suite->game = game;
    FILE *file = NULL;
    int r = name_suite(path, suite, err);
    if (r < 0) {
        goto out;
    }
    if (suite->kind == SUITE_MOVES && game->n_actions > SUITE_MAX_ACTIONS) {
        r = error_set(err, ERROR_UNSUPPORTED,
                      "%s: masks are for games of at most %d actions; %s has %u", path,
                      SUITE_MAX_ACTIONS, game->title, game->n_actions);
        goto out;
    }
    file = fopen(path, "re");
    if (file == NULL) {
        r = error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
        goto out;
    }
    struct reader reader = {.path = path, .suite = suite, .err = err};
    r = read_lines(&reader, file);
    if (r == 0) {
        *ret = suite;
        suite = NULL;
    }
out:
    if (file != NULL) {
        (void)fclose(file); /* only read from */
    }
    suite_destroy(suite);
    return r;
}

void suite_destroy(struct suite *suite)
{
    if (suite == NULL) {
        return;
    }
    for (uint32_t i = 0; i < suite->n; i++) {
        position_finish(&suite->positions[i]);
    }
    free(suite->positions);
    free(suite);
}

/* ---- judging ---- */

/* Sums by position, so that the order in which results come does not matter to the last bit. */
struct verdict {
    bool mistake;
    bool accurate;
    double brier, cross_entropy;
};

struct judge {
    const struct suite *suite;
    struct verdict *verdicts; /* [suite->n] */
    uint16_t *actions;        /* [suite->n] or NULL */
};

static void judge_value(double q, double d, int value, struct verdict *ret)
{
    const double p[3] = {(1 - d + q) / 2, d, (1 - d - q) / 2}; /* win, draw, loss */
    const int truth = 1 - value;
    int likeliest = 0;

    ret->brier = 0;
    for (int i = 0; i < 3; i++) {
        double miss = p[i] - (i == truth ? 1 : 0);
        ret->brier += miss * miss;
        likeliest = p[i] > p[likeliest] ? i : likeliest;
    }
    ret->accurate = likeliest == truth;
    ret->cross_entropy = -log(fmax(p[truth], SUITE_LEAST_PROBABILITY));
}

static void take_result(uint32_t index, const struct search_result *result, void *context)
{
    struct judge *judge = context;
    const struct suite_position *position = &judge->suite->positions[index];
    struct verdict *verdict = &judge->verdicts[index];

    if (judge->actions != NULL) {
        judge->actions[index] = result->best_action;
    }
    if (judge->suite->kind == SUITE_MOVES) {
        verdict->mistake = !position->keeps[result->best_action];
    } else {
        judge_value((double)result->q, (double)result->d, position->value, verdict);
    }
}

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static void sum_moves(const struct suite *suite, const struct verdict *verdicts,
                      struct suite_result *ret)
{
    uint32_t mistakes = 0;
    for (uint32_t i = 0; i < suite->n; i++) {
        ret->n_decisive += suite->positions[i].decisive ? 1 : 0;
        mistakes += verdicts[i].mistake ? 1 : 0; /* only a decisive position has room for one */
    }
    ret->mistakes = share(mistakes, suite->n);
    ret->mistakes_decisive = share(mistakes, ret->n_decisive);
}

static void sum_values(const struct suite *suite, const struct verdict *verdicts,
                       struct suite_result *ret)
{
    uint32_t accurate = 0;
    double brier = 0;
    double cross_entropy = 0;
    for (uint32_t i = 0; i < suite->n; i++) {
        accurate += verdicts[i].accurate ? 1 : 0;
        brier += verdicts[i].brier;
        cross_entropy += verdicts[i].cross_entropy;
    }
    ret->value_accuracy = share(accurate, suite->n);
    ret->value_brier = share(brier, suite->n);
    ret->value_cross_entropy = share(cross_entropy, suite->n);
}

int suite_run(const struct suite *suite, struct player *player, const struct search_params *params,
              uint32_t nodes, struct suite_result *ret, uint16_t *ret_actions,
              bool (*should_stop)(void *context), void *context, struct error *err)
{
    double begun = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    uint64_t evaluated = player_evaluations(player);
    const void **states = calloc(suite->n, sizeof *states);
    struct judge judge = {.suite = suite, .verdicts = calloc(suite->n, sizeof *judge.verdicts)};
    judge.actions = ret_actions;
    int r = ERROR_NO_MEMORY;
    if (states == NULL || judge.verdicts == NULL) {
        error_set(err, r, "suite %s: out of memory", suite->name);
        goto out;
    }
    for (uint32_t i = 0; i < suite->n; i++) {
        states[i] = suite->positions[i].state;
    }
    r = player_search_each(player, params, nodes, states, suite->n, take_result, &judge,
                           should_stop, context, err);
    if (r < 0) {
        error_prefix(err, r, "suite %s", suite->name);
        goto out;
    }
    *ret = (struct suite_result){.n = suite->n,
                                 .mistakes = NAN,
                                 .mistakes_decisive = NAN,
                                 .value_accuracy = NAN,
                                 .value_brier = NAN,
                                 .value_cross_entropy = NAN};
    if (suite->kind == SUITE_MOVES) {
        sum_moves(suite, judge.verdicts, ret);
    } else {
        sum_values(suite, judge.verdicts, ret);
    }
    ret->evaluations = player_evaluations(player) - evaluated;
    ret->seconds = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begun;
out:
    free(judge.verdicts);
    free(states);
    return r;
}
