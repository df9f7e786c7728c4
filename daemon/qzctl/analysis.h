/* Analysis of positions given as text: search or the net alone, and the answer in JSON or for a person. Several positions
 * are searched side by side, each from an empty tree, so that an answer does not depend on its neighbours. */
#ifndef DAEMON_ANALYSIS_H
#define DAEMON_ANALYSIS_H

#include "daemon/qzctl/qzctl_search.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { ANALYSIS_MAX_LINE = 32 }; /* moves of the best line that are shown */

struct analysis {
    char *moves; /* as given; owned */
    union game_state state;
    bool over;         /* then only `value` is known */
    int value;         /* for the side to move */
    char refused[160]; /* what is wrong with the text; "" = nothing */
    struct search_result result;
    uint32_t n_line;
    uint16_t line[ANALYSIS_MAX_LINE];
};

struct analyst;

/* The net and options are borrowed. */
int analyst_create(const struct qzctl_net *net, const struct search_options *options,
                   struct analyst **ret, struct error *err);
void analyst_destroy(struct analyst *analyst); /* NULL is allowed */

/* Play text from the usual start of the game. A text that is none fills in `refused`. Returns ERROR_NO_MEMORY or 0. */
int analysis_init(struct analysis *analysis, const struct game *game, const char *moves);
void analysis_finish(struct analysis *analysis);
/* Fill in the results of n <= QZCTL_SIDE_BY_SIDE positions; refused and finished ones are passed over. */
int analyst_run(struct analyst *analyst, struct analysis *analyses, uint32_t n, struct error *err);

/* NULL: out of memory. */
json_t *analysis_json(const struct analysis *analysis, const struct qzctl_net *net,
                      const struct search_options *options);
void analysis_print(const struct analysis *analysis, const struct qzctl_net *net,
                    const struct search_options *options);

#endif
