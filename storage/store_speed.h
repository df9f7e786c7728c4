/* How fast the disk below a folder takes what self-play writes: for `qzctl bench`. */
#ifndef STORAGE_STORE_SPEED_H
#define STORAGE_STORE_SPEED_H

#include "storage/error.h"

struct store_speed {
    double commits;   /* a second, of one position each: the disk's own pace */
    double positions; /* a second, committed in groups as large as the daemon's */
};
/* Fill a new store in a folder of its own below `folder`, for about `seconds`, and remove it. ERROR_IO, ERROR_FULL, ... */
int store_measure(const char *folder, double seconds, struct store_speed *ret, struct error *err);

#endif
