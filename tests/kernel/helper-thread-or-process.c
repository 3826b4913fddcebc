// What a helper task costs in transparency, as a thread of the process and as a process that shares the memory: a stopped
// process read by another one, a debugger, pthread_exit and raw exit of main, exec, unshare(CLONE_NEWUSER), wait, RLIMIT_NPROC,
// a core dump. Claims at the end are those the library relies on.
#include "raw.h"
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
static struct raw_helper h;
static char *b;
static int flags;
static const char *kind;
static void lazy(void)
{
    h.want_src = -1;
    h.eventfd = -1;
    h.process = flags == PROCESS_FLAGS;
    if (raw_helper_start(&h, flags) < 0) {
        printf("     helper failed to start: errno %d (%s)\n", -h.error ?: errno, strerror(-h.error ?: errno));
        fflush(stdout);
        _exit(50);
    }
    b = anon(16 * P);
    h.base = b;
    h.req_p = b;
    h.req_n = 16 * P;
    h.req = 1;
    while (h.req == 1)
        raw_fut_wait(&h.req, 1);
}
static int wait_for(pid_t k, int ms) // status, or -1 when it did not end in time (then killed)
{
    int st;
    for (int i = 0; i < ms / 10; i++) {
        if (waitpid(k, &st, WNOHANG) == k)
            return st;
        usleep(10000);
    }
    kill(k, SIGKILL);
    waitpid(k, &st, 0);
    return -1;
}
static int reader(pid_t victim, char *at,
                  bool mem) // a process that reads one byte of the victim: its exit code is the byte
{
    pid_t k = fork();
    if (!k) {
        unsigned char c = 0;
        if (mem) {
            char p[64];
            snprintf(p, 64, "/proc/%d/mem", victim);
            int f = open(p, O_RDONLY);
            if (pread(f, &c, 1, (off_t)(uintptr_t)at) != 1)
                _exit(1);
        } else {
            struct iovec l = {&c, 1}, r = {at, 1};
            if (process_vm_readv(victim, &l, 1, &r, 1, 0) != 1)
                _exit(1);
        }
        _exit(c);
    }
    return wait_for(k, 1500);
}
static void say(const char *what, int st)
{
    if (st < 0)
        note("%-8s %-46s HANGS (killed)", kind, what);
    else
        note("%-8s %-46s %s %d (%#x)", kind, what, WIFSIGNALED(st) ? "signal" : "exit",
             WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st), WEXITSTATUS(st));
}
static void *idle(void *a)
{
    (void)a;
    usleep(100000);
    return 0;
}
#define CHILD(...)          \
    ({                      \
        fflush(stdout);     \
        pid_t k_ = fork();  \
        if (!k_) {          \
            __VA_ARGS__;    \
            fflush(stdout); \
            _exit(0);       \
        }                   \
        k_;                 \
    })
