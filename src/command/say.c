#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void say_in_one_line(const char *format, va_list arguments)
{
    char *text = NULL;
    char *line = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    int length = asprintf(&line, "offload: %s\n", text);
    /* There is nobody to tell that nobody can be told. */
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        length = 0;
    free(line);
    free(text);
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_in_one_line(format, arguments);
    va_end(arguments);
}

void fail(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_in_one_line(format, arguments);
    va_end(arguments);
    exit(status);
}
