#include "run.h"

#include "collect.h"
#include "command.h"
#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Milliseconds. */
#define LATER 100

struct child {
    pid_t pid;
    bool ended;
    int status;
    int *error; /* shared with the child: why it could not become the program, or 0 */
    const struct run_events *events;
};

/* The signals as this process was started with them, which the child is to have. */
static struct {
    sigset_t mask;
    struct sigaction on_child;
} inherited;

/* ---- starting ---- */

void run_in_place(const char *path, char **argv)
{
    program_become(path, argv);
    exit(program_complain(path, argv[0], errno));
}

_Noreturn static void become(const char *path, char **argv, int *error)
{
    run_release_signals();
    program_become(path, argv);
    *error = errno;
    _exit(STATUS_FAILED);
}

/* The child tells its errno through memory, not a pipe: there may be no descriptors left (ulimit -n). */
static void start(struct child *child, const char *path, char **argv)
{
    child->error = mmap(NULL, sizeof *child->error, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (child->error == MAP_FAILED)
        fail(STATUS_FAILED, "cannot start a process: %s; give it more memory (ulimit -v)", strerror(errno));
    child->pid = fork();
    if (child->pid < 0)
        fail(STATUS_FAILED, "cannot start a process: %s; end some, or raise 'ulimit -u'", strerror(errno));
    if (child->pid == 0)
        become(path, argv, child->error);
}

/*
 * Who waits for the last writer of a pipe, or for a lock, waits for the command, not for us. What we were started with
 * is told from what we opened by the flag that exec(2) goes by.
 */
static void let_go_of_inherited(void)
{
    DIR *list = opendir("/proc/self/fd");
    if (!list)
        return;
    for (const struct dirent *entry; (entry = readdir(list));) {
        int fd = atoi(entry->d_name);
        int flags = *entry->d_name == '.' ? FD_CLOEXEC : fcntl(fd, F_GETFD);
        if (fd != STDERR_FILENO && flags >= 0 && !(flags & FD_CLOEXEC))
            close(fd);
    }
    closedir(list);
}

/* ---- signals ---- */

/* Those that are no message, but what this process did itself. */
static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

static void fill_held(sigset_t *held)
{
    sigfillset(held);
    for (size_t i = 0; i < sizeof own_faults / sizeof *own_faults; i++)
        sigdelset(held, own_faults[i]);
}

void run_hold_signals(void)
{
    sigset_t held;
    const struct sigaction normal = {.sa_handler = SIG_DFL};
    fill_held(&held);
    sigprocmask(SIG_SETMASK, &held, &inherited.mask);
    /* Ignored by whoever started us, it would take the child's status away (waitpid(2)). */
    sigaction(SIGCHLD, &normal, &inherited.on_child);
}

/* A descriptor that is readable when signals have come, or -1 where there are no more to be had. */
static int open_signals(void)
{
    sigset_t held;
    fill_held(&held);
    return above_standard(signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
}

void run_release_signals(void)
{
    sigaction(SIGCHLD, &inherited.on_child, NULL);
    sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
}

void run_drop_signals(void)
{
    sigset_t all, writing;
    const struct timespec at_once = {0, 0};
    sigfillset(&all);
    while (sigtimedwait(&all, NULL, &at_once) > 0)
        ;
    sigemptyset(&writing);
    sigaddset(&writing, SIGPIPE);
    sigaddset(&writing, SIGXFSZ);
    run_release_signals();
    sigprocmask(SIG_BLOCK, &writing, NULL);
}

/* Whether the kernel has sent the signal to the child as well: the terminal does, to all of its process group. */
static bool reached_child(const siginfo_t *signal, pid_t child)
{
    if (signal->si_code != SI_KERNEL || getpgid(child) != getpgrp())
        return false;
    switch (signal->si_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGCONT:
        return true;
    case SIGHUP: /* a terminal that hangs up tells the leader of its session only */
        return getsid(0) != getpid();
    default:
        return false;
    }
}

/* Whether the signal is about this process's own doings. */
static bool is_own(const siginfo_t *signal)
{
    switch (signal->si_signo) {
    case SIGCHLD:
    case SIGWINCH: /* the terminal tells everyone in it */
        return true;
    case SIGPIPE:
        return signal->si_pid == getpid();
    case SIGXCPU:
    case SIGXFSZ:
        return signal->si_code != SI_USER;
    default:
        return false;
    }
}

static void hand_on(const siginfo_t *signal, const struct child *child)
{
    if (is_own(signal) || reached_child(signal, child->pid))
        return;
    if (signal->si_code == SI_QUEUE)
        sigqueue(child->pid, signal->si_signo, signal->si_value);
    else
        kill(child->pid, signal->si_signo);
}

/* ---- stopping ---- */

/* Stops this process by the signal, until someone continues it. */
static void stop_by(int signal)
{
    sigset_t one;
    struct sigaction before;
    const struct sigaction normal = {.sa_handler = SIG_DFL};
    sigemptyset(&one);
    sigaddset(&one, signal);
    sigaction(signal, &normal, &before);
    kill(getpid(), signal);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
    sigaction(signal, &before, NULL);
}

/* Whether the terminal is the child's at the moment. */
static bool has_terminal(pid_t child)
{
    int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (terminal < 0)
        return false;
    pid_t front = tcgetpgrp(terminal);
    close(terminal);
    return front >= 0 && front == getpgid(child);
}

/*
 * The child has stopped. Whoever waits for us is to see that, and continue us; but what stops and continues the child
 * from outside (SIGSTOP to it alone, without a terminal in the game) would leave us stopped for ever.
 */
static void follow_stop(const struct child *child, int signal)
{
    if (signal == SIGSTOP && !has_terminal(child->pid))
        return;
    child->events->stopping(child->events->what);
    stop_by(signal);
    kill(child->pid, SIGCONT);
}

static void look_at_child(struct child *child)
{
    int status;
    while (!child->ended && waitpid(child->pid, &status, WNOHANG | WUNTRACED) == child->pid) {
        if (WIFSTOPPED(status)) {
            follow_stop(child, WSTOPSIG(status));
        } else {
            child->status = status;
            child->ended = true;
        }
    }
}

/* ---- waiting ---- */

/* Takes the signals that have come; waits for the first so many milliseconds. False if there was none. */
static bool take_signals(struct child *child, int milliseconds)
{
    sigset_t held;
    siginfo_t signal;
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    bool some = false;
    fill_held(&held);
    while (sigtimedwait(&held, &signal, &time) > 0) {
        if (signal.si_signo == SIGWINCH)
            child->events->resized(child->events->what);
        hand_on(&signal, child);
        time = (struct timespec){0};
        some = true;
    }
    return some;
}

static void wait_for_work(int signals, struct child *child)
{
    const struct run_events *events = child->events;
    struct pollfd waits[] = {{.fd = signals, .events = POLLIN},
                             {.fd = events->fd, .events = POLLIN},
                             {.fd = events->room(events->what), .events = POLLOUT}};
    int ready = poll(waits, sizeof waits / sizeof *waits, events->time_left(events->what));
    if (ready < 0 && errno != EINTR)
        fail(STATUS_FAILED, "cannot wait for the command: %s; it runs on alone", strerror(errno));
    if (waits[0].revents && take_signals(child, 0))
        look_at_child(child);
    if (ready == 0 || waits[1].revents || waits[2].revents)
        events->work(events->what);
}

/* As wait_for_work(), without a descriptor that tells of signals: what else happens is seen a little later. */
static void wait_for_signal(struct child *child)
{
    if (take_signals(child, LATER))
        look_at_child(child);
    child->events->work(child->events->what);
}

struct run_end run_child(const char *path, char **argv, const struct run_events *events)
{
    struct child child = {.events = events};
    int signals = open_signals();
    start(&child, path, argv);
    let_go_of_inherited();
    while (!child.ended) {
        if (signals >= 0)
            wait_for_work(signals, &child);
        else
            wait_for_signal(&child);
    }
    if (signals >= 0)
        close(signals);
    return (struct run_end){.status = child.status, .error = *child.error};
}

void run_end_alike(int status)
{
    if (WIFSIGNALED(status)) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_DUMPABLE, 0); /* a core that goes to a program has no limit (core(5)) */
        int signal = WTERMSIG(status);
        const struct sigaction normal = {.sa_handler = SIG_DFL};
        sigset_t one;
        sigaction(signal, &normal, NULL);
        sigemptyset(&one);
        sigaddset(&one, signal);
        kill(getpid(), signal);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
        exit(128 + signal);
    }
    exit(WEXITSTATUS(status));
}
