#include "tests/faults/vfs_shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file as two things: what is seen of it (the real file, which all writes reach at once) and what is on the
 * disk: `durable`, the content at its last fsync, and the `pending` operations since. */
struct operation {
    bool truncates; /* to `at` bytes */
    sqlite3_int64 at;
    int size;
    uint8_t *bytes;
};

struct image {
    uint8_t *bytes;
    size_t size, capacity;
};

struct tracked {
    bool used;
    dev_t device;
    ino_t inode; /* a store is renamed after it was made */
    char folder[PATH_MAX];
    struct image durable;
    struct operation *pending;
    size_t n_pending, capacity;
};

enum { MAX_TRACKED = 16 };
static struct tracked tracked_files[MAX_TRACKED];
static struct vfs_plan plan;
static uint32_t operations;
static sqlite3_vfs *below;
static sqlite3_vfs shim;

struct shim_file {
    sqlite3_file base;
    struct tracked *tracked; /* NULL: neither counted nor failed */
    sqlite3_file *real;
};

static void must(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "vfs_shim: %s\n", what);
        abort();
    }
}

/* ---- images ---- */
static void image_reach(struct image *image, size_t size)
{
    if (size > image->capacity) {
        image->capacity = 2 * size;
        image->bytes = realloc(image->bytes, image->capacity);
        must(image->bytes != NULL, "out of memory");
    }
    if (size > image->size) {
        memset(image->bytes + image->size, 0, size - image->size);
        image->size = size;
    }
}

static void image_apply(struct image *image, const struct operation *operation, int size)
{
    size_t at = (size_t)operation->at;

    if (operation->truncates) {
        image_reach(image, at);
        image->size = at;
    } else if (size > 0) {
        image_reach(image, at + (size_t)size);
        memcpy(image->bytes + at, operation->bytes, (size_t)size);
    }
}

static void forget_pending(struct tracked *file)
{
    for (size_t i = 0; i < file->n_pending; i++) {
        free(file->pending[i].bytes);
    }
    file->n_pending = 0;
}

static void remember(struct tracked *file, bool truncates, sqlite3_int64 at, const void *bytes,
                     int size)
{
    if (file->n_pending == file->capacity) {
        file->capacity = file->capacity == 0 ? 64 : 2 * file->capacity;
        file->pending = reallocarray(file->pending, file->capacity, sizeof(*file->pending));
        must(file->pending != NULL, "out of memory");
    }
    struct operation *operation = &file->pending[file->n_pending++];
    *operation = (struct operation){.truncates = truncates, .at = at, .size = size};
    if (size > 0) {
        operation->bytes = malloc((size_t)size);
        must(operation->bytes != NULL, "out of memory");
        memcpy(operation->bytes, bytes, (size_t)size);
    }
}

/* ---- the power cut ---- */
static uint64_t draw(uint64_t *state) /* SplitMix64 */
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void apply_torn(struct image *image, struct operation *operation, uint64_t *random)
{
    int whole = operation->truncates ? 0 : (int)(draw(random) % ((uint64_t)operation->size + 1));

    if (draw(random) % 2 == 0) { /* behind the part that is good comes garbage */
        for (int i = whole; i < operation->size; i++) {
            operation->bytes[i] = (uint8_t)draw(random);
        }
        whole = operation->size;
    }
    image_apply(image, operation, whole);
}

static void settle(struct tracked *file, uint64_t seed, uint64_t *random)
{
    for (size_t i = 0; i < file->n_pending; i++) {
        struct operation *operation = &file->pending[i];
        bool kept = seed % 4 == 1 || (seed % 4 != 0 && draw(random) % 2 == 0);
        if (kept && seed % 4 == 3 && draw(random) % 2 == 0) {
            apply_torn(&file->durable, operation, random);
        } else if (kept) {
            image_apply(&file->durable, operation, operation->size);
        }
    }
}

static void write_image(const struct tracked *file)
{
    DIR *folder = opendir(file->folder);
    struct stat status;

    must(folder != NULL, "the folder of a file has gone");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (fstatat(dirfd(folder), entry->d_name, &status, 0) == 0 &&
            status.st_ino == file->inode && status.st_dev == file->device) {
            int fd = openat(dirfd(folder), entry->d_name, O_WRONLY | O_TRUNC | O_CLOEXEC);
            must(fd >= 0 && write(fd, file->durable.bytes, file->durable.size) ==
                                (ssize_t)file->durable.size,
                 "cannot write what is left");
            (void)close(fd);
        }
    }
    (void)closedir(folder);
}

void vfs_shim_cut(uint64_t seed)
{
    uint64_t random = seed;

    for (size_t i = 0; i < MAX_TRACKED; i++) {
        if (tracked_files[i].used) {
            settle(&tracked_files[i], seed, &random);
            write_image(&tracked_files[i]);
        }
    }
    _exit(VFS_CUT_STATUS);
}

/* ---- the plan ---- */
/* Counts the operation; true: it is to fail. */
static bool strikes(void)
{
    operations++;
    return plan.fault != VFS_NONE && plan.fault != VFS_CUT && operations >= plan.at &&
           operations - plan.at < plan.count;
}

/* The operation has been remembered; it may be the last. */
static void cut_if_planned(void)
{
    if (plan.fault == VFS_CUT && operations == plan.at) {
        vfs_shim_cut(plan.seed);
    }
}

void vfs_shim_plan(const struct vfs_plan *new_plan)
{
    plan = *new_plan;
    operations = 0;
}

uint32_t vfs_shim_operations(void)
{
    return operations;
}

