/* What a search, a worker and a trainer need of a two-player zero-sum game. A game is a table of
 * functions over plain-data states: a state is game->state_bytes bytes that may be copied, compared
 * and thrown away like an int, so no state owns memory and none needs freeing.
 *
 * Every value is from the view of the side to move at the state it belongs to. Actions are small
 * integers 0 .. n_actions - 1 (Connect Four: the column; chess: lc0's 1858 moves seen from the side
 * to move). All functions are pure and may be called from any thread.
 *
 * A state holds all that the rules and the net's input need: in chess the board, castling, en
 * passant, the counters and the history (eight boards for the planes, the keys since the last
 * irreversible move for repetitions). */
#ifndef MCTS_GAME_H
#define MCTS_GAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GAME_MAX_ACTIONS = 1858,     /* largest n_actions of any game */
    GAME_MAX_LEGAL = 224,        /* chess has positions with 218 legal moves */
    GAME_MAX_STATE_BYTES = 2048, /* largest state_bytes of any game */
    GAME_MAX_POLICY = 80 * 64,   /* largest policy_planes * height * width */
    GAME_MAX_ACTION_TEXT = 8,    /* longest action in text, its NUL included */
    GAME_MAX_OPENING_TEXT = 512, /* longest opening, its NUL included */
    GAME_MAX_DRAWING = 2048,     /* longest game->draw() text, its NUL included */
};

/* Memory for a state of any game, aligned for all of them. */
union game_state {
    uint8_t bytes[GAME_MAX_STATE_BYTES];
    uint64_t align;
};

/* Identity of everything that the net sees of a position. Exact (no two positions share one) where
 * that fits in 128 bits, as in Connect Four and tic-tac-toe; else a 128-bit hash of all of it. */
struct game_key {
    uint64_t lo;
    uint64_t hi;
};

struct game {
    const char *name;   /* as in config and store: "connect4" */
    const char *title;  /* for people: "Connect Four" */
    uint32_t n_actions; /* length of the action space */
    uint32_t max_legal; /* most legal actions in any position, <= GAME_MAX_LEGAL */
    uint32_t max_plies; /* no game is longer, counted from its opening */
    size_t state_bytes; /* <= GAME_MAX_STATE_BYTES */
    bool has_mirror;    /* left-right mirror images are equivalent */

    /* The net's input and output. */
    uint32_t n_planes; /* input is [n_planes][height][width] of floats */
    uint32_t height;
    uint32_t width;
    uint32_t policy_planes; /* policy output is [policy_planes][height][width] logits */

    /* Set *state to the start of a game. `opening` is "" for the usual start; else the game's own
     * notation of where play begins (Connect Four, tic-tac-toe: moves as in actions_parse; chess: a
     * FEN, or "startpos moves ..."). False, with *ret_why set to a static sentence, if it is none
     * or the game would be over there. */
    bool (*init)(void *state, const char *opening, const char **ret_why);

    /* Write the legal actions in ascending order, at most max_legal; return how many. 0 exactly
     * when the game is over. */
    uint32_t (*legal)(const void *state, uint16_t *ret_actions);

    /* True if the game is over; then *ret_value is the result for the side to move: -1 (its
     * opponent just won), 0, +1. */
    bool (*over)(const void *state, int *ret_value);

    void (*play)(void *state, uint16_t action);  /* action must be legal */
    uint32_t (*side_to_move)(const void *state); /* 0 = the player who moves first from the start */
    uint32_t (*ply)(const void *state);          /* moves since the usual start, opening included */
    struct game_key (*key)(const void *state);

    /* Mirror image (has_mirror only): of a state, and of an action in any state.
     * key(mirror(s)) == key(s) exactly when s is its own mirror image. */
    void (*mirror)(const void *state, void *ret_state);
    uint16_t (*mirror_action)(uint16_t action);
    /* True if `state` is the one of its two mirror images that the net is always shown; of a pair
     * exactly one is, a symmetric position is too. Always true without has_mirror. */
    bool (*is_canonical)(const void *state);

    /* Write the net's input. */
    void (*planes)(const void *state, float *ret_planes);
    /* Where in the policy output the logit of a legal action stands. It may depend on the state
     * (Connect Four: the cell in which the stone comes to rest). */
    uint32_t (*policy_index)(const void *state, uint16_t action);

    /* Text. format writes at most GAME_MAX_ACTION_TEXT bytes; parse reads one action from the
     * front of *text, advances it past the action and following blanks, and says whether there was
     * a legal one. draw writes the board for a terminal, lines ended by \n. */
    void (*action_format)(const void *state, uint16_t action, char *ret_text);
    bool (*action_parse)(const void *state, const char **text, uint16_t *ret_action);
    void (*draw)(const void *state, char *ret_text);
};

/* The game of that name, or NULL. */
const struct game *game_find(const char *name);
/* The i-th game (from 0), or NULL behind the last: for help texts and tests. */
const struct game *game_at(size_t i);

/* Play a whole line of moves in text ("4453", blanks allowed between moves) from *state. On failure
 * false, and *ret_bad is the offset in `text` of the first move that is none; the state is then as
 * it was before the line. */
bool game_play_text(const struct game *game, void *state, const char *text, size_t *ret_bad);

#endif
