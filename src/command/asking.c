#include "asking.h"

#include "../core/newer.h"
#include "collect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Whoever reads our output waits until nobody holds it open any more: a child that hangs must not. Its pipe gets the
 * lowest number that is left.
 */
static int keep_only(int pipe)
{
    int nothing = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && nothing >= 0; fd++)
        dup2(nothing, fd);
    pipe = dup2(pipe, 3);
    if (syscall(SYS_close_range, 4, ~0U, 0) < 0)
        for (int fd = 4; fd < 1024; fd++)
            close(fd);
    return pipe;
}

static _Noreturn void answer_from_child(int pipe, void (*ask)(const void *, void *), const void *what, void *answer,
                                        size_t size)
{
    pipe = keep_only(pipe);
    ask(what, answer);
    const char *from = answer;
    while (size) {
        ssize_t n = write(pipe, from, size);
        if (n <= 0)
            break;
        from += n;
        size -= (size_t)n;
    }
    _exit(0);
}

/* Whether `size` bytes came, none later than that many milliseconds after the one before. */
static bool read_within(int milliseconds, int pipe, char *to, size_t size)
{
    struct pollfd waits = {.fd = pipe, .events = POLLIN};
    while (size) {
        int ready = poll(&waits, 1, milliseconds);
        if (ready < 0 && errno == EINTR)
            continue;
        ssize_t n = ready > 0 ? read(pipe, to, size) : 0;
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
    }
    return true;
}

bool ask_within(int milliseconds, void (*ask)(const void *what, void *answer), const void *what, void *answer,
                size_t size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    /* The standard three may be closed, and are the child's to take. */
    ends[0] = above_standard(ends[0]);
    ends[1] = above_standard(ends[1]);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        answer_from_child(ends[1], ask, what, answer, size);
    }
    close(ends[1]);
    bool answered = child > 0 && read_within(milliseconds, ends[0], answer, size);
    close(ends[0]);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, answered ? 0 : WNOHANG);
    }
    return answered;
}