/* ---- files ---- */
static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim_file *)file)->real;
}

static int shim_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *ret, int size, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), ret, size, at);
}

static int write_part(struct shim_file *shim_file, const void *bytes, int size, sqlite3_int64 at)
{
    int r =
        size == 0 ? SQLITE_OK : shim_file->real->pMethods->xWrite(shim_file->real, bytes, size, at);

    if (r == SQLITE_OK && shim_file->tracked != NULL) {
        remember(shim_file->tracked, false, at, bytes, size);
    }
    return r;
}

static int shim_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    struct shim_file *shim_file = (struct shim_file *)file;

    if (shim_file->tracked == NULL || !strikes()) {
        int r = write_part(shim_file, bytes, size, at);
        if (shim_file->tracked != NULL) {
            cut_if_planned();
        }
        return r;
    }
    (void)write_part(shim_file, bytes, size / 2, at);
    return plan.fault == VFS_FAIL_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct shim_file *shim_file = (struct shim_file *)file;

    if (shim_file->tracked != NULL && strikes() && plan.fault == VFS_FAIL_IO) {
        return SQLITE_IOERR_TRUNCATE;
    }
    int r = shim_file->real->pMethods->xTruncate(shim_file->real, size);
    if (r == SQLITE_OK && shim_file->tracked != NULL) {
        remember(shim_file->tracked, true, size, NULL, 0);
        cut_if_planned();
    }
    return r;
}

static int shim_sync(sqlite3_file *file, int flags)
{
    struct shim_file *shim_file = (struct shim_file *)file;
    struct tracked *tracked = shim_file->tracked;

    (void)flags; /* a real fsync would only cost time: no power is cut in truth */
    if (tracked == NULL) {
        return SQLITE_OK;
    }
    bool fails = strikes() && plan.fault == VFS_FAIL_IO;
    cut_if_planned(); /* before it has done anything */
    for (size_t i = 0; !fails && i < tracked->n_pending; i++) {
        image_apply(&tracked->durable, &tracked->pending[i], tracked->pending[i].size);
    }
    forget_pending(tracked);
    return fails ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int shim_file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int shim_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int shim_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int shim_check_reserved_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int shim_file_control(sqlite3_file *file, int op, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int shim_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shim_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int delete_it)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_it);
}

/* Version 2: without xFetch, so that nothing is read past us. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_file_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_reserved_lock,
    .xFileControl = shim_file_control,
    .xSectorSize = shim_sector_size,
    .xDeviceCharacteristics = shim_characteristics,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

/* ---- the VFS ---- */
static struct tracked *find_tracked(const struct stat *status)
{
    for (size_t i = 0; i < MAX_TRACKED; i++) {
        struct tracked *file = &tracked_files[i];
        if (file->used && file->inode == status->st_ino && file->device == status->st_dev) {
            return file;
        }
    }
    return NULL;
}

/* What is there when a file is first opened is on the disk. Read through SQLite's own descriptor: closing one
 * of ours would drop its locks. */
static struct tracked *track(const char *path, sqlite3_file *real)
{
    char copy[PATH_MAX];
    struct stat status;
    sqlite3_int64 size = 0;

    must(stat(path, &status) == 0 && strlen(path) < sizeof(copy), "an open file has no name");
    struct tracked *file = find_tracked(&status);
    if (file != NULL) {
        return file;
    }
    for (size_t i = 0; i < MAX_TRACKED && file == NULL; i++) {
        file = tracked_files[i].used ? NULL : &tracked_files[i];
    }
    must(file != NULL, "too many files");
    *file = (struct tracked){.used = true, .device = status.st_dev, .inode = status.st_ino};
    (void)snprintf(copy, sizeof(copy), "%s", path);
    (void)snprintf(file->folder, sizeof(file->folder), "%s", dirname(copy));
    must(real->pMethods->xFileSize(real, &size) == SQLITE_OK, "a file without a size");
    image_reach(&file->durable, (size_t)size);
    must(size == 0 || real->pMethods->xRead(real, file->durable.bytes, (int)size, 0) == SQLITE_OK,
         "a file cannot be read");
    return file;
}

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    struct shim_file *shim_file = (struct shim_file *)file;
    int tracked = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;

    (void)vfs;
    *shim_file = (struct shim_file){.real = (sqlite3_file *)(shim_file + 1)};
    int r = below->xOpen(below, path, shim_file->real, flags, ret_flags);
    if (r != SQLITE_OK) {
        return r; /* base.pMethods stays NULL: it is not closed */
    }
    if (path != NULL && (flags & tracked) != 0 && (flags & SQLITE_OPEN_READWRITE) != 0) {
        shim_file->tracked = track(path, shim_file->real);
    }
    shim_file->base.pMethods = &methods;
    return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    struct stat status;
    struct tracked *file = stat(path, &status) == 0 ? find_tracked(&status) : NULL;

    (void)vfs;
    int r = below->xDelete(below, path, sync_folder);
    if (r == SQLITE_OK && file != NULL) {
        forget_pending(file);
        free(file->pending);
        free(file->durable.bytes);
        *file = (struct tracked){.used = false};
    }
    return r;
}

void vfs_shim_register(void)
{
    below = sqlite3_vfs_find(NULL);
    must(below != NULL, "SQLite has no VFS");
    shim = *below; /* its other functions do not look at the struct that they are given */
    shim.zName = "shim";
    shim.szOsFile = (int)sizeof(struct shim_file) + below->szOsFile;
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
    must(sqlite3_vfs_register(&shim, 1) == SQLITE_OK, "cannot be registered");
}
