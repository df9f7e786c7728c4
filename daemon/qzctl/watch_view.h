/* "qzctl progress --watch" as text, from the answers to status and progress. */
#ifndef DAEMON_WATCH_VIEW_H
#define DAEMON_WATCH_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct watch_view {
    const json_t *status;   /* the daemon's, or the store's: what is missing is left out */
    const json_t *rows;     /* of the view progress, oldest first */
    bool running;           /* a daemon answered */
    uint32_t width, height; /* of the terminal */
    bool utf8, color;
};

/* The screen: lines ended by \n, none wider than the terminal, at most height of them. Malloced; NULL: out of
 * memory. */
char *watch_view_screen(const struct watch_view *view);
/* One line without a newline, for a log: malloced. width, height, utf8 and color do not matter. */
char *watch_view_line(const struct watch_view *view);

#endif
