/* The window: what a training draws from. Finished games of a range of seq are read in short
 * transactions, replayed move by move, given their value targets over the whole game, and kept small:
 * a state a few plies instead of planes, visits as shares of the moves that have some. Half a million
 * positions of Connect Four take some 70 MB. Games held out of training stand apart. */
#ifndef TRAINER_WINDOW_H
#define TRAINER_WINDOW_H

#include "mcts/game.h"
#include "storage/store.h"
#include "trainer/targets.h"

#include <stddef.h>
#include <stdint.h>

struct window_params {
    const struct game *game;
    struct target_params targets;
    float fast_policy_weight, fast_value_weight; /* both 0: fast searches are not drawn */
};

/* A position to learn from. */
struct window_row {
    uint32_t game; /* which of the window's */
    uint16_t ply;
    uint16_t n_policy;     /* moves with visits; 0 = it teaches no policy */
    uint32_t first_policy; /* of them in policy_actions, policy_shares */
    float policy_weight, value_weight;
    struct wdl value; /* target, without a teacher's part */
};

struct window_set {
    uint32_t n, room;
    struct window_row *rows;
};

struct window_game;

struct window {
    struct window_params params;
    struct window_set drawn, held_out;
    int64_t rows_without_q; /* among the drawn: they learn from z alone */
    uint16_t *policy_actions;
    float *policy_shares; /* visits over their sum */
    uint32_t n_policy, room_policy;

    uint32_t n_games, room_games;
    struct window_game *games;
    size_t n_actions, room_actions;
    uint16_t *actions;       /* of all games in a row */
    uint32_t snapshot_every; /* plies between states kept */
    size_t n_snapshots, room_snapshots;
    uint8_t *snapshots;
};

void window_init(struct window *window, const struct window_params *params);
void window_finish(struct window *window);

/* Add a finished game. What the rules forbid is refused with the game's uid and the ply: an illegal
 * move, visits of an illegal move, a policy that does not decode, a result that the rules deny. */
int window_add(struct window *window, const struct store_game *game, struct error *err);
/* Add the games with first_seq <= seq <= last_seq. */
int window_read(struct window *window, struct store *store, int64_t first_seq, int64_t last_seq,
                struct error *err);
/* The state of a row, by replay from the nearest one that was kept. */
void window_state(const struct window *window, const struct window_row *row, void *ret_state);

#endif
