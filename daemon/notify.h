/* What systemd is told (sd_notify): nothing happens where there is no NOTIFY_SOCKET. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void); /* with MONOTONIC_USEC; notify_ready() ends it */
void notify_stopping(void);
void notify_status(const char *text);
void notify_watchdog(void);
/* How often systemd wants to hear of us, in ms; 0: never. */
uint64_t notify_watchdog_ms(void);

#endif
