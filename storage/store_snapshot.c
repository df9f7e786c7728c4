/* A copy of the whole store at one moment, beside its writer. VACUUM INTO reads in one transaction: the writer goes on
 * (WAL), only the truncation of its log waits. SQLite's backup by steps would begin again with each commit
 * of another process, so on a living store it would never end. */
#include "storage/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRESS_OPS = 1000 }; /* virtual machine steps between two questions whether to go on */

struct watch {
    bool (*go_on)(void *context);
    void *context;
    bool stopped;
};

static int on_progress(void *context)
{
    struct watch *watch = context;
    watch->stopped = watch->stopped || (watch->go_on != NULL && !watch->go_on(watch->context));
    return watch->stopped;
}

static int copy(struct store *store, const char *path, struct watch *watch, struct error *err)
{
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", path);
    if (sql == NULL) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    sqlite3_progress_handler(store->db, PROGRESS_OPS, on_progress, watch);
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    sqlite3_free(sql);
    if (watch->stopped) {
        return error_set(err, ERROR_CANCELLED, "stopped on request");
    }
    return code == SQLITE_OK ? 0 : store_error(store->db, err, "copying into %s", path);
}

/* SQLite does not sync what it vacuums into. */
static int sync_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = 0;
    if (fd < 0 || fsync(fd) < 0) {
        r = error_set(err, error_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return r;
}

static int check_copy(const char *path, struct error *err)
{
    struct store *store = NULL;
    int r = store_open(path, STORE_READ, &store, err);
    if (r == 0) {
        r = store_check_integrity(store, err);
        r = r < 0 ? r : store_check_tallies(store, err);
        store_close(store);
    }
    return r;
}

/* Give the whole copy its name, unless somebody has taken that meanwhile. */
static int name_copy(const char *partial, const char *path, struct error *err)
{
    int r = renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_NOREPLACE);
    if (r < 0 && (errno == EINVAL || errno == ENOSYS)) { /* a file system that cannot */
        r = link(partial, path);
        if (r == 0) {
            unlink(partial);
        }
    }
    if (r < 0) {
        return error_set(err, errno == EEXIST ? ERROR_CONFLICT : error_from_errno(errno), "%s: %s",
                         path, strerror(errno));
    }
    return store_file_sync_directory_of(path, err);
}

int store_snapshot(struct store *store, const char *path, bool check, bool (*go_on)(void *context),
                   void *context, struct error *err)
{
    struct watch watch = {go_on, context, false};
    struct stat info;
    char *partial = NULL;

    if (lstat(path, &info) == 0) {
        return error_set(err, ERROR_CONFLICT, "%s: there is a file of that name already", path);
    }
    if (asprintf(&partial, "%s.%lld.partial", path, (long long)getpid()) < 0) {
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    unlink(partial); /* of a process with this number that was killed */
    int r = copy(store, partial, &watch, err);
    r = r < 0 || !check ? r : check_copy(partial, err);
    r = r < 0 ? r : sync_file(partial, err);
    r = r < 0 ? r : name_copy(partial, path, err);
    if (r < 0) {
        unlink(partial);
    }
    free(partial);
    return r;
}
