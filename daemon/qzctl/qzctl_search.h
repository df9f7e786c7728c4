/* What analyse, suite, match and play share: the net that --net names, and the settings of a search. */
#ifndef DAEMON_QZCTL_SEARCH_H
#define DAEMON_QZCTL_SEARCH_H

#include "daemon/qzctl/qzctl.h"
#include "mcts/game.h"
#include "mcts/search.h"
#include "trainer/net/net.h"

enum { QZCTL_CACHE_ENTRIES = 1 << 17, QZCTL_SIDE_BY_SIDE = 32, QZCTL_MAX_NODES = 10000000 };

struct qzctl_net {
    struct net *net;
    const struct game *game;
    char sha256[RECORD_SHA256_BYTES];
    int64_t generation; /* -1: not in the store */
};
/* Prove OpenBLAS (this may start the process again) and load the net: a file; or in the store an id, a generation
 * ("g12") of line main, the first 8 or more digits of a sha256, or "uniform"; NULL: the current net of line
 * main. An exit code, having said why. */
int qzctl_net_load(struct qzctl *qzctl, const char *which, struct qzctl_net *ret);
void qzctl_net_finish(struct qzctl_net *net);

struct search_options {
    const char *net; /* --net, or NULL */
    uint32_t nodes;  /* 0 = the net alone */
    bool nodes_given;
    struct search_params params; /* shipped ones without noise, and what options say */
};
/* Parse a command line (as qzctl_parse() does) with these options and the command's own: own[i] is ended by a zero
 * entry, its value goes to ret_own[i] ("" where it takes none), at most SEARCH_MAX_OWN of them. */
int search_options_parse(struct qzctl *qzctl, const struct qzctl_command *command, int argc,
                         char **argv, const struct option *own, const char **ret_own,
                         struct search_options *ret, int *ret_first);
enum { SEARCH_MAX_OWN = 8 };
/* Their help, for a command's own. */
#define SEARCH_OPTIONS_HELP                                                                      \
    "  --net FILE|ID        a .safetensors file, or in the store an id, a generation (g12) or\n" \
    "                       sha256 (8 digits or more) (default: the current net)\n"              \
    "  --cpuct X            exploration (default 1.5)\n"                                         \
    "  --fpu-reduction X    of moves without a visit, but not at the root (default 0.2)\n"       \
    "  --solver on|off      whether proofs propagate (default on)\n"
/* {"sha256": ..., "generation": ...}, for answers. */
json_t *qzctl_net_json(const struct qzctl_net *net);

#endif
