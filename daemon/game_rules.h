/* Whether what a child says of a game is possible by the rules. A move that is none would be found much later, by each
 * training whose window holds it, and no training could end then. */
#ifndef DAEMON_GAME_RULES_H
#define DAEMON_GAME_RULES_H

#include "daemon/game_table.h"
#include "daemon/wire.pb-c.h"
#include "mcts/game.h"

/* The start: the game, seed and opening that were handed out, and who is to move there. ERROR_INVALID, ERROR_NO_MEMORY. */
int game_rules_start(struct active_game *active, const struct game *game,
                     const Qzd__GameStart *start, struct error *err);
/* The position that follows the moves known: its ply is the next, its move and the moves of its policy are legal there. 0,
 * ERROR_CONFLICT: another ply; ERROR_INVALID; ERROR_NO_MEMORY. */
int game_rules_position(struct active_game *active, const struct game *game,
                        const Qzd__Position *position, struct error *err);
/* The end: as many plies, and where the rules end it, their result. */
int game_rules_end(struct active_game *active, const struct game *game, const Qzd__GameEnd *end,
                   struct error *err);
/* A match's pair, whole: two games of kind "match" behind one opening that the rules allow from the first move to their end,
 * and points that follow from it. Games of a match are played to the end. */
int game_rules_pair(const struct game *game, const Qzd__MatchPair *pair, struct error *err);

#endif
