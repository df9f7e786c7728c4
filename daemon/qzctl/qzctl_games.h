/* What the commands about games and nets share: asking with a statement of our own, and what a person may call
 * a game by. */
#ifndef DAEMON_QZCTL_GAMES_H
#define DAEMON_QZCTL_GAMES_H

#include "daemon/qzctl/qzctl.h"

enum { GAME_CONDITION_BYTES = 256 };

/* An SQL condition on games.id or games.uid for "last" (the newest finished one), an id, or the first 4 digits or
 * more of a uid. A number of 8 digits or more may be either. False: it is none of these. */
bool qzctl_game_condition(const char *which, char ret_sql[GAME_CONDITION_BYTES]);

/* Ask the daemon or, with none, the store: sqlite3_mprintf()'s format. Rows come as objects by column name; the
 * number of rows is limited to `rows`. Returns an exit code, having said why. */
int qzctl_select(struct qzctl *qzctl, uint32_t rows, json_t **ret_rows, const char *format, ...);

#endif
