// Claims: a forked child sees zeros where the parent's page is lazy; filling before the fork (UFFDIO_COPY over the markers, many pages a
// call) gives it the right bytes; with CAP_SYS_PTRACE UFFD_FEATURE_EVENT_FORK lets the helper serve a raw fork's child too.
// Also: a helper waiting in epoll_pwait is woken (EINTR) by SIGSTOP/SIGCONT and by a debugger's attach, so it can look at TracerPid.
#include "uffd.h"
#include <sys/epoll.h>
#include <sys/ptrace.h>
static void mark(int fd, char *p, size_t n)
{
    madvise(p, n, MADV_DONTNEED);
    if (uffd_reg(fd, p, n) || uffd_wp(fd, p, n, true))
        perror("mark");
}
static int child_sees(char *p)
{
    fflush(stdout);
    pid_t k = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (!k)
        _exit(*(unsigned char *)p);
    int st;
    waitpid(k, &st, 0);
    return WEXITSTATUS(st);
}
static _Atomic int eintr, ep_stop;
static int ep;
static void *epoller(void *a)
{
    (void)a;
    sigset_t s;
    sigfillset(&s);
    struct epoll_event e;
    while (!ep_stop)
        if (epoll_pwait(ep, &e, 1, -1, &s) < 0 && errno == EINTR)
            eintr++;
    return 0;
}
int main(void)
{
    int fd = uffd_open(FEATURES_BASE);
    static struct helper h;
    char *p = anon(1024 * P);
    helper_start(&h, fd, p);
    mark(fd, p, 1024 * P);
    int c = child_sees(p + P);
    claim(c == 0, "child of a raw fork reads %#x instead of 0xa1: lost", c);
    static char src[1024 * 4096] __attribute__((aligned(4096)));
    memset(src, 0x5a, sizeof src);
    double t = now_us();
    int r = uffd_copy(fd, p, src, 16 * P, true);
    double t16 = now_us() - t;
    t = now_us();
    r |= uffd_copy(fd, p + 16 * P, src, 1008 * P, true);
    double t1 = now_us() - t;
    claim(r == 0 && child_sees(p + P) == 0x5a,
          "filled first: the child reads it; filling 64 KiB takes %.0f us, 4 MiB %.0f us", t16, t1);
    claim(cats(p + P) == (WPALLOWED | PRESENT), "and the parent's proof of unchanged survives the fork: %s",
          cat_names(cats(p + P)));
    struct helper *hh = &h;
    helper_stop(hh);
    uffd_unreg(fd, p, 1024 * P);
    close(fd);
    int f2 = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (f2 >= 0 && uffd_api(f2, FEATURES_BASE | F_EVENT_FORK) == 0) {
        static struct helper g;
        char *q = anon(16 * P);
        helper_start(&g, f2, q);
        mark(f2, q, 16 * P);
        fflush(stdout);
        int pp[2];
        if (pipe(pp))
            return 77;
        t = now_us();
        pid_t k = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (!k) {
            char x;
            x = *(volatile char *)(q + 2 * P);
            if (write(pp[1], &x, 1)) {
            }
            _exit(0);
        }
        t = now_us() - t;
        note("EVENT_FORK: raw fork took %.0f us, told before fork returned: %s", t, g.fork_fd >= 0 ? "yes" : "not yet");
        for (int i = 0; i < 1000 && g.fork_fd < 0; i++)
            usleep(100);
        memset(src, 0x77, P);
        r = uffd_copy(g.fork_fd, q + 2 * P, src, P, true);
        char x = 0;
        struct pollfd pf = {pp[0], POLLIN, 0};
        if (poll(&pf, 1, 1000) == 1 && read(pp[0], &x, 1)) {
        }
        claim(x == 0x77, "the parent's helper fills the child's page: %#x (copy %d)", x, r);
        if (x != 0x77)
            kill(k, SIGKILL);
        waitpid(k, 0, 0);
        close(g.fork_fd);
    } else
        note("no EVENT_FORK: %s", strerror(errno));
    ep = epoll_create1(EPOLL_CLOEXEC);
    fflush(stdout);
    pid_t v = fork();
    if (!v) {
        pthread_t th;
        pthread_create(&th, 0, epoller, 0);
        usleep(700000);
        ep_stop = 1;
        _exit(eintr);
    }
    usleep(100000);
    kill(v, SIGSTOP);
    usleep(50000);
    kill(v, SIGCONT);
    int st;
    waitpid(v, &st, 0);
    claim(WEXITSTATUS(st) >= 1, "SIGSTOP/SIGCONT: epoll_pwait of the other thread returned EINTR %d times",
          WEXITSTATUS(st));
    v = fork();
    if (!v) {
        pthread_t th;
        pthread_create(&th, 0, epoller, 0);
        usleep(700000);
        ep_stop = 1;
        _exit(eintr);
    }
    usleep(100000);
    char cmd[64];
    snprintf(cmd, 64, "/proc/%d/task/", v);
    int tid = v + 1;
    (void)cmd;
    FILE *ls;
    snprintf(cmd, 64, "ls /proc/%d/task | tail -1", v);
    ls = popen(cmd, "r");
    if (fscanf(ls, "%d", &tid) != 1)
        tid = v;
    pclose(ls);
    if (ptrace(PTRACE_SEIZE, tid, 0, 0) == 0) {
        ptrace(PTRACE_INTERRUPT, tid, 0, 0);
        waitpid(tid, &st, __WALL);
        ptrace(PTRACE_DETACH, tid, 0, 0);
    }
    do
        waitpid(v, &st, 0);
    while (!WIFEXITED(st) && !WIFSIGNALED(st));
    claim(WEXITSTATUS(st) >= 1, "a debugger's attach and go: EINTR %d times", WEXITSTATUS(st));
    return verdict();
}
