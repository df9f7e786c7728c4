#include "trainer/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The points of a tile lie far apart; with pages of 4 KB each has one of its own. */
enum { HUGE_PAGE = 2 * 1024 * 1024 };

float *buffer_create(size_t count)
{
    if (count > SIZE_MAX / sizeof(float) - 3 * (size_t)BUFFER_GUARD) {
        return NULL;
    }
    size_t bytes = (count + 2 * (size_t)BUFFER_GUARD) * sizeof(float);
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    float *memory = aligned_alloc(alignment, bytes);
    if (memory == NULL) {
        return NULL;
    }
    if (alignment == HUGE_PAGE) {
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: without it all works, slower */
    }
    memset(memory, 0, bytes);
    return memory + BUFFER_GUARD;
}

void buffer_destroy(float *buffer)
{
    if (buffer != NULL) {
        free(buffer - BUFFER_GUARD);
    }
}
