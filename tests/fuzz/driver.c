/* A fuzz target without libFuzzer: fuzz_NAME [--runs N] [--seconds S] [--seed N] [FILE|FOLDER...]
 * Runs every file given, then mutations of them until N runs or S seconds of processor time are over (0: none).
 * Blind to coverage, so it finds less than libFuzzer; the same seed gives the same inputs. The input
 * at work when the process dies is left in ./crash-NAME. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CORPUS = 4096, LONGEST_INPUT = 1 << 16 };

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input corpus[MAX_CORPUS];
static size_t n_corpus;
static uint8_t scratch[LONGEST_INPUT];
static struct input current; /* what runs now */
static char crash_path[PATH_MAX];

/* SplitMix64. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static size_t draw_below(uint64_t *state, size_t n)
{
    return n == 0 ? 0 : (size_t)(draw(state) % n);
}

/* ---- the input that kills ---- */
static void keep_crash(void)
{
    static const char text[] = "the input is in ";
    int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || current.bytes == NULL) {
        return;
    }
    bool kept = write(fd, current.bytes, current.size) == (ssize_t)current.size &&
                write(STDERR_FILENO, text, sizeof(text) - 1) > 0 &&
                write(STDERR_FILENO, crash_path, strlen(crash_path)) > 0 &&
                write(STDERR_FILENO, "\n", 1) == 1;
    (void)kept;
    (void)close(fd);
}

static void on_signal(int number)
{
    keep_crash();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* Sanitizers end the process by _exit: they have a hook of their own. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch(void)
{
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(keep_crash);
    }
    static const int signals[] = {SIGABRT, SIGALRM, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)signal(signals[i], on_signal);
    }
}

/* ---- corpus ---- */
static void add_file(const char *path)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    size_t size = fread(scratch, 1, sizeof(scratch), file);
    (void)fclose(file);
    if (n_corpus == MAX_CORPUS) {
        return;
    }
    uint8_t *bytes = malloc(size + 1);
    FUZZ_CHECK(bytes != NULL);
    memcpy(bytes, scratch, size);
    corpus[n_corpus++] = (struct input){bytes, size};
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_path(const char *path)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, by_name);

    if (n < 0) {
        add_file(path);
        return;
    }
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX];
        (void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            add_file(file);
        }
        free(entries[i]);
    }
    free((void *)entries);
}

/* ---- mutations, in place in scratch ---- */
static size_t insert(size_t size, size_t at, const uint8_t *bytes, size_t n)
{
    if (n > sizeof(scratch) - size) {
        n = sizeof(scratch) - size;
    }
    memmove(scratch + at + n, scratch + at, size - at);
    memcpy(scratch + at, bytes, n);
    return size + n;
}

static size_t insert_some(uint64_t *random, size_t size)
{
    static const char *const words[] = {
        "0",        "-1",      "1e999", "nan", "18446744073709551616",
        "\xff\xfe", "\n",      "\"",    "{",   "[[[[[[[[",
        ": ",       "\\u0000", "%s",    "null"};
    size_t at = draw_below(random, size + 1);

    if (draw_below(random, 3) == 0) {
        const char *word = words[draw_below(random, sizeof(words) / sizeof(words[0]))];
        return insert(size, at, (const uint8_t *)word, strlen(word));
    }
    const struct input *other = &corpus[draw_below(random, n_corpus)];
    size_t from = draw_below(random, other->size);
    return insert(size, at, other->bytes + from, draw_below(random, other->size - from + 1));
}

static size_t overwrite(uint64_t *random, size_t size)
{
    static const uint32_t numbers[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x01000000};
    uint32_t number = numbers[draw_below(random, sizeof(numbers) / sizeof(numbers[0]))];
    size_t width = (size_t)1 << draw_below(random, 3);

    if (size >= width) {
        memcpy(scratch + draw_below(random, size - width + 1), &number, width);
    }
    return size;
}

static size_t mutate_once(uint64_t *random, size_t size)
{
    size_t at = draw_below(random, size);
    size_t n = draw_below(random, size - at + 1);

    switch (size == 0 ? 7 : draw_below(random, 9)) {
    case 0:
        scratch[at] ^= (uint8_t)(1U << draw_below(random, 8));
        return size;
    case 1:
        scratch[at] = (uint8_t)draw(random);
        return size;
    case 2:
        return overwrite(random, size);
    case 3: /* a range goes */
        memmove(scratch + at, scratch + at + n, size - at - n);
        return size - n;
    case 4: /* a range comes twice */
        if (n > sizeof(scratch) - size) {
            return size;
        }
        memmove(scratch + at + n, scratch + at, size - at);
        return size + n;
    case 5:
        return at;
    case 6:
        memset(scratch + at, (int)draw_below(random, 256), n);
        return size;
    default:
        return insert_some(random, size);
    }
}

static void run(const uint8_t *bytes, size_t size)
{
    /* A copy of exactly its size, so that a read behind it is seen. */
    uint8_t *copy = malloc(size > 0 ? size : 1);

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    current = (struct input){copy, size};
    (void)alarm(60);
    (void)LLVMFuzzerTestOneInput(copy, size);
    current.bytes = NULL;
    free(copy);
}

static uint64_t mutate(uint64_t seed, uint64_t runs, double seconds)
{
    uint64_t random = seed;
    uint64_t done = 0;
    clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);

    for (; done < runs && clock() < end; done++) {
        const struct input *from = &corpus[draw_below(&random, n_corpus)];
        size_t size = from->size;
        memcpy(scratch, from->bytes, size);
        for (size_t n = 1 + draw_below(&random, 6); n > 0; n--) {
            size = mutate_once(&random, size);
        }
        run(scratch, size);
    }
    return done;
}

int main(int argc, char *argv[])
{
    uint64_t seed = 1;
    uint64_t runs = UINT64_MAX;
    double seconds = 0;
    const char *name = strrchr(argv[0], '/') == NULL ? argv[0] : strrchr(argv[0], '/') + 1;

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--runs") == 0) {
            runs = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            seconds = strtod(argv[++i], NULL);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[++i], NULL, 10);
        } else {
            add_path(argv[i]);
        }
    }
    (void)snprintf(crash_path, sizeof(crash_path), "crash-%s", name);
    watch();
    for (size_t i = 0; i < n_corpus; i++) {
        run(corpus[i].bytes, corpus[i].size);
    }
    if (n_corpus == 0) {
        run(scratch, 0);
        corpus[n_corpus++] = (struct input){calloc(1, 1), 0};
    }
    uint64_t done = mutate(seed, runs, seconds);
    fprintf(stderr, "%s: %zu files, %llu mutations of seed %llu, no finding\n", name, n_corpus,
            (unsigned long long)done, (unsigned long long)seed);
    for (size_t i = 0; i < n_corpus; i++) {
        free(corpus[i].bytes);
    }
    return 0;
}
