/* Everything that is wrong with a configuration file, gathered while it is read and told at once, in the order
 * of the file. */
#ifndef DAEMON_CONFIG_PROBLEMS_H
#define DAEMON_CONFIG_PROBLEMS_H

#include "daemon/config/config.h"

#include <stddef.h>

/* A place in a file; both count from 1. */
struct config_mark {
    size_t line, column;
};

struct config_problem;
struct config_list {
    const char *name; /* of the file */
    size_t n, n_left_out;
    struct config_problem *problems;
    bool no_memory;
};

void config_list_init(struct config_list *list, const char *name);
void config_list_add(struct config_list *list, struct config_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A problem of the file as a whole. */
void config_list_add_file(struct config_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Write all into *ret (may be NULL) and free the list. Returns 0 if there were none, else
 * ERROR_INVALID, or ERROR_NO_MEMORY. */
int config_list_finish(struct config_list *list, struct config_problems *ret);

#endif
