/* One recorded position against the same one searched again. */
#ifndef SELFPLAY_REPLAY_COMPARE_H
#define SELFPLAY_REPLAY_COMPARE_H

#include "storage/record.h"

/* How far numbers may lie apart where another build or kernel recorded them. Another kernel rounds otherwise in the
 * last bits, and one such bit may decide between two moves of a search that are worth the same; from there on
 * it visits other positions. So `net` bounds what the net says (v, v_d, m), and every real number of a
 * search that went the same way (equal visits); of one that went another way only q and d are
 * compared, within `search`, and not where one of the two was proven and the other was not. */
struct replay_tolerance {
    double net;    /* default 1e-4 */
    double search; /* default 0.01 */
};
extern const struct replay_tolerance replay_tolerance_default;

enum replay_verdict {
    REPLAY_IDENTICAL,
    REPLAY_CLOSE, /* not identical, but within the tolerance */
    REPLAY_DIFFERENT,
};

enum { REPLAY_VALUE_TEXT = 48 };

/* Called for each field that differs; the texts are lent. */
typedef void replay_say(const char *field, const char *recorded, const char *replayed,
                        void *context);

/* Compare every field. tolerance NULL: all bits count (but a zero's sign, which SQLite does not keep, and how
 * a policy's visits are packed). Tells `say` of each difference if the verdict is REPLAY_DIFFERENT. */
enum replay_verdict replay_compare(const struct record_position *recorded,
                                   const struct record_position *replayed,
                                   const struct replay_tolerance *tolerance, replay_say *say,
                                   void *context);

#endif
