/* Errors: a negative code for the program and a sentence for the person. A function that can fail
 * returns 0 or one of these codes and, on failure only, fills the caller's struct error with what
 * went wrong, where (file:line:column for config, game and ply for data) and what to do. */
#ifndef STORAGE_ERROR_H
#define STORAGE_ERROR_H

/* name, value, text */
#define ERROR_CODES(X)                                        \
    X(ERROR_NO_MEMORY, -1, "out of memory")                   \
    X(ERROR_IO, -2, "input/output error")                     \
    X(ERROR_FULL, -3, "no space left")                        \
    X(ERROR_INVALID, -4, "invalid input")                     \
    X(ERROR_NOT_FOUND, -5, "not found")                       \
    X(ERROR_VERSION, -6, "of another version")                \
    X(ERROR_BUSY, -7, "in use")                               \
    X(ERROR_CONFLICT, -8, "already there with other content") \
    X(ERROR_CORRUPT, -9, "damaged")                           \
    X(ERROR_UNSUPPORTED, -10, "not supported here")           \
    X(ERROR_CANCELLED, -11, "stopped on request")             \
    X(ERROR_DIVERGED, -12, "training diverged")               \
    X(ERROR_TIMEOUT, -13, "took too long")                    \
    X(ERROR_PERMISSION, -14, "permission denied")

enum error_code {
#define X(name, value, text) name = (value),
    ERROR_CODES(X)
#undef X
};

struct error {
    char text[512]; /* one sentence, no newline at its end; written on failure only */
};

/* Format the text (err may be NULL) and return the code, so that `return error_set(...)` reads well. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Put a prefix and ": " before what is there; returns the code. */
int error_prefix(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The code's general text. */
const char *error_text(int code);
/* The code for an errno value: ENOSPC and EDQUOT ERROR_FULL, EACCES ERROR_PERMISSION, ... */
int error_from_errno(int errnum);

#endif
