/* When a match is decided, and how: for ratings, which play so many pairs, and for gates. Pure. */
#ifndef DAEMON_GATE_H
#define DAEMON_GATE_H

#include "daemon/config/config.h"
#include "selfplay/match.h"

enum gate_verdict {
    GATE_OPEN,     /* more pairs */
    GATE_COUNTS,   /* of a rating: played to its end */
    GATE_REFUSED,  /* under nine tenths of the games are distinct: it says nothing */
    GATE_ACCEPTED, /* net a plays from now on */
    GATE_REJECTED,
};
/* The words of the store and of messages; NULL for GATE_OPEN. The reverse gives GATE_OPEN for none of them. */
const char *gate_verdict_text(enum gate_verdict verdict);
enum gate_verdict gate_verdict_parse(const char *text);

/* none: open for planned_pairs, then counts. elo: as many, then whether net a has more than half of the points.
 * sprt: open until the sequential test ends it; rejected if that has not come after planned_pairs. *ret_llr: the
 * test's ratio, NaN for none and elo. A gate whose match is refused does not let the net in: nothing says
 * that it is better. */
enum gate_verdict gate_judge(enum config_gate gate, const struct match_tally *tally,
                             uint32_t planned_pairs, double *ret_llr);
/* The words of evaluation.gate. */
const char *gate_text(enum config_gate gate);
enum config_gate gate_parse(const char *text); /* none of them: CONFIG_GATE_NONE */

#endif
