/* Two looks from outside: the newest net through the plain definition of its function, and the host. */
#include "daemon/doctor/doctor_read.h"

#include "trainer/net/inference.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Plain C is slow: about 3 ns a product. So many products are spent on it, at least one position. */
#define MAX_PRODUCTS 60e6

static uint32_t affordable(const struct net_arch *arch, uint32_t n)
{
    double filters = arch->filters;
    double products = 9.0 * arch->height * arch->width *
                      (arch->n_planes * filters + (2.0 * arch->blocks + 1) * filters * filters +
                       filters * arch->policy_planes);
    double most = MAX_PRODUCTS / products;

    return most < 1 ? 1 : most < n ? (uint32_t)most : n;
}

static double value_of(const struct net *net, const float *value)
{
    return net->arch.value == NET_VALUE_SCALAR ? (double)value[0]
                                               : (double)value[0] - (double)value[2];
}

static int compare(const struct game *game, const struct net *net,
                   const struct doctor_sampled *sampled, struct doctor_net *ret, struct error *err)
{
    size_t planes_size = (size_t)game->n_planes * game->height * game->width;
    size_t policy_size = (size_t)game->policy_planes * game->height * game->width;
    uint32_t n = affordable(&net->arch, sampled->n);
    float *planes = calloc(planes_size, sizeof(*planes));
    float *policy = calloc(policy_size, sizeof(*policy));
    float value[3] = {0};
    int r = 0;

    if (planes == NULL || policy == NULL) {
        r = error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < n && r == 0; i++) {
        union game_state seen = sampled->states[i];
        if (!game->is_canonical(&seen)) {
            game->mirror(&sampled->states[i], &seen);
        }
        game->planes(&seen, planes);
        r = reference_run(net, planes, 1, policy, value, err);
        double difference = fabs(value_of(net, value) - sampled->v[i]);
        ret->difference = fmax(ret->difference, isnan(difference) ? 2 : difference);
        ret->positions++;
    }
    free(planes);
    free(policy);
    return r;
}

void doctor_net_compare(const struct game *game, const char *path,
                        const struct doctor_sampled *sampled, struct doctor_net *ret)
{
    struct error err = {.text = ""};
    struct net *net = NULL;
    char sha256[RECORD_SHA256_BYTES];
    int r = net_load(path, &net, sha256, &err);

    if (r == 0) {
        struct net_arch wanted = net->arch;
        r = net_arch_for_game(&wanted, game, &err);
        if (r == 0 && !net_arch_equal(&wanted, &net->arch)) {
            r = error_set(&err, ERROR_INVALID, "%s is not made for %s", path, game->title);
        }
    }
    if (r == 0) {
        const char *slash = strrchr(path, '/');
        const char *name = slash == NULL ? path : slash + 1;
        if (strncmp(name, sha256, strlen(sha256)) != 0) {
            r = error_set(&err, ERROR_CORRUPT, "%s has the hash %.12s...", name, sha256);
        }
    }
    if (r == 0) {
        r = compare(game, net, sampled, ret, &err);
    }
    if (r < 0 && r != ERROR_NO_MEMORY) {
        (void)snprintf(ret->trouble, sizeof(ret->trouble), "%.159s", err.text);
    }
    net_destroy(net);
}

/* ---- the host ---- */
static double bytes_of(const char *directory, const char *file)
{
    char path[PATH_MAX];
    struct stat info;
    int n = snprintf(path, sizeof(path), "%s/%s", directory, file);

    return n > 0 && n < PATH_MAX && stat(path, &info) == 0 ? (double)info.st_size : 0;
}

void doctor_look_at_disk(const char *state_dir, struct doctor_disk *disk)
{
    struct statvfs info;

    disk->known = statvfs(state_dir, &info) == 0;
    if (disk->known) {
        disk->free_bytes = (double)info.f_bavail * (double)info.f_frsize;
        disk->store_bytes = bytes_of(state_dir, "qzd.db");
        disk->wal_bytes = bytes_of(state_dir, "qzd.db-wal");
    }
}

void doctor_read_disk(const char *state_dir, const char *net_file, double plies,
                      double plies_per_day, double nets_per_day, double limit,
                      struct doctor_disk *ret)
{
    *ret = (struct doctor_disk){.bytes_per_day = NAN};
    doctor_look_at_disk(state_dir, ret);
    /* Before the disk is full, retention has ended the store's growth. */
    bool bounded = limit > 0 && limit - ret->store_bytes < ret->free_bytes;
    if (ret->known && plies > 0 && plies_per_day >= 0) {
        double nets = nets_per_day >= 0 ? nets_per_day * bytes_of(state_dir, net_file) : 0;
        double games = bounded ? 0 : ret->store_bytes / plies * plies_per_day;
        ret->bytes_per_day = games + nets;
    }
}

int64_t doctor_process_ms(int pid)
{
    char path[64];
    char line[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    const char *rest = NULL;
    long long user = -1;
    long long kernel = 0;

    if (file == NULL) {
        return -1;
    }
    if (fgets(line, sizeof(line), file) != NULL) {
        rest = strrchr(line, ')'); /* the name may hold anything */
    }
    (void)fclose(file);
    /* proc(5): state is field 3, utime field 14, stime field 15. */
    for (int field = 2; rest != NULL && field < 14; field++) {
        rest = strchr(rest + 1, ' ');
    }
    if (rest != NULL) {
        char *end = NULL;
        user = strtoll(rest, &end, 10);
        kernel = strtoll(end, NULL, 10);
    }
    long ticks = sysconf(_SC_CLK_TCK);
    return user < 0 || ticks <= 0 ? -1 : (int64_t)((user + kernel) * 1000 / ticks);
}
