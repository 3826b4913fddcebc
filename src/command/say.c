#include "command.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool write_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t written = write(fd, bytes, n);
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        if (written < 0 && errno == EAGAIN)
            poll(&room, 1, -1);
        else if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        }
    }
    return true;
}

static void say_in_one_line(const char *format, va_list arguments)
{
    char *text = NULL;
    char *line = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    int length = asprintf(&line, "offload: %s\n", text);
    /* Where it fails, there is nobody to tell that nobody can be told. */
    if (length > 0)
        write_all(STDERR_FILENO, line, (size_t)length);
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
