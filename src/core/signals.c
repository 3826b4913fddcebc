#include "signals.h"

#include "syscalls.h"
#include "underway.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#define SIGNALS 64

/* What rt_sigaction(2) gives, which is not libc's struct sigaction. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

void signals_block(uint64_t *blocked)
{
    uint64_t all = UINT64_MAX;
    KERNEL(SYS_rt_sigprocmask, SIG_SETMASK, &all, blocked, sizeof all);
}

void signals_restore(uint64_t blocked)
{
    KERNEL(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked);
}

static uint64_t bit_of(int number)
{
    return (uint64_t)1 << (number - 1);
}

/* Those whose default action is to let the process go on, or nothing (signal(7)). */
static uint64_t ignored_by_default(void)
{
    return bit_of(SIGCHLD) | bit_of(SIGCONT) | bit_of(SIGURG) | bit_of(SIGWINCH);
}

/* And those that stop the process; and those by which the kernel answers a write of our own, which report.c takes back. */
static uint64_t not_let_through(void)
{
    return ignored_by_default() | bit_of(SIGSTOP) | bit_of(SIGTSTP) | bit_of(SIGTTIN) | bit_of(SIGTTOU) |
           bit_of(SIGPIPE) | bit_of(SIGXFSZ);
}

static bool has_action(int number, void (*wanted)(int))
{
    struct kernel_sigaction action = {0};
    return KERNEL(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask) == 0 && action.handler == wanted;
}

static bool is_ignored(int number)
{
    return has_action(number, SIG_IGN) || (ignored_by_default() & bit_of(number) && has_action(number, SIG_DFL));
}

bool signals_wait(uint64_t blocked)
{
    uint64_t pending = 0;
    KERNEL(SYS_rt_sigpending, &pending, sizeof pending);
    pending &= ~blocked;
    for (int number = 1; pending && number <= SIGNALS; number++)
        if (pending & bit_of(number) && !is_ignored(number))
            return true;
    return false;
}

void signals_let_end(uint64_t blocked)
{
    uint64_t let = 0;
    if (!*underway_single)
        return;
    for (int number = 1; number <= SIGNALS; number++)
        if (!((blocked | not_let_through()) & bit_of(number)) && has_action(number, SIG_DFL))
            let |= bit_of(number);
    KERNEL(SYS_rt_sigprocmask, SIG_UNBLOCK, &let, NULL, sizeof let);
}
