/* Rates of one core: evaluations/s of a net at several batches, and which share of the core's peak of fp32
 * multiply-adds (fma_peak.h, measured in turns with the net) those make that the kernel really does in its
 * 3x3 convolutions. Seconds are the thread's own, so that neighbours on the core do not count.
 *     bench_inference [blocks filters [planes height width policy_planes]]
 * The input is as sparse as a board in a game's middle; logits are asked for of as many moves as are legal there.
 * QZD_KERNEL and QZD_PRECISION choose the kernel; unset, the best one in fp32 that the processor can run. In bf16 the
 * share is that of the core's peak of bf16 products (vdpbf16ps, tdpbf16ps). */
#include "storage/clock.h"
#include "trainer/net/fma_peak.h"
#include "trainer/net/inference.h"
#include "trainer/net/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 7, MAX_BATCH = 128, MAX_WANTED = 36 };

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

static void *room(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct bench {
    struct net_arch arch;
    struct inference *inference;
    double macs; /* of one evaluation, really done */
    float *planes, *policy, *value;
    uint16_t *index;
    struct inference_wanted wanted[MAX_BATCH];
};

static double rate(struct bench *b, uint32_t batch)
{
    double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    long done = 0;
    do {
        inference_run(b->inference, b->planes, batch, b->wanted, b->policy, b->value);
        done += batch;
    } while (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start < 0.1);
    return (double)done / (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start);
}

/* One stone on every other cell, its plane by turns; the last plane is full, as in Connect Four and chess. */
static void fill(struct bench *b)
{
    const struct net_arch *arch = &b->arch;
    uint32_t cells = arch->height * arch->width;
    uint32_t size = net_policy_size(arch);
    uint32_t n = arch->policy_planes == 1 ? arch->width : MAX_WANTED;
    b->planes = room((size_t)MAX_BATCH * arch->n_planes * cells, sizeof(float));
    b->policy = room((size_t)MAX_BATCH * size, sizeof(float));
    b->value = room((size_t)MAX_BATCH * 3, sizeof(float));
    b->index = room((size_t)MAX_BATCH * n, sizeof(uint16_t));
    for (uint32_t i = 0; i < MAX_BATCH; i++) {
        float *planes = b->planes + (size_t)i * arch->n_planes * cells;
        for (uint32_t cell = i % 2; cell < cells; cell += 2) {
            for (uint32_t history = 0; history + 2 < arch->n_planes; history += 13) {
                planes[(history + (cell / 2 + i) % (arch->n_planes < 13 ? 2 : 12)) * cells + cell] =
                    1.0F;
            }
        }
        for (uint32_t cell = 0; cell < cells; cell++) {
            planes[(arch->n_planes - 1) * cells + cell] = 1.0F;
        }
        b->wanted[i] = (struct inference_wanted){n, b->index + (size_t)i * n};
        for (uint32_t k = 0; k < n; k++) {
            b->index[(size_t)i * n + k] = (uint16_t)((k * 89 + i * 7) % size);
        }
    }
}

static void measure(struct bench *b, const struct kernel *kernel, uint32_t batch)
{
    double rates[ROUNDS];
    double shares[ROUNDS];
    double peaks[ROUNDS];
    const char *peak =
        strcmp(kernel->id, "winograd-bf16/avx512") == 0 ? "avx512-bf16" : kernel->name;
    for (int round = 0; round < ROUNDS; round++) {
        double before = fma_peak(peak);
        rates[round] = rate(b, batch);
        peaks[round] = (before + fma_peak(peak)) / 2.0;
        shares[round] = rates[round] * b->macs / peaks[round];
    }
    printf("{\"bench\": \"inference\", \"kernel\": \"%s\", \"blocks\": %u, \"filters\": %u, "
           "\"planes\": %u, "
           "\"height\": %u, \"width\": %u, \"se_channels\": %u, \"batch\": %u, "
           "\"evaluations_per_s\": %.0f, "
           "\"share_of_fma_peak\": %.3f, \"fma_peak_gflops\": %.1f}\n",
           inference_kernel(), b->arch.blocks, b->arch.filters, b->arch.n_planes, b->arch.height,
           b->arch.width, b->arch.se_channels, batch, median(rates), median(shares),
           2e-9 * median(peaks));
}

static uint32_t argument(int argc, char **argv, int i, uint32_t otherwise)
{
    return i < argc ? (uint32_t)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static const uint32_t batches[] = {1, 8, 16, 32, 64, 128};
    static struct bench b;
    struct error err;
    const struct kernel *kernel = NULL;
    b.arch = (struct net_arch){
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
    b.arch.se_channels = b.arch.filters / (b.arch.n_planes == 112 ? 8 : 4);
    struct net *net = net_create(&b.arch);
    if (net == NULL) {
        fprintf(stderr, "no such net\n");
        return 1;
    }
    net_init(net, 1);
    if (kernel_choose(&kernel, &err) < 0 ||
        inference_create_on(kernel, net, MAX_BATCH, &b.inference, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct winograd w;
    winograd_init(&w, b.arch.height, b.arch.width, kernel->tile_size);
    b.macs = (double)w.points * w.tiles * b.arch.filters * b.arch.filters * (2 * b.arch.blocks + 1);
    fill(&b);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        measure(&b, kernel, batches[i]);
    }
    inference_destroy(b.inference);
    net_destroy(net);
    free(b.planes);
    free(b.policy);
    free(b.value);
    free(b.index);
    return 0;
}
