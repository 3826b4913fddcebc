#include "lines.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80

/* How many columns n bytes of UTF-8 take, roughly: one for each character. */
static size_t columns_of(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

static void print_words(size_t column, const char *text)
{
    bool first = true;
    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, " ");
        if (!n)
            break;
        size_t wide = columns_of(text, n);
        if (!first && column + 1 + wide > COLUMNS) {
            printf("\n%*s", LINES_LABEL, "");
            column = LINES_LABEL;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        fwrite(text, 1, n, stdout);
        column += wide;
        text += n;
        first = false;
    }
    putchar('\n');
}

void lines_say(const char *label, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    size_t wide = columns_of(label, strlen(label));
    printf("%s%*s", label, wide < LINES_LABEL ? (int)(LINES_LABEL - wide) : 1, "");
    print_words(wide < LINES_LABEL ? LINES_LABEL : wide + 1, text);
    free(text);
}
