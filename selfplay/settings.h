/* The settings that shape a game's records, and their JSON, which stands in searches.settings and goes
 * to workers: whoever reads a store knows exactly how its positions were searched. */
#ifndef SELFPLAY_SETTINGS_H
#define SELFPLAY_SETTINGS_H

#include "mcts/search.h"
#include "storage/error.h"

struct selfplay_settings {
    struct search_params search;
    struct temperature_params temperature;
    float fast_share;       /* playout caps: share of moves searched with fast_nodes; 0 = none */
    uint32_t fast_nodes;    /* 0 = a fifth of nodes; such searches have no noise */
    float resign_threshold; /* resign when q (root) <= -threshold; 0 = never */
    uint32_t resign_plies;  /* ... in that many of the side's own moves in a row */
    float resign_playout;   /* share of games played out all the same, for the false-resign rate */
};
extern const struct selfplay_settings selfplay_settings_default;

/* Nodes of a fast search: at least 2, or all of a search that has fewer. */
uint32_t selfplay_fast_nodes(const struct selfplay_settings *settings);

/* Canonical JSON (sorted keys, shortest floats that read back equal), malloced; NULL: out of memory.
 * The nesting is that of the configuration: cpuct, fast_nodes, fast_share, fpu_reduction,
 * fpu_reduction_root, nodes, noise {alpha, share}, resign {playout, plies, threshold}, solver,
 * temperature {floor, half_life, start}. */
char *selfplay_settings_json(const struct selfplay_settings *settings);
/* Every key must be there, typed and in range, and no other. ERROR_INVALID names the key. */
int selfplay_settings_parse(const char *json, struct selfplay_settings *ret, struct error *err);
/* 0, or ERROR_INVALID with the first value that is out of range. */
int selfplay_settings_check(const struct selfplay_settings *settings, struct error *err);

#endif
