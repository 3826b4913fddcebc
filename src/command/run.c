#include "run.h"

#include "collect.h"
#include "command.h"
#include "names.h"
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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
    pid_t pid;
    bool ended;
    int status;
    const struct run_events *events;
};

/* The signals as this process was started with them, which the child is to have. */
static struct {
    sigset_t mask;
    struct sigaction on_child;
} inherited;

/* ---- starting ---- */

int run_complain(const char *path, const char *name, int error)
{
    char *shown = name_printable(name);
    if (error == ENOENT && access(path, F_OK) == 0)
        say("cannot run %s: the interpreter that its first line or its header names is not there; install it", shown);
    else
        say("cannot run %s: %s; check that it is a program for this machine", shown, strerror(error));
    free(shown);
    return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
}

void run_in_place(const char *path, char **argv)
{
    program_become(path, argv);
    exit(run_complain(path, argv[0], errno));
}

_Noreturn static void become(const char *path, char **argv, int report)
{
    run_release_signals();
    program_become(path, argv);
    int error = errno;
    if (write(report, &error, sizeof error) < 0)
        error = errno;
    _exit(STATUS_FAILED);
}

/* The errno with which the child could not become the program, or 0: the pipe was closed by its success. */
static int error_of_start(int report)
{
    int error = 0;
    ssize_t n;
    do
        n = read(report, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof error ? error : 0;
}

static int start(struct child *child, const char *path, char **argv)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        fail(STATUS_FAILED, "cannot make a pipe: %s; close some files or raise 'ulimit -n'", strerror(errno));
    report[0] = above_standard(report[0]);
    report[1] = above_standard(report[1]);
    child->pid = fork();
    if (child->pid < 0)
        fail(STATUS_FAILED, "cannot start a process: %s; end some, or raise 'ulimit -u'", strerror(errno));
    if (child->pid == 0)
        become(path, argv, report[1]);
    close(report[1]);
    int error = error_of_start(report[0]);
    close(report[0]);
    return error;
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

static int open_signals(void)
{
    sigset_t held;
    fill_held(&held);
    int fd = above_standard(signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK));
    if (fd < 0)
        fail(STATUS_FAILED, "cannot wait for signals: %s; close some files or raise 'ulimit -n'", strerror(errno));
    return fd;
}

void run_release_signals(void)
{
    sigaction(SIGCHLD, &inherited.on_child, NULL);
    sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
}

void run_drop_signals(void)
{
    sigset_t all, pipe;
    const struct timespec at_once = {0, 0};
    sigfillset(&all);
    while (sigtimedwait(&all, NULL, &at_once) > 0)
        ;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    run_release_signals();
    sigprocmask(SIG_BLOCK, &pipe, NULL);
}

/* Whether the kernel has sent the signal to the child as well: the terminal does, to all of its process group. */
static bool reached_child(const struct signalfd_siginfo *signal, pid_t child)
{
    if (signal->ssi_code != SI_KERNEL || getpgid(child) != getpgrp())
        return false;
    switch (signal->ssi_signo) {
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
static bool is_own(const struct signalfd_siginfo *signal)
{
    switch (signal->ssi_signo) {
    case SIGCHLD:
    case SIGWINCH: /* the terminal tells everyone in it */
        return true;
    case SIGPIPE:
        return signal->ssi_pid == (uint32_t)getpid();
    case SIGXCPU:
    case SIGXFSZ:
        return signal->ssi_code != SI_USER;
    default:
        return false;
    }
}

static void hand_on(const struct signalfd_siginfo *signal, const struct child *child)
{
    union sigval value = {.sival_ptr = (void *)(uintptr_t)signal->ssi_ptr};
    if (is_own(signal) || reached_child(signal, child->pid))
        return;
    if (signal->ssi_code == SI_QUEUE)
        sigqueue(child->pid, (int)signal->ssi_signo, value);
    else
        kill(child->pid, (int)signal->ssi_signo);
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

static void take_signals(int fd, struct child *child)
{
    struct signalfd_siginfo signal;
    while (read(fd, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        if (signal.ssi_signo == SIGWINCH)
            child->events->resized(child->events->what);
        hand_on(&signal, child);
    }
}

static void wait_for_end(int signals, struct child *child)
{
    const struct run_events *events = child->events;
    struct pollfd waits[] = {{.fd = signals, .events = POLLIN}, {.fd = events->fd, .events = POLLIN}};
    while (!child->ended) {
        int ready = poll(waits, 2, events->time_left(events->what));
        if (ready < 0 && errno != EINTR)
            fail(STATUS_FAILED, "cannot wait for the command: %s; it runs on alone", strerror(errno));
        if (waits[0].revents) {
            take_signals(signals, child);
            look_at_child(child);
        }
        if (ready == 0 || waits[1].revents)
            events->work(events->what);
    }
}

struct run_end run_child(const char *path, char **argv, const struct run_events *events)
{
    struct child child = {.events = events};
    struct run_end end = {0};
    int signals = open_signals();
    end.error = start(&child, path, argv);
    if (end.error)
        waitpid(child.pid, &end.status, 0);
    if (!end.error) {
        let_go_of_inherited();
        wait_for_end(signals, &child);
        end.status = child.status;
    }
    close(signals);
    return end;
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
