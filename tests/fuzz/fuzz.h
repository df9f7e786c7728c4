/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput(): built by clang it is a libFuzzer
 * program (etc/fuzz), built by any compiler driver.c runs it over the corpus and a seeded number of mutations.
 * An input may be refused in any way; it must not crash, leak, hang or, once accepted, come back as something else. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding that no sanitizer sees. */
#define FUZZ_CHECK(condition)                                                             \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* For code that reads files: the input under a name in a folder of this process (in memory where that exists; the
 * folder is removed at exit). The path is valid until the next call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
/* The folder itself. */
const char *fuzz_folder(void);

#endif
