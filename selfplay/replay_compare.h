/* One recorded position against the same one searched again. */
#ifndef SELFPLAY_REPLAY_COMPARE_H
#define SELFPLAY_REPLAY_COMPARE_H

#include "storage/record.h"

/* How far numbers may lie apart where another build or kernel recorded them. Another kernel rounds otherwise in the
 * last bits, and one such bit may decide between two moves of a search that are worth the same; from there on
 * it visits other positions, also where the root's visits come out equal. So `net` bounds what the net says of
 * the root (v, v_d, m), `search` the root's value (q, d; not where one of the two was proven and the other
 * was not). Two proofs must not contradict each other, the kind of search is drawn from the seed alone;
 * nothing else is compared. Measured on 7,076 positions of 800 nodes recorded with OpenBLAS' Cooperlake kernel:
 * replayed with its Haswell kernel 45 were identical, no v was further apart than 1e-4, no q than 0.01; with
 * Winograd's convolutions 5 were identical, the furthest v was 1.6e-4 apart, the furthest q 0.014. */
struct replay_tolerance {
    double net;    /* default 0.001 */
    double search; /* default 0.05 */
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
