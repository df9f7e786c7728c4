/* The rate at which this core does nothing but fp32 fused multiply-adds, for benchmarks to compare with: measured
 * in turns with what is compared, because the clock of a shared machine wanders. Written in assembly: compilers
 * spill the sums of such a loop. */
#ifndef TRAINER_NET_FMA_PEAK_H
#define TRAINER_NET_FMA_PEAK_H

#include "storage/clock.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Multiply-adds per second with the vectors that a kernel uses ("avx512", "avx512-bf16" for vdpbf16ps, "amx" for tdpbf16ps
 * where the kernel has been asked for tiles, "avx2", else
 * plain mulps and addps); 0 on other processors than amd64. */
static inline double fma_peak(const char *kernel)
{
#if defined(__x86_64__)
    const long loops = 2000000;
    const float one =
        1; /* what the registers held before may be denormal: a hundred times slower on Intel's */
    long left = loops;
    double lanes;
    double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    if (strcmp(kernel, "avx512") == 0) {
        lanes = 16;
        __asm__ volatile(
            "vzeroall\n\tvbroadcastss %1, %%zmm14\n\tvbroadcastss %1, %%zmm15\n\t"
            "1:\n\t"
            "vfmadd231ps %%zmm14, %%zmm15, %%zmm0\n\tvfmadd231ps %%zmm14, %%zmm15, %%zmm1\n\t"
            "vfmadd231ps %%zmm14, %%zmm15, %%zmm2\n\tvfmadd231ps %%zmm14, %%zmm15, %%zmm3\n\t"
            "vfmadd231ps %%zmm14, %%zmm15, %%zmm4\n\tvfmadd231ps %%zmm14, %%zmm15, %%zmm5\n\t"
            "vfmadd231ps %%zmm14, %%zmm15, %%zmm6\n\tvfmadd231ps %%zmm14, %%zmm15, %%zmm7\n\t"
            "vfmadd231ps %%zmm14, %%zmm15, %%zmm8\n\tvfmadd231ps %%zmm14, %%zmm15, %%zmm9\n\t"
            "vfmadd231ps %%zmm14, %%zmm15, %%zmm10\n\tvfmadd231ps %%zmm14, %%zmm15, %%zmm11\n\t"
            "dec %0\n\tjnz 1b\n\tvzeroupper"
            : "+r"(left)
            : "m"(one)
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");
    } else if (strcmp(kernel, "avx512-bf16") == 0) {
        lanes = 32;
        __asm__ volatile(
            "vzeroall\n\tvbroadcastss %1, %%zmm14\n\tvbroadcastss %1, %%zmm15\n\t"
            "1:\n\t"
            "vdpbf16ps %%zmm14, %%zmm15, %%zmm0\n\tvdpbf16ps %%zmm14, %%zmm15, %%zmm1\n\t"
            "vdpbf16ps %%zmm14, %%zmm15, %%zmm2\n\tvdpbf16ps %%zmm14, %%zmm15, %%zmm3\n\t"
            "vdpbf16ps %%zmm14, %%zmm15, %%zmm4\n\tvdpbf16ps %%zmm14, %%zmm15, %%zmm5\n\t"
            "vdpbf16ps %%zmm14, %%zmm15, %%zmm6\n\tvdpbf16ps %%zmm14, %%zmm15, %%zmm7\n\t"
            "vdpbf16ps %%zmm14, %%zmm15, %%zmm8\n\tvdpbf16ps %%zmm14, %%zmm15, %%zmm9\n\t"
            "vdpbf16ps %%zmm14, %%zmm15, %%zmm10\n\tvdpbf16ps %%zmm14, %%zmm15, %%zmm11\n\t"
            "dec %0\n\tjnz 1b\n\tvzeroupper"
            : "+r"(left)
            : "m"(one)
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");
    } else if (strcmp(kernel, "amx") == 0) {
        struct {
            uint8_t palette, start_row, reserved[14];
            uint16_t row_bytes[16];
            uint8_t rows[16];
        } config __attribute__((aligned(64))) = {.palette = 1};
        for (int i = 0; i < 8; i++) {
            config.row_bytes[i] = 64;
            config.rows[i] = 16;
        }
        left /= 10;
        lanes = 4 * 16 * 16 * 32 / 12.0 / 10;
        __asm__ volatile("ldtilecfg %1\n\t"
                         "tilezero %%tmm4\n\ttilezero %%tmm5\n\t"
                         "1:\n\t"
                         "tdpbf16ps %%tmm5, %%tmm4, %%tmm0\n\ttdpbf16ps %%tmm5, %%tmm4, %%tmm1\n\t"
                         "tdpbf16ps %%tmm5, %%tmm4, %%tmm2\n\ttdpbf16ps %%tmm5, %%tmm4, %%tmm3\n\t"
                         "dec %0\n\tjnz 1b\n\ttilerelease"
                         : "+r"(left)
                         : "m"(config)
                         : "cc");
    } else if (strcmp(kernel, "avx2") == 0) {
        lanes = 8;
        __asm__ volatile(
            "vzeroall\n\tvbroadcastss %1, %%ymm14\n\tvbroadcastss %1, %%ymm15\n\t"
            "1:\n\t"
            "vfmadd231ps %%ymm14, %%ymm15, %%ymm0\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm1\n\t"
            "vfmadd231ps %%ymm14, %%ymm15, %%ymm2\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm3\n\t"
            "vfmadd231ps %%ymm14, %%ymm15, %%ymm4\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm5\n\t"
            "vfmadd231ps %%ymm14, %%ymm15, %%ymm6\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm7\n\t"
            "vfmadd231ps %%ymm14, %%ymm15, %%ymm8\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm9\n\t"
            "vfmadd231ps %%ymm14, %%ymm15, %%ymm10\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm11\n\t"
            "dec %0\n\tjnz 1b\n\tvzeroupper"
            : "+r"(left)
            : "m"(one)
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");
    } else {
        lanes = 4;
        __asm__ volatile("movss %1, %%xmm12\n\tshufps $0, %%xmm12, %%xmm12\n\t"
                         "movaps %%xmm12, %%xmm0\n\tmovaps %%xmm12, %%xmm1\n\t"
                         "movaps %%xmm12, %%xmm2\n\tmovaps %%xmm12, %%xmm3\n\t"
                         "movaps %%xmm12, %%xmm4\n\tmovaps %%xmm12, %%xmm5\n\t"
                         "movaps %%xmm12, %%xmm6\n\tmovaps %%xmm12, %%xmm7\n\t"
                         "movaps %%xmm12, %%xmm8\n\tmovaps %%xmm12, %%xmm9\n\t"
                         "movaps %%xmm12, %%xmm10\n\tmovaps %%xmm12, %%xmm11\n\t"
                         "1:\n\t"
                         "mulps %%xmm12, %%xmm0\n\taddps %%xmm12, %%xmm1\n\tmulps %%xmm12, "
                         "%%xmm2\n\taddps %%xmm12, %%xmm3\n\t"
                         "mulps %%xmm12, %%xmm4\n\taddps %%xmm12, %%xmm5\n\tmulps %%xmm12, "
                         "%%xmm6\n\taddps %%xmm12, %%xmm7\n\t"
                         "mulps %%xmm12, %%xmm8\n\taddps %%xmm12, %%xmm9\n\tmulps %%xmm12, "
                         "%%xmm10\n\taddps %%xmm12, %%xmm11\n\t"
                         "mulps %%xmm12, %%xmm0\n\taddps %%xmm12, %%xmm1\n\tmulps %%xmm12, "
                         "%%xmm2\n\taddps %%xmm12, %%xmm3\n\t"
                         "mulps %%xmm12, %%xmm4\n\taddps %%xmm12, %%xmm5\n\tmulps %%xmm12, "
                         "%%xmm6\n\taddps %%xmm12, %%xmm7\n\t"
                         "mulps %%xmm12, %%xmm8\n\taddps %%xmm12, %%xmm9\n\tmulps %%xmm12, "
                         "%%xmm10\n\taddps %%xmm12, %%xmm11\n\t"
                         "dec %0\n\tjnz 1b"
                         : "+r"(left)
                         : "m"(one)
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "cc");
    }
    return (double)loops * 12 * lanes / (clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start);
#else
    (void)kernel;
    return 0;
#endif
}

#endif
