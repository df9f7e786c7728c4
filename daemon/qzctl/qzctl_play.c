/* play: a person against a net. The game is a list of states, so that undo is to forget the last ones. */
#include "daemon/qzctl/analysis.h"

#include "daemon/qzctl/board.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OWN_SECOND, N_OWN }; /* options that only play has */
enum { MAX_LINE = 256, MAX_TOP = 4, NOTES = 5 };

struct play {
    struct qzctl_net net;
    struct search_options options;
    struct analyst *analyst;
    const struct game *game;
    uint32_t n;                          /* moves played */
    union game_state *states;            /* [max_plies + 1]; states[n] is now */
    uint32_t person;                     /* side */
    char notes[NOTES][BOARD_NOTE_BYTES]; /* what the net said of its last move */
    uint32_t n_notes;
    int signals;
    bool color, prompts;
};

/* ---- lines of input ---- */

struct input {
    size_t size;
    bool ended;
    char buffer[MAX_LINE];
};

enum read_result { READ_LINE, READ_END, READ_INTERRUPTED };

/* Wait for input or a signal, and read what is there. */
static enum read_result read_some(struct input *input, int signals)
{
    struct pollfd polled[2] = {{STDIN_FILENO, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) {
        return READ_END;
    }
    if (polled[1].revents != 0 && qzctl_signals_take(signals) == QZCTL_SIGNAL_END) {
        return READ_INTERRUPTED;
    }
    if (polled[0].revents != 0) {
        ssize_t n =
            read(STDIN_FILENO, input->buffer + input->size, sizeof input->buffer - input->size);
        input->ended = n <= 0;
        input->size += n > 0 ? (size_t)n : 0;
    }
    return READ_LINE;
}

/* The next line without its end and blanks around it; one that is too long is cut. */
static enum read_result read_line(struct input *input, int signals, char ret[MAX_LINE])
{
    for (;;) {
        char *end = memchr(input->buffer, '\n', input->size);
        bool full = input->size == sizeof input->buffer;
        if (end != NULL || full || (input->ended && input->size > 0)) {
            size_t n = end == NULL ? input->size : (size_t)(end - input->buffer);
            size_t used = n + (end != NULL);
            size_t first = 0;
            while (first < n && isspace((unsigned char)input->buffer[first])) {
                first++;
            }
            while (n > first && isspace((unsigned char)input->buffer[n - 1])) {
                n--;
            }
            snprintf(ret, MAX_LINE, "%.*s", (int)(n - first), input->buffer + first);
            input->size -= used;
            memmove(input->buffer, input->buffer + used, input->size);
            return READ_LINE;
        }
        if (input->ended) {
            return READ_END;
        }
        enum read_result r = read_some(input, signals);
        if (r != READ_LINE) {
            return r;
        }
    }
}

/* ---- the board ---- */

static const void *now(const struct play *play)
{
    return &play->states[play->n];
}

static bool is_over(const struct play *play, int *ret_value)
{
    return play->game->over(now(play), ret_value);
}

static bool persons_turn(const struct play *play)
{
    return play->game->side_to_move(now(play)) == play->person;
}

static void put_board(struct play *play)
{
    int value = 0;
    putchar('\n');
    if (is_over(play, &value)) {
        bool won = persons_turn(play) ? value > 0 : value < 0;
        snprintf(play->notes[NOTES - 1], BOARD_NOTE_BYTES, "%s",
                 value == 0 ? "The game is a draw."
                 : won      ? "You have won."
                            : "The net has won.");
        while (play->n_notes < NOTES - 1) {
            play->notes[play->n_notes++][0] = '\0';
        }
        play->n_notes = NOTES;
    }
    board_print(play->game, now(play), play->color, play->notes, play->n_notes, stdout);
    play->n_notes = 0;
}

static void play_move(struct play *play, uint16_t action)
{
    play->states[play->n + 1] = play->states[play->n];
    play->n++;
    play->game->play(&play->states[play->n], action);
}

/* ---- what the net says ---- */

/* Search the position. Ctrl-C ends the program meanwhile: there is nothing to put away. */
static int think(struct play *play, struct analysis *ret)
{
    struct error err = {""};
    *ret = (struct analysis){.state = play->states[play->n]};
    qzctl_signals_hold(false);
    int r = analyst_run(play->analyst, ret, 1, &err);
    qzctl_signals_hold(true);
    return r < 0 ? qzctl_fail("%s", err.text) : QZCTL_OK;
}

static void note_value(char ret[BOARD_NOTE_BYTES], const char *label, double q, double d)
{
    double win = (1 - d + q) / 2;
    snprintf(ret, BOARD_NOTE_BYTES, "%-7s%+.3f  win %2.0f draw %2.0f loss %2.0f %%", label, q,
             100 * win, 100 * d, 100 * (1 - d - win));
}

static int by_worth(const void *a, const void *b)
{
    const struct search_move *x = a;
    const struct search_move *y = b;
    if (x->visits != y->visits) {
        return x->visits > y->visits ? -1 : 1;
    }
    return x->prior > y->prior ? -1 : x->prior < y->prior;
}

/* The moves that were searched most (or, for the net alone, that it likes best). */
static void note_top(const struct play *play, const struct analysis *analysis,
                     char ret[BOARD_NOTE_BYTES])
{
    struct search_result sorted = analysis->result;
    bool alone = play->options.nodes == 0;
    int used = snprintf(ret, BOARD_NOTE_BYTES, alone ? "likes  " : "visits ");
    qsort(sorted.moves, sorted.n_moves, sizeof *sorted.moves, by_worth);
    for (uint32_t i = 0; i < sorted.n_moves && i < MAX_TOP; i++) {
        char text[GAME_MAX_ACTION_TEXT];
        play->game->action_format(&analysis->state, sorted.moves[i].action, text);
        size_t left = (size_t)(BOARD_NOTE_BYTES - used);
        used += alone ? snprintf(ret + used, left, "%s%s %.0f %%", i > 0 ? ", " : "", text,
                                 100 * (double)sorted.moves[i].prior)
                      : snprintf(ret + used, left, "%s%s %u", i > 0 ? ", " : "", text,
                                 sorted.moves[i].visits);
    }
}

static void note_line(const struct play *play, const struct analysis *analysis,
                      char ret[BOARD_NOTE_BYTES])
{
    union game_state state = analysis->state;
    int used = snprintf(ret, BOARD_NOTE_BYTES, "line  ");
    for (uint32_t i = 0; i < analysis->n_line && used < 60; i++) {
        char text[GAME_MAX_ACTION_TEXT];
        play->game->action_format(&state, analysis->line[i], text);
        used += snprintf(ret + used, (size_t)(BOARD_NOTE_BYTES - used), " %s", text);
        play->game->play(&state, analysis->line[i]);
    }
}

/* `what` is a sentence's beginning: "The net plays", "The net would play". */
static void note_thoughts(struct play *play, const struct analysis *analysis, const char *what)
{
    const struct search_result *result = &analysis->result;
    char text[GAME_MAX_ACTION_TEXT];
    play->game->action_format(&analysis->state, result->best_action, text);
    snprintf(play->notes[0], BOARD_NOTE_BYTES, "%s %s%s", what, text,
             !result->proven            ? ""
             : result->proven_value > 0 ? " (a proven win)"
             : result->proven_value < 0 ? " (a proven loss)"
                                        : " (a proven draw)");
    play->n_notes = 1;
    if (play->options.nodes > 0) {
        note_value(play->notes[play->n_notes++], "search", (double)result->q, (double)result->d);
    }
    note_value(play->notes[play->n_notes++], "net", (double)result->v, (double)result->v_d);
    note_top(play, analysis, play->notes[play->n_notes++]);
    if (play->options.nodes > 0) {
        note_line(play, analysis, play->notes[play->n_notes++]);
    }
}

static int net_moves(struct play *play)
{
    struct analysis analysis;
    int value = 0;
    if (is_over(play, &value) || persons_turn(play)) {
        return QZCTL_OK;
    }
    int r = think(play, &analysis);
    if (r == QZCTL_OK) {
        note_thoughts(play, &analysis, "The net plays");
        play_move(play, analysis.result.best_action);
    }
    return r;
}

static int hint(struct play *play)
{
    struct analysis analysis;
    int value = 0;
    if (is_over(play, &value)) {
        printf("The game is over.\n");
        return QZCTL_OK;
    }
    int r = think(play, &analysis);
    if (r == QZCTL_OK) {
        note_thoughts(play, &analysis, "You might play");
        for (uint32_t i = 0; i < play->n_notes; i++) {
            printf("%s\n", play->notes[i]);
        }
        play->n_notes = 0;
    }
    return r;
}

/* ---- words ---- */

/* Back to where the person was to move last. */
static bool undo(struct play *play)
{
    uint32_t n = play->n;
    while (n > 0) {
        n--;
        if (play->game->side_to_move(&play->states[n]) == play->person) {
            play->n = n;
            return true;
        }
    }
    printf("There is no move of yours to take back.\n");
    return false;
}

static void put_help(const struct play *play)
{
    char text[GAME_MAX_ACTION_TEXT];
    uint16_t legal[GAME_MAX_LEGAL];
    int value = 0;
    printf("undo   take your last move back      hint   what the net would play\n"
           "new    begin again                   swap   change sides\n"
           "quit   leave (or Ctrl-D)             help   this\n");
    if (is_over(play, &value)) {
        return;
    }
    printf("moves ");
    for (uint32_t i = 0, n = play->game->legal(now(play), legal); i < n; i++) {
        play->game->action_format(now(play), legal[i], text);
        printf(" %s", text);
    }
    putchar('\n');
}

static int obey_move(struct play *play, const char *line)
{
    uint16_t action = 0;
    int value = 0;
    const char *rest = line;
    if (is_over(play, &value)) {
        printf("The game is over: undo, new or quit.\n");
        return QZCTL_OK;
    }
    if (!play->game->action_parse(now(play), &rest, &action) || *rest != '\0') {
        printf("\"%s\" is no move here; \"help\" lists them.\n", line);
        return QZCTL_OK;
    }
    play_move(play, action);
    int r = net_moves(play);
    put_board(play);
    return r;
}

/* Returns an exit code, or -1 to go on. */
static int obey(struct play *play, const char *line)
{
    int r = QZCTL_OK;
    if (*line == '\0') {
        return -1;
    }
    if (strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0) {
        return QZCTL_OK;
    }
    if (strcmp(line, "help") == 0 || strcmp(line, "?") == 0) {
        put_help(play);
    } else if (strcmp(line, "hint") == 0) {
        r = hint(play);
    } else if (strcmp(line, "undo") == 0) {
        if (undo(play)) {
            put_board(play);
        }
    } else if (strcmp(line, "new") == 0 || strcmp(line, "swap") == 0) {
        play->n = *line == 'n' ? 0 : play->n;
        play->person = *line == 's' ? 1 - play->person : play->person;
        r = net_moves(play);
        put_board(play);
    } else {
        r = obey_move(play, line);
    }
    return r == QZCTL_OK ? -1 : r;
}

static int play_on(struct play *play)
{
    struct input input = {0};
    int r = net_moves(play);
    put_board(play);
    r = r == QZCTL_OK ? -1 : r;
    while (r < 0) {
        char line[MAX_LINE];
        if (play->prompts) {
            printf("%s> ", play->person == 0 ? "first" : "second");
        }
        if (qzctl_flush() != QZCTL_OK) {
            return QZCTL_FAILED;
        }
        enum read_result result = read_line(&input, play->signals, line);
        if (result != READ_LINE) {
            printf("%s", play->prompts ? "\n" : "");
            break;
        }
        r = obey(play, line);
    }
    int flushed = qzctl_flush();
    return r > QZCTL_OK ? r : flushed;
}

/* ---- beginning ---- */

static int begin(struct play *play, const char *moves)
{
    const char *why = NULL;
    size_t bad = 0;
    struct error err = {""};
    union game_state state;
    play->game = play->net.game;
    play->states = calloc(play->game->max_plies + 1, sizeof *play->states);
    if (play->states == NULL) {
        return qzctl_fail("out of memory");
    }
    if (!play->game->init(&state, "", &why)) {
        return qzctl_fail("%s", why);
    }
    if (!game_play_text(play->game, &state, moves, &bad)) {
        return qzctl_fail("\"%s\": no legal move of %s at character %zu", moves, play->game->title,
                          bad + 1);
    }
    play->states[0] = state; /* the moves that it begins with are not undone */
    if (analyst_create(&play->net, &play->options, &play->analyst, &err) < 0) {
        return qzctl_fail("%s", err.text);
    }
    play->signals = qzctl_signals_open();
    printf("%s against net %.12s", play->game->title, play->net.sha256);
    if (play->net.generation >= 0) {
        printf(" (generation %lld)", (long long)play->net.generation);
    }
    if (play->options.nodes == 0) {
        printf(" alone");
    } else {
        printf(", %u nodes a move", play->options.nodes);
    }
    printf(". You are the %s player.\nA move, or help, undo, hint, new, swap, quit.\n",
           play->person == 0 ? "first" : "second");
    return QZCTL_OK;
}

static int run_play(struct qzctl *qzctl, const struct qzctl_command *command, int argc, char **argv)
{
    static const struct option own[] = {
        [OWN_SECOND] = {"second", no_argument, NULL, 0}, [N_OWN] = {0}};
    const char *given[N_OWN] = {NULL};
    struct play play = {.color = qzctl_wants_color(), .prompts = isatty(STDIN_FILENO) == 1};
    int first = 0;
    int r = search_options_parse(qzctl, command, argc, argv, own, given, &play.options, &first);
    if (r >= 0) {
        return r;
    }
    if (argc - first > 1) {
        return qzctl_usage(command, "\"%s\" is one argument too many", argv[first + 1]);
    }
    if (qzctl->json) {
        return qzctl_usage(command, "it talks to people; \"qzctl analyse --json\" is for programs");
    }
    play.person = given[OWN_SECOND] != NULL ? 1 : 0;
    r = qzctl_net_load(qzctl, play.options.net, &play.net);
    if (r != QZCTL_OK) {
        return r;
    }
    r = begin(&play, first < argc ? argv[first] : "");
    if (r == QZCTL_OK) {
        r = play_on(&play);
    }
    analyst_destroy(play.analyst);
    free(play.states);
    qzctl_net_finish(&play.net);
    return r;
}

const struct qzctl_command qzctl_play = {
    "play",
    "[MOVES]",
    "play against a net in the terminal, its evaluation shown",
    "  --second             the net moves first\n"
    "  --nodes N            visits of its search a move (default 800); 0 = the net "
    "alone\n" SEARCH_OPTIONS_HELP "\n"
    "MOVES are played before the game begins. Type moves in the game's notation (Connect Four:\n"
    "columns 1 to 7), or: undo, hint, new, swap, help, quit. Beside the board stands what the net\n"
    "thought before it moved, from its own view: value after search, value alone, visits of the\n"
    "moves it looked at most, and the line it expects. Nothing is stored; no daemon is needed.\n"
    "\n"
    "Examples:\n"
    "  qzctl play\n"
    "  qzctl play --second --net g12 --nodes 100\n"
    "  printf '4\\n4\\nundo\\nhint\\n' | qzctl play 44\n",
    run_play,
};
