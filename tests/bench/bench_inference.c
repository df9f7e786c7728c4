/* Rates of one core: evaluations/s of several nets at several batches, and the share of sgemm's peak that
 * the multiply-adds of a direct convolution make of it. The peak is that of a 512^3 product,
 * measured in turns with the net, because the clock of a shared machine wanders; seconds are the
 * thread's own, so that neighbours on the core do not count.
 *     bench_inference [blocks filters [planes height width policy_planes]]
 * OPENBLAS_CORETYPE chooses OpenBLAS's kernel; unset, the library does. */
#include "trainer/net/blas.h"
#include "trainer/net/inference.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 7, PEAK_SIZE = 512, MAX_BATCH = 64 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static float *numbers(size_t n)
{
    float *data = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (data == NULL) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        data[i] = (float)(i * 7 % 13) / 13.0F - 0.4F;
    }
    return data;
}

/* Multiply-adds per second of one large product. */
static double peak(const float *a, const float *b, float *c)
{
    const int n = PEAK_SIZE;
    double start = now();
    int runs = 0;
    do {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0F, a, n, b, n, 0.0F, c,
                    n);
        runs++;
    } while (now() - start < 0.03);
    return runs * (double)n * n * n / (now() - start);
}

static double rate(struct inference *inference, const float *planes, uint32_t batch, float *policy,
                   float *value)
{
    double start = now();
    long done = 0;
    do {
        inference_run(inference, planes, batch, policy, value);
        done += batch;
    } while (now() - start < 0.1);
    return (double)done / (now() - start);
}

static int measure(const struct net_arch *arch)
{
    struct error err;
    struct inference *inference = NULL;
    struct net *net = net_create(arch);
    size_t planes_size = (size_t)arch->n_planes * arch->height * arch->width;
    const size_t square = (size_t)PEAK_SIZE * PEAK_SIZE;
    if (net == NULL) {
        return 1;
    }
    net_init(net, 1);
    if (inference_create(net, MAX_BATCH, &inference, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    float *planes = numbers(MAX_BATCH * planes_size);
    for (size_t i = 0; i < MAX_BATCH * planes_size; i++) {
        planes[i] = planes[i] > 0.0F ? 1.0F : 0.0F;
    }
    float *policy = numbers((size_t)MAX_BATCH * net_policy_size(arch));
    float *value = numbers((size_t)MAX_BATCH * net_value_outputs(arch));
    float *a = numbers(square);
    float *b = numbers(square);
    float *c = numbers(square);
    static const uint32_t batches[] = {1, 16, 64};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        double rates[ROUNDS];
        double shares[ROUNDS];
        double peaks[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            double before = peak(a, b, c);
            rates[round] = rate(inference, planes, batches[i], policy, value);
            peaks[round] = (before + peak(a, b, c)) / 2.0;
            shares[round] = rates[round] * net_arch_macs(arch) / peaks[round];
        }
        printf(
            "{\"bench\": \"inference\", \"kernel\": \"%s\", \"blocks\": %u, \"filters\": %u, "
            "\"planes\": %u, \"height\": %u, \"width\": %u, \"se_channels\": %u, \"batch\": %u, "
            "\"evaluations_per_s\": %.0f, \"share_of_sgemm_peak\": %.3f, \"peak_gflops\": %.1f}\n",
            inference_kernel(), arch->blocks, arch->filters, arch->n_planes, arch->height,
            arch->width, arch->se_channels, batches[i], median(rates), median(shares),
            2e-9 * median(peaks));
    }
    free(planes);
    free(policy);
    free(value);
    free(a);
    free(b);
    free(c);
    inference_destroy(inference);
    net_destroy(net);
    return 0;
}

static uint32_t argument(int argc, char **argv, int i, uint32_t otherwise)
{
    return i < argc ? (uint32_t)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct net_arch arch = {
        .game = "connect4",
        .n_planes = argument(argc, argv, 3, 3),
        .height = argument(argc, argv, 4, 6),
        .width = argument(argc, argv, 5, 7),
        .policy_planes = argument(argc, argv, 6, 1),
        .blocks = argument(argc, argv, 1, 4),
        .filters = argument(argc, argv, 2, 32),
        .value_filters = 8,
        .value_hidden = 64,
        .value = NET_VALUE_WDL,
    };
    arch.se_channels = arch.filters / 4;
    blas_set_threads(1);
    return measure(&arch);
}
