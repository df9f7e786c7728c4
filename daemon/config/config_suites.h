/* Where suite files are: a bare name ("connect4.mask") stands for a file in one of the suite folders:
 * those of $QZD_SUITES (separated by colons), that of the source tree, that of the installation. */
#ifndef DAEMON_CONFIG_SUITES_H
#define DAEMON_CONFIG_SUITES_H

#include <limits.h>
#include <stdbool.h>

/* Resolve a name to the path of a readable file. A name with a slash is a path already. False: there is none; *ret
 * is then the name itself, and errno says why. */
bool config_suite_find(const char *name, char ret[PATH_MAX]);
/* The shortest name that finds that path again: its last part, or the path itself. */
const char *config_suite_name(const char *path);
/* Where config_suite_find looks, for messages: "a, b". */
void config_suite_folders(char *ret, int size);

#endif
