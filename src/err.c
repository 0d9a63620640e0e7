#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    char text[sizeof err->text]; /* the arguments may point into err itself */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);

    err->code = code;
    size_t out = 0;
    for (const char *c = text; *c && out + 1 < sizeof err->text; c++) {
        if (*c == '\t') {
            continue;
        } else if (*c != '\n') {
            err->text[out++] = *c;
        } else if (c[1] && out + 3 < sizeof err->text) {
            err->text[out++] = ';';
            err->text[out++] = ' ';
        }
    }
    err->text[out] = '\0';
    return -1;
}