int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        puts("     exec'd");
        return 7;
    }
    close(uffd_open(FEATURES_BASE));
    close(pagemap_fd);
    pagemap_fd = -1;
    char dir[] = "/tmp/lazy-coreXXXXXX";
    if (!mkdtemp(dir))
        return 77;
    struct {
        int stopped_vm, stopped_mem, peek, pexit, rawexit;
    } res[2];
    static char **sh;
    sh = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 2; i++) {
        flags = i ? PROCESS_FLAGS : THREAD_FLAGS;
        kind = i ? "process" : "thread";
        *sh = 0;
        pid_t v = CHILD(lazy(); *sh = b; for (;;) pause());
        while (!*sh)
            usleep(1000);
        say("process_vm_readv from outside", reader(v, *sh + P, 0));
        say("/proc/PID/mem from outside", reader(v, *sh + 2 * P, 1));
        kill(v, SIGSTOP);
        usleep(50000);
        say("SIGSTOPped: process_vm_readv", res[i].stopped_vm = reader(v, *sh + 3 * P, 0));
        say("SIGSTOPped: /proc/PID/mem", res[i].stopped_mem = reader(v, *sh + 4 * P, 1));
        kill(v, SIGCONT);
        usleep(50000);
        // a debugger: attaches to all threads, peeks
        pid_t g = CHILD(char tp[64]; snprintf(tp, 64, "ls /proc/%d/task", v); FILE *f = popen(tp, "r"); int t; int st;
                        int n = 0; while (fscanf(f, "%d", &t) == 1) {
                            if (ptrace(PTRACE_SEIZE, t, 0, 0) == 0) {
                                ptrace(PTRACE_INTERRUPT, t, 0, 0);
                                waitpid(t, &st, __WALL);
                                n++;
                            }
                        } pclose(f);
                        errno = 0; long w = ptrace(PTRACE_PEEKDATA, v, *sh + 5 * P, 0); fflush(stdout);
                        _exit(errno ? 1 : w & 255));
        say("debugger, all threads stopped: PTRACE_PEEKDATA", res[i].peek = wait_for(g, 1500));
        usleep(50000);
        say("afterwards process_vm_readv", reader(v, *sh + 6 * P, 0));
        kill(v, SIGKILL);
        waitpid(v, 0, 0);
        say("main calls pthread_exit", res[i].pexit = wait_for(CHILD(lazy(); pthread_exit(0)), 1500));
        say("main and another thread: pthread_exit",
            wait_for(CHILD(pthread_t t; lazy(); pthread_create(&t, 0, idle, 0); pthread_exit(0)), 1500));
        say("main calls raw exit(3)", res[i].rawexit = wait_for(CHILD(lazy(); R1(SYS_exit, 3)), 1500));
        say("exit_group(4)", wait_for(CHILD(lazy(); _exit(4)), 1500));
        say("exec", wait_for(CHILD(lazy(); execl("/proc/self/exe", "x", "exec", (char *)0)), 1500));
        say("unshare(CLONE_NEWUSER) [plain: 0]",
            wait_for(CHILD(lazy(); int r = unshare(CLONE_NEWUSER); _exit(r ? errno : 0)), 1500));
        say("waitpid(-1, WNOHANG) [plain: ECHILD 10]",
            wait_for(CHILD(lazy(); int st; int r = waitpid(-1, &st, WNOHANG); _exit(r < 0 ? errno : r)), 1500));
        say("waitpid(-1, WNOHANG|__WALL) [plain: ECHILD 10]",
            wait_for(CHILD(lazy(); int st; int r = waitpid(-1, &st, WNOHANG | __WALL); _exit(r < 0 ? errno : r)),
                     1500));
        say("RLIMIT_NPROC at the limit, uid 1000: EAGAIN is 11",
            wait_for(CHILD(struct rlimit rl = {1, 1}; setrlimit(RLIMIT_NPROC, &rl);
                           if (setresuid(1000, 1000, 1000)) _exit(99); h.want_src = -1; h.eventfd = -1;
                           h.process = flags == PROCESS_FLAGS; int r = raw_helper_start(&h, flags);
                           _exit(r < 0 ? errno : 0)),
                     1500));
        say("Threads: in /proc/self/status",
            wait_for(CHILD(lazy(); FILE *f = fopen("/proc/self/status", "r"); char s[256]; int n = 0;
                           while (fgets(s, 256, f)) sscanf(s, "Threads: %d", &n); _exit(n)),
                     1500));
        say("a fault after the helper was killed by tgkill(SIGKILL)",
            wait_for(CHILD(lazy(); if (!i) _exit(77); kill(h.tid, SIGKILL); usleep(50000); _exit(b[P] ? 1 : 100)),
                     1500));
        say("PR_SET_PDEATHSIG-less: parent SIGKILLed", wait_for(CHILD(lazy(); kill(getpid(), SIGKILL)), 1500));
        say("SIGSEGV with core",
            wait_for(CHILD(struct rlimit rl = {RLIM_INFINITY, RLIM_INFINITY}; if (chdir(dir)) _exit(98);
                           setrlimit(RLIMIT_CORE, &rl); lazy(); b[3 * P] = 'x'; *(volatile int *)0 = 1),
                     3000));
    }
    char cmd[64];
    snprintf(cmd, 64, "rm -rf %s", dir);
    if (system(cmd)) {
    }
    claim(WIFEXITED(res[0].stopped_vm) || res[0].stopped_vm < 0,
          "thread helper: a stopped process read by process_vm_readv %s",
          res[0].stopped_vm < 0 ? "waits until SIGCONT or a kill" : "is served");
    claim(res[0].peek >= 0 && res[1].peek >= 0, "a debugger's peek never hangs (it gets EIO)");
    claim(WIFEXITED(res[0].pexit) && WEXITSTATUS(res[0].pexit) == 0,
          "thread helper: pthread_exit in main still ends the process");
    claim(res[1].stopped_vm > 0 && WEXITSTATUS(res[1].stopped_vm) == 0xA3,
          "process helper: a stopped process's lazy page can be read from outside");
    return verdict();
}
