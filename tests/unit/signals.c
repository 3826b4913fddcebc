/* Which signals come through while the core waits for a server. */
#include "core/signals.h"

#include "core/underway.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static const char alone = 1, several = 0;

static bool is_blocked(int number)
{
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, number) == 1;
}

static void handle(int number)
{
    (void)number;
}

/* As the core is at work, with the program's own mask to go back to. */
static uint64_t blocked;

static void block(void)
{
    underway_single = &alone;
    signals_block(&blocked);
}

Test(signals, all_are_blocked_and_come_back)
{
    block();
    for (int number = 1; number < 32; number++)
        cr_expect(number == SIGKILL || number == SIGSTOP || is_blocked(number), "signal %d", number);
    signals_restore(blocked);
    cr_expect_not(is_blocked(SIGINT));
}

Test(signals, what_ends_the_process_is_let_through)
{
    /* A shell's command in the background has it ignored. */
    signal(SIGINT, SIG_DFL);
    block();
    signals_let_end(blocked);
    cr_expect_not(is_blocked(SIGINT));
    cr_expect_not(is_blocked(SIGTERM));
    cr_expect_not(is_blocked(SIGHUP));
    cr_expect_not(is_blocked(SIGUSR1));
    signals_restore(blocked);
}

Test(signals, what_has_a_handler_or_does_no_harm_waits)
{
    signal(SIGINT, handle);
    signal(SIGTERM, SIG_IGN);
    block();
    signals_let_end(blocked);
    cr_expect(is_blocked(SIGINT));
    cr_expect(is_blocked(SIGTERM));
    cr_expect(is_blocked(SIGCHLD));
    cr_expect(is_blocked(SIGWINCH));
    cr_expect(is_blocked(SIGTSTP));
    cr_expect(is_blocked(SIGCONT));
    cr_expect(is_blocked(SIGPIPE), "a write of our own may raise it");
    cr_expect(is_blocked(SIGXFSZ));
    signals_restore(blocked);
}

Test(signals, what_the_program_blocks_stays_blocked)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    block();
    signals_let_end(blocked);
    cr_expect(is_blocked(SIGINT));
    cr_expect_not(is_blocked(SIGTERM));
    signals_restore(blocked);
    cr_expect(is_blocked(SIGINT));
}

Test(signals, another_thread_takes_them_where_there_is_one)
{
    block();
    underway_single = &several;
    signals_let_end(blocked);
    cr_expect(is_blocked(SIGINT));
    signals_restore(blocked);
}

Test(signals, a_process_is_ended_in_the_middle)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        block();
        raise(SIGTERM);
        signals_let_end(blocked);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

Test(signals, what_the_program_ignores_is_not_waited_for)
{
    signal(SIGINT, SIG_IGN);
    block();
    raise(SIGINT);
    raise(SIGCHLD);
    raise(SIGWINCH);
    raise(SIGURG);
    cr_expect_not(signals_wait(blocked), "no plain call would be cut short by them");
    signals_restore(blocked);
}

Test(signals, what_has_a_handler_or_ends_the_process_is_waited_for)
{
    signal(SIGCHLD, handle);
    block();
    cr_expect_not(signals_wait(blocked));
    raise(SIGCHLD);
    cr_expect(signals_wait(blocked));
    cr_expect_not(signals_wait(blocked | (uint64_t)1 << (SIGCHLD - 1)), "the program blocks it");
    signals_restore(blocked);
    block();
    raise(SIGTERM);
    cr_expect(signals_wait(blocked));
    signal(SIGTERM, SIG_IGN);
    signals_restore(blocked);
}
