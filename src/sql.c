#include "sql.h"

void sql_quote(FILE *out, const char *text, char mark)
{
    fputc(mark, out);
    for (const char *c = text; *c; c++) {
        if (*c == mark)
            fputc(mark, out);
        fputc(*c, out);
    }
    fputc(mark, out);
}
