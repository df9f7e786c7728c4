/* Which build this is: its version and, built in a clone, the commit ("0.1.0+2bbc8b67fb27", "-dirty" behind it where the
 * tree differs). It stands in every recorded search: only the same build replays bit for bit. Made anew by each
 * build (build_id.cmake), not when CMake configures: a commit between the two would go unnoticed. */
#ifndef DAEMON_BUILD_ID_H
#define DAEMON_BUILD_ID_H

extern const char build_id[];

#endif
