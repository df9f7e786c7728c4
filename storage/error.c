#include "storage/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(err->text, sizeof err->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

/* Append as much of text as fits. */
static void append(struct error *err, const char *text)
{
    size_t used = strlen(err->text);
    size_t n = strnlen(text, sizeof err->text - 1 - used);
    memcpy(err->text + used, text, n);
    err->text[used + n] = '\0';
}

int error_prefix(struct error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        struct error rest = *err;
        rest.text[sizeof rest.text - 1] = '\0';
        va_list arguments;
        va_start(arguments, format);
        if (vsnprintf(err->text, sizeof err->text, format, arguments) < 0) {
            err->text[0] = '\0';
        }
        va_end(arguments);
        append(err, ": ");
        append(err, rest.text);
    }
    return code;
}

const char *error_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define X(name, value, text) \
    case name:               \
        return text;
        ERROR_CODES(X)
#undef X
    default:
        return "unknown error";
    }
}

int error_from_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return ERROR_FULL;
    case ENOMEM:
        return ERROR_NO_MEMORY;
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_PERMISSION;
    case EAGAIN:
    case EBUSY:
        return ERROR_BUSY;
    case ETIMEDOUT:
        return ERROR_TIMEOUT;
    default:
        return ERROR_IO;
    }
}
