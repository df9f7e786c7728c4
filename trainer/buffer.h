/* Memory for activations: floats on a cache line, with readable zeros on either side, because a
 * shifted copy of a plane (conv.c) looks a row and a cell beyond both ends before it masks. */
#ifndef TRAINER_BUFFER_H
#define TRAINER_BUFFER_H

#include <stddef.h>

enum { BUFFER_GUARD = 64 }; /* floats on each side; so boards are at most 62 wide */

float *buffer_create(size_t count); /* zeroed; NULL: out of memory */
void buffer_destroy(float *buffer); /* NULL is allowed */

/* Loops that are worth it are compiled for several instruction sets, chosen at start. Sanitizers run
 * before such a choice can be made, and clang spells it otherwise: there, once. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BUFFER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define BUFFER_CLONES
#endif

#endif
