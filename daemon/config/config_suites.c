#include "daemon/config/config_suites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Call visit for each folder until one says true. */
static bool each_folder(bool (*visit)(const char *folder, size_t length, void *context),
                        void *context)
{
    const char *list = getenv("QZD_SUITES"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ":");
        if (length > 0 && visit(list, length, context)) {
            return true;
        }
        list += length + (list[length] == ':');
    }
    return visit(QZD_SUITES_SOURCE, strlen(QZD_SUITES_SOURCE), context) ||
           visit(QZD_SUITES_INSTALLED, strlen(QZD_SUITES_INSTALLED), context);
}

struct lookup {
    const char *name;
    char *path; /* [PATH_MAX] */
};

static bool is_there(const char *folder, size_t length, void *context)
{
    struct lookup *lookup = context;
    int n = snprintf(lookup->path, PATH_MAX, "%.*s/%s", (int)length, folder, lookup->name);
    return n > 0 && n < PATH_MAX && access(lookup->path, R_OK) == 0;
}

bool config_suite_find(const char *name, char ret[PATH_MAX])
{
    char path[PATH_MAX] = "";
    bool found = false;
    if (strlen(name) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        ret[0] = '\0';
        return false;
    }
    if (strchr(name, '/') == NULL) {
        found = each_folder(is_there, &(struct lookup){name, path});
    } else {
        found = access(name, R_OK) == 0;
        strcpy(path, name); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy): measured above */
    }
    memmove(ret, found ? path : name, strlen(found ? path : name) + 1);
    return found;
}

const char *config_suite_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char again[PATH_MAX];
    if (slash != NULL && slash[1] != '\0' && config_suite_find(slash + 1, again) &&
        strcmp(again, path) == 0) {
        return slash + 1;
    }
    return path;
}

struct listing {
    char *text;
    int size;
    int used;
};

static bool append(const char *folder, size_t length, void *context)
{
    struct listing *listing = context;
    if (listing->used < listing->size) {
        int n = snprintf(listing->text + listing->used, (size_t)(listing->size - listing->used),
                         "%s%.*s", listing->used == 0 ? "" : ", ", (int)length, folder);
        listing->used += n > 0 ? n : 0;
    }
    return false;
}

void config_suite_folders(char *ret, int size)
{
    ret[0] = '\0';
    each_folder(append, &(struct listing){ret, size, 0});
}
