#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAITING_MAX ((size_t)1 << 20)

/*
 * Between poll(2) and write(2) another process may fill the pipe, so it is opened anew: the description that others
 * have must not become non-blocking.
 */
static int open_own(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    return own < 0 ? fd : own;
}

void output_open(struct output *output, int fd)
{
    struct stat status;
    bool known = fd >= 0 && fstat(fd, &status) == 0;
    *output = (struct output){.fd = fd, .own = fd};
    output->regular = known && S_ISREG(status.st_mode);
    if (known && S_ISFIFO(status.st_mode))
        output->own = open_own(fd);
}

/* A line in one write(2), so that it stays whole among others'; of a long one, what a pipe takes at once. */
static size_t next_piece(const struct output *o)
{
    const char *from = o->bytes + o->start;
    const char *end = memchr(from, '\n', o->end - o->start);
    size_t n = end ? (size_t)(end - from) + 1 : o->end - o->start;
    return o->regular || n < PIPE_BUF ? n : PIPE_BUF;
}

static bool has_room(const struct output *o, int milliseconds)
{
    struct pollfd room = {.fd = o->own, .events = POLLOUT};
    return poll(&room, 1, milliseconds) > 0;
}

void output_write(struct output *output)
{
    while (output->start < output->end && has_room(output, 0)) {
        ssize_t written = write(output->own, output->bytes + output->start, next_piece(output));
        if (written < 0 && errno == EAGAIN)
            return;
        if (written > 0) {
            output->start += (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            output->failed = true;
            output->start = output->end;
        }
    }
}

void output_add(struct output *output, const char *line, size_t n)
{
    size_t waiting = output->end - output->start;
    char *bytes = NULL;
    if (output->start > 0)
        memmove(output->bytes, output->bytes + output->start, waiting);
    output->start = 0;
    output->end = waiting;
    if (waiting + n <= WAITING_MAX)
        bytes = realloc(output->bytes, waiting + n);
    if (!bytes) {
        output->lost++;
        return;
    }
    memcpy(bytes + waiting, line, n);
    output->bytes = bytes;
    output->end += n;
    output_write(output);
}

int output_waits_for(const struct output *output)
{
    return output->start < output->end ? output->own : -1;
}

void output_close(struct output *output)
{
    while (output->start < output->end) {
        has_room(output, -1);
        output_write(output);
    }
    if (output->own != output->fd)
        close(output->own);
    free(output->bytes);
}
