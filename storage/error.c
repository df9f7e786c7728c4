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

int error_prefix(struct error *err, int code, const char *format, ...)
{
    if (err != NULL) {
        char rest[sizeof err->text];
        memcpy(rest, err->text, sizeof rest);
        rest[sizeof rest - 1] = '\0';
        va_list arguments;
        va_start(arguments, format);
        int n = vsnprintf(err->text, sizeof err->text, format, arguments);
        va_end(arguments);
        size_t used = n < 0 ? 0 : (size_t)n;
        if (used < sizeof err->text) {
            snprintf(err->text + used, sizeof err->text - used, ": %s", rest);
        }
    }
    return code;
}

const char *error_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
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
