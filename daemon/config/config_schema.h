/* The schema: one table of every key, from which a file is read, compared, printed and explained.
 * Defaults do not stand here: they are what config_default() gives. */
#ifndef DAEMON_CONFIG_SCHEMA_H
#define DAEMON_CONFIG_SCHEMA_H

#include "daemon/config/config.h"

#include <stddef.h>
#include <stdio.h>

enum config_type {
    CONFIG_TYPE_INTEGER,   /* uint32_t or int64_t, by size */
    CONFIG_TYPE_COUNT,     /* the same, or the word auto (stored as CONFIG_AUTO) */
    CONFIG_TYPE_REAL,      /* float or double, by size */
    CONFIG_TYPE_BOOL,      /* bool */
    CONFIG_TYPE_WORD,      /* an enum that numbers `words`; size 0: one word, stored nowhere */
    CONFIG_TYPE_GAME,      /* char[]: the name of a game */
    CONFIG_TYPE_TEXT,      /* char[]: not empty */
    CONFIG_TYPE_SOCKET,    /* char[]: a path, or the word auto */
    CONFIG_TYPE_SCHEDULE,  /* struct config_schedule */
    CONFIG_TYPE_RATES,     /* struct rate_schedule */
    CONFIG_TYPE_SUITES,    /* evaluation.suites and n_suites */
    CONFIG_TYPE_COMMAND,   /* struct config_command */
    CONFIG_TYPE_OPPONENTS, /* struct config_opponents */
};

struct config_key {
    const char *path;         /* "search.noise.alpha" */
    const char *doc;          /* one sentence */
    size_t offset, size;      /* of the field in struct config */
    double min, max;          /* of numbers, ends included */
    const char *const *words; /* ended by NULL */
    enum config_type type;
    bool above_min;     /* ... but for min itself */
    bool needs_restart; /* a reload does not bring it into effect */
};

extern const struct config_key config_keys[]; /* ended by path NULL; sections in one piece */
enum { CONFIG_MAX_KEYS = 96, CONFIG_MAX_PATH_TEXT = 64, CONFIG_MAX_EXPECTED = 256 };

size_t config_n_keys(void);
/* The index of the key with that full path, or -1. */
int config_find_key(const char *path);
/* True if keys stand below that path ("search", "search.noise"; "" is the whole file). */
bool config_is_section(const char *path);
/* What stands right below a section: calls visit with each name once, in order. */
void config_each_below(const char *section, void (*visit)(const char *name, void *context),
                       void *context);
/* The end of "it must be ...": "a whole number from 2 to 1000000". */
void config_expected(const struct config_key *key, char ret[CONFIG_MAX_EXPECTED]);

/* The field of a key in a configuration. */
static inline const void *config_field(const struct config *config, const struct config_key *key)
{
    return (const char *)config + key->offset;
}
/* The value as JSON: as it would be written in the file. */
void config_print_value(FILE *out, const struct config *config, const struct config_key *key);
/* A number in the fewest digits that read back equal; `size` is that of its field's type. */
void config_print_real(FILE *out, double value, size_t size);

#endif
