/* Live progress on a terminal: one block of a few lines at the bottom, drawn again each second, with
 * ordinary lines going by above it. Honours NO_COLOR, TERM=dumb and the terminal's width. */
#ifndef DAEMON_TERMINAL_H
#define DAEMON_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct terminal_view { /* NaN and -1: not known */
    uint32_t generation;
    int64_t games, positions;
    double positions_per_s;
    uint32_t workers_active, workers;
    double policy_loss, policy_gap, value_loss; /* of the last training, or of the running one */
    double mistakes_net, mistakes_search, value_accuracy; /* shares */
    int64_t new_positions, needed_positions;
    double next_net_s;
    bool training;
    int64_t step, steps;
    const char *notice; /* "paused", "the disk is full", ...; NULL: none */
};

/* The block as text, lines ended by \n, no line wider than `width` columns. Returns the number of lines. */
uint32_t terminal_render(const struct terminal_view *view, uint32_t width, bool color, char *ret,
                         size_t size);

struct terminal;

/* For fd if it is a terminal that can move its cursor, else NULL (also when out of memory). */
struct terminal *terminal_create(int fd);
void terminal_destroy(
    struct terminal *terminal); /* leaves the last block standing; NULL is allowed */
void terminal_draw(struct terminal *terminal, const struct terminal_view *view);
/* A line that stays; `line` without its \n. */
void terminal_print(struct terminal *terminal, const char *line);

#endif
