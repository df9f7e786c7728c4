/* LD_PRELOAD for a whole daemon and its children (tests/faults/faults.py): files that cannot be written, a wall clock
 * that is wrong, other programs in the place of a child. The product knows nothing of it.
 *
 * QZD_FAULTS_CONTROL names a file of struct control, shared with the test, which may change it at any time.
 * QZD_FAULTS_CHILD="ROLE PROGRAM" makes `qzd ROLE` run PROGRAM instead. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FAILS_WRITES = 1, FAILS_SYNCS = 2, FAILS_NAMES = 4 /* rename, and open that creates */ };

struct control {
    int32_t error;      /* errno of what fails; 0: nothing does */
    uint32_t fails;     /* FAILS_... */
    int64_t clock_ms;   /* added to the wall clock */
    int32_t after;      /* so many of them succeed before */
    uint32_t struck;    /* how many have failed */
    char path_part[96]; /* of files whose path holds this */
};

static volatile struct control *control;

static void become_another(void)
{
    const char *wanted = getenv("QZD_FAULTS_CHILD");
    char role[32];
    char program[PATH_MAX];
    char command[256] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, command, sizeof(command) - 1);

    if (fd >= 0) {
        (void)close(fd);
    }
    size_t first = strlen(command);
    if (wanted == NULL || n <= (ssize_t)first + 1 || getenv("QZD_PARENT") == NULL ||
        sscanf(wanted, "%31s %4095s", role, program) != 2 ||
        strcmp(command + first + 1, role) != 0) {
        return;
    }
    (void)unsetenv("LD_PRELOAD");
    (void)execl(program, program, role, (char *)NULL);
    _exit(127);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("QZD_FAULTS_CONTROL");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        void *mapped =
            mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        control = mapped == MAP_FAILED ? NULL : mapped;
        (void)close(fd);
    }
    become_another();
}

static bool struck_by(uint32_t kind, const char *path)
{
    char part[sizeof(control->path_part)];

    if (control == NULL || control->error == 0 || (control->fails & kind) == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(part); i++) {
        part[i] = control->path_part[i];
    }
    part[sizeof(part) - 1] = '\0';
    if (strstr(path, part) == NULL) {
        return false;
    }
    if (control->after > 0) {
        control->after--;
        return false;
    }
    control->struck++;
    errno = control->error;
    return true;
}

static bool strikes(uint32_t kind, int fd)
{
    char link[48];
    char path[PATH_MAX];

    if (control == NULL || control->error == 0) {
        return false;
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0) {
        return false;
    }
    path[n] = '\0';
    return struck_by(kind, path);
}

/* The function that we stand in front of. */
static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL) {
        abort();
    }
    return found;
}

#define NEXT(name)                                   \
    static __typeof__(&(name)) next_##name;          \
    if (next_##name == NULL) {                       \
        void *found = next(#name);                   \
        memcpy(&next_##name, &found, sizeof(found)); \
    }

ssize_t write(int fd, const void *bytes, size_t size)
{
    NEXT(write);
    return strikes(FAILS_WRITES, fd) ? -1 : next_write(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    NEXT(pwrite);
    return strikes(FAILS_WRITES, fd) ? -1 : next_pwrite(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    NEXT(pwrite64);
    return strikes(FAILS_WRITES, fd) ? -1 : next_pwrite64(fd, bytes, size, at);
}

int ftruncate(int fd, off_t size)
{
    NEXT(ftruncate);
    return strikes(FAILS_WRITES, fd) ? -1 : next_ftruncate(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    NEXT(ftruncate64);
    return strikes(FAILS_WRITES, fd) ? -1 : next_ftruncate64(fd, size);
}

int fsync(int fd)
{
    NEXT(fsync);
    return strikes(FAILS_SYNCS, fd) ? -1 : next_fsync(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return strikes(FAILS_SYNCS, fd) ? -1 : next_fdatasync(fd);
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return struck_by(FAILS_NAMES, to) ? -1 : next_rename(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return struck_by(FAILS_NAMES, path) ? -1 : next_mkdir(path, mode);
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

/* Only opens that would make or write a file. */
static bool open_strikes(const char *path, int flags)
{
    return (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0 && struck_by(FAILS_NAMES, path);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    NEXT(open);
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_strikes(path, flags) ? -1 : next_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    NEXT(open64);
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_strikes(path, flags) ? -1 : next_open64(path, flags, mode);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    NEXT(clock_gettime);
    int r = next_clock_gettime(clock, ret);
    if (r == 0 && clock == CLOCK_REALTIME && control != NULL) {
        ret->tv_sec += control->clock_ms / 1000;
    }
    return r;
}

int gettimeofday(struct timeval *ret, void *zone)
{
    NEXT(gettimeofday);
    int r = next_gettimeofday(ret, zone);
    if (r == 0 && control != NULL) {
        ret->tv_sec += control->clock_ms / 1000;
    }
    return r;
}

time_t time(time_t *ret)
{
    NEXT(time);
    time_t now = next_time(NULL) + (control == NULL ? 0 : (time_t)(control->clock_ms / 1000));
    if (ret != NULL) {
        *ret = now;
    }
    return now;
}
