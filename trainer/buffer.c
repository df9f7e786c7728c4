#include "trainer/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

float *buffer_create(size_t count)
{
    if (count > SIZE_MAX / sizeof(float) - 3 * (size_t)BUFFER_GUARD) {
        return NULL;
    }
    size_t bytes = (count + 2 * (size_t)BUFFER_GUARD) * sizeof(float);
    bytes = (bytes + 63) / 64 * 64;
    float *memory = aligned_alloc(64, bytes);
    if (memory == NULL) {
        return NULL;
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
