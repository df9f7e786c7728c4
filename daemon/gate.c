#include "daemon/gate.h"

#include "selfplay/sprt.h"

#include <math.h>
#include <string.h>

static const char *const verdicts[] = {[GATE_OPEN] = NULL,
                                       [GATE_COUNTS] = "counts",
                                       [GATE_REFUSED] = "refused",
                                       [GATE_ACCEPTED] = "accepted",
                                       [GATE_REJECTED] = "rejected"};
static const char *const gates[] = {
    [CONFIG_GATE_NONE] = "none", [CONFIG_GATE_ELO] = "elo", [CONFIG_GATE_SPRT] = "sprt"};

const char *gate_verdict_text(enum gate_verdict verdict)
{
    return verdicts[verdict];
}

enum gate_verdict gate_verdict_parse(const char *text)
{
    for (int i = GATE_COUNTS; i <= GATE_REJECTED; i++) {
        if (strcmp(verdicts[i], text) == 0) {
            return (enum gate_verdict)i;
        }
    }
    return GATE_OPEN;
}

const char *gate_text(enum config_gate gate)
{
    return gates[gate];
}

enum config_gate gate_parse(const char *text)
{
    for (int i = CONFIG_GATE_NONE; i <= CONFIG_GATE_SPRT; i++) {
        if (strcmp(gates[i], text) == 0) {
            return (enum config_gate)i;
        }
    }
    return CONFIG_GATE_NONE;
}

/* Without a look at whether the games differ. */
static enum gate_verdict judge(enum config_gate gate, const struct match_tally *tally, bool ended,
                               double *ret_llr)
{
    switch (gate) {
    case CONFIG_GATE_NONE:
        return ended ? GATE_COUNTS : GATE_OPEN;
    case CONFIG_GATE_ELO:
        if (!ended) {
            return GATE_OPEN;
        }
        return pentanomial_score(&tally->pairs) > 0.5 ? GATE_ACCEPTED : GATE_REJECTED;
    case CONFIG_GATE_SPRT:
        break;
    }
    *ret_llr = sprt_llr(&sprt_default, &tally->pairs);
    switch (sprt_verdict(&sprt_default, *ret_llr)) {
    case SPRT_ACCEPTS_H1:
        return GATE_ACCEPTED;
    case SPRT_ACCEPTS_H0:
        return GATE_REJECTED;
    case SPRT_OPEN:
        break;
    }
    return ended ? GATE_REJECTED : GATE_OPEN;
}

enum gate_verdict gate_judge(enum config_gate gate, const struct match_tally *tally,
                             uint32_t planned_pairs, double *ret_llr)
{
    uint64_t pairs = pentanomial_n(&tally->pairs);

    *ret_llr = (double)NAN;
    enum gate_verdict verdict = judge(gate, tally, pairs >= planned_pairs, ret_llr);
    return verdict != GATE_OPEN && !rating_counts(tally->distinct, 2 * pairs) ? GATE_REFUSED
                                                                              : verdict;
}
