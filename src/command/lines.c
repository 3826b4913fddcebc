#include "lines.h"

#include "command.h"
#include "names.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 80

/* The columns of a text's first n bytes. */
static size_t width_of_word(const char *text, size_t n)
{
    char *word = strndup(text, n);
    size_t width = word ? text_width(word) : n;
    free(word);
    return width;
}

static void print_words(size_t column, const char *text)
{
    bool first = true;
    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, " ");
        if (!n)
            break;
        size_t wide = width_of_word(text, n);
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
    size_t wide = text_width(label);
    /* What is too long has a line for itself. */
    if (wide < LINES_LABEL)
        printf("%s%*s", label, (int)(LINES_LABEL - wide), "");
    else
        printf("%s\n%*s", label, LINES_LABEL, "");
    print_words(LINES_LABEL, text);
    free(text);
}

void lines_end(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    fail(STATUS_FAILED, "cannot write to standard output: %s; give it room, or another place", strerror(errno));
}
