// Claim: when the kernel itself reads or writes an empty lazy page on behalf of any system call of this process, or another
// process reads it, the helper is asked and the bytes are right. Except: ptrace peeks and /proc/PID/mem (EIO, they cannot wait).
// And: UFFD_USER_MODE_ONLY (the only kind without privilege) gives EFAULT instead: not usable.
#include "raw.h"
#include <linux/io_uring.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#ifndef FUTEX_WAKE_OP
#define FUTEX_WAKE_OP 5
#endif
static struct raw_helper h;
static char *b;
static int pg;
static char *next(void)
{
    char *p = b + pg++ * P;
    return p;
}
static unsigned char want(char *p)
{
    return 0xA0 + (p - b) / P % 64;
}
static void mark(void)
{
    b = anon(64 * P);
    pg = 0;
    h.base = b;
    h.req_p = b;
    h.req_n = 64 * P;
    h.req = 1;
    while (h.req == 1)
        raw_fut_wait(&h.req, 1);
    if (h.req != 2)
        printf("mark %d\n", h.req);
}
static void result(const char *what, char *p, bool ran, unsigned char got)
{
    claim(ran && got == want(p), "%-40s %s got %#x want %#x (%s)", what, ran ? "ran" : strerror(errno), got, want(p),
          cat_names(cats(p)));
}
static int alarmed;
static void on_alarm(int s)
{
    (void)s;
    alarmed++;
}
int main(void)
{
    close(uffd_open(FEATURES_BASE));
    h.want_src = -1;
    h.eventfd = -1;
    if (raw_helper_start(&h, THREAD_FLAGS) < 0)
        return 77;
    struct sigaction sa = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &sa, 0);
    mark();
    unsigned char c[P];
    char *p;
    ssize_t r;
    int pp[2];
    if (pipe(pp))
        return 77;
    p = next();
    r = R3(SYS_write, pp[1], p + 9, 1);
    if (read(pp[0], c, 1)) {
    }
    result("raw write to a pipe", p, r == 1, c[0]);
    p = next();
    struct iovec v = {p, P};
    r = vmsplice(pp[1], &v, 1, 0);
    if (read(pp[0], c, P)) {
    }
    result("vmsplice", p, r == (ssize_t)P, c[100]);
    int sp[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sp);
    p = next();
    r = send(sp[0], p, 5, 0);
    if (read(sp[1], c, 5)) {
    }
    result("send on a socket", p, r == 5, c[4]);
    int f = open("/tmp/lazy-ksa", O_CREAT | O_RDWR | O_TRUNC | O_DIRECT, 0600);
    p = next();
    r = pwrite(f, p, P, 0);
    int f2 = open("/tmp/lazy-ksa", O_RDWR);
    c[0] = 0;
    if (r == (ssize_t)P && pread(f2, c, P, 0)) {
    }
    result("O_DIRECT write", p, r == (ssize_t)P, c[4095]);
    p = next();
    r = pread(f, p, 512, 0);
    claim(r == 512 && (unsigned char)p[511] == want(b + 3 * P) && (unsigned char)p[600] == want(p),
          "O_DIRECT read into a part of a page: rest is the helper's");
    p = next();
    r = pread(f2, p + 10, 20, 0);
    claim(r == 20 && (unsigned char)p[10] == want(b + 3 * P) && (unsigned char)p[0] == want(p) && (cats(p) & WRITTEN),
          "buffered read into it: rest is the helper's, shows as written");
    p = next();
    pid_t me = getpid(), k = fork();
    if (!k) {
        struct iovec l = {c, 1}, rr = {p, 1};
        r = process_vm_readv(me, &l, 1, &rr, 1, 0);
        _exit(r == 1 ? c[0] : 1);
    }
    int st;
    waitpid(k, &st, 0);
    result("process_vm_readv by another process", p, WEXITSTATUS(st) > 1, WEXITSTATUS(st));
    p = next();
    k = fork();
    if (!k) {
        struct iovec l = {"Z", 1}, rr = {p, 1};
        r = process_vm_writev(me, &l, 1, &rr, 1, 0);
        _exit(r != 1);
    }
    waitpid(k, &st, 0);
    claim(st == 0 && p[0] == 'Z' && (unsigned char)p[1] == want(p) && (cats(p) & WRITTEN),
          "process_vm_writev by another process shows as written");
    p = next();
    int mem = open("/proc/self/mem", O_RDWR);
    r = pread(mem, c, 1, (off_t)(uintptr_t)p);
    note("/proc/self/mem read: %s; touched then: %#x", r == 1 ? "ran" : strerror(errno), (unsigned char)*p);
    r = pread(mem, c, 1, (off_t)(uintptr_t)p);
    claim(r == 1 && c[0] == want(p), "/proc/self/mem of a filled page: right");
    p = next();
    r = pwrite(mem, "Q", 1, (off_t)(uintptr_t)p);
    note("/proc/self/mem write: %s; %s", r == 1 ? "ran" : strerror(errno), cat_names(cats(p)));
    // io_uring
    struct io_uring_params up = {0};
    int u = syscall(SYS_io_uring_setup, 4, &up);
    if (u >= 0) {
        char *sq = mmap(0, up.sq_off.array + 4 * 64, 3, MAP_SHARED, u, IORING_OFF_SQ_RING),
             *cq = mmap(0, up.cq_off.cqes + 8 * 64, 3, MAP_SHARED, u, IORING_OFF_CQ_RING);
        struct io_uring_sqe *sqe = mmap(0, 4 * sizeof *sqe, 3, MAP_SHARED, u, IORING_OFF_SQES);
        for (int m = 0; m < 3; m++) {
            p = next();
            unsigned tail = *(unsigned *)(sq + up.sq_off.tail), i = tail & (up.sq_entries - 1);
            memset(&sqe[i], 0, sizeof *sqe);
            if (m == 2) {
                struct iovec fb = {p, P};
                if (syscall(SYS_io_uring_register, u, 0, &fb, 1)) {
                    note("register buffers: %s", strerror(errno));
                    continue;
                }
                claim((unsigned char)*p == want(p) && (cats(p) & WRITTEN),
                      "io_uring fixed buffer: filled and written at registration: %s", cat_names(cats(p)));
            }
            sqe[i].opcode = m == 2 ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE;
            sqe[i].fd = m == 0 ? pp[1] : f2;
            sqe[i].addr = (uintptr_t)p;
            sqe[i].len = 16;
            sqe[i].off = m == 0 ? -1ull : 0;
            sqe[i].flags = m == 1 ? IOSQE_ASYNC : 0;
            ((unsigned *)(sq + up.sq_off.array))[i] = i;
            __atomic_store_n((unsigned *)(sq + up.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
            r = syscall(SYS_io_uring_enter, u, 1, 1, 1, 0, 0);
            struct io_uring_cqe *e = (void *)(cq + up.cq_off.cqes);
            unsigned hd = *(unsigned *)(cq + up.cq_off.head);
            e += hd & (up.cq_entries - 1);
            __atomic_store_n((unsigned *)(cq + up.cq_off.head), hd + 1, __ATOMIC_RELEASE);
            if (m == 0) {
                if (e->res == 16 && read(pp[0], c, 16)) {
                }
            } else if (pread(f2, c, 16, 0)) {
            }
            errno = e->res < 0 ? -e->res : 0;
            result(m == 0   ? "io_uring write"
                   : m == 1 ? "io_uring write by its worker"
                            : "io_uring fixed buffer",
                   p, e->res == 16, c[3]);
        }
    } else
        note("io_uring: %s", strerror(errno));
    p = next();
    r = getrandom(p + 8, 8, 0);
    claim(r == 8 && (unsigned char)p[0] == want(p), "getrandom into it");
    p = next();
    r = syscall(SYS_futex, p, FUTEX_WAIT, 0, 0, 0, 0);
    claim(r < 0 && errno == EAGAIN && (unsigned char)*p == want(p), "futex on it: %s", strerror(errno));
    p = next();
    strcpy(p + 16, "/nonexistent");
    r = open(p + 16, O_RDONLY);
    claim(r < 0 && errno == ENOENT, "a path in it");
    p = next();
    r = syscall(SYS_mincore, b, P, p);
    claim(r == 0, "mincore's vector in it");
    p = next();
    r = write(pp[1], p + P - 1, 2);
    if (read(pp[0], c, 2)) {
    }
    claim(r == 2 && c[0] == want(p) && c[1] == want(p + P), "a write across two empty pages");
    next();
    // a fault in a signal handler's frame, and a fault while signals come
    struct itimerval it = {{0, 200}, {0, 200}};
    setitimer(ITIMER_REAL, &it, 0);
    bool good = true;
    for (int round = 0; round < 20; round++) {
        mark();
        for (int i = 0; i < 64; i++) {
            ssize_t w = write(pp[1], b + i * P, 1);
            if (w != 1 || read(pp[0], c, 1) != 1 || c[0] != want(b + i * P)) {
                good = false;
                break;
            }
        }
    }
    memset(&it, 0, sizeof it);
    setitimer(ITIMER_REAL, &it, 0);
    claim(good, "1280 faults from write(2) under a 200 us SIGALRM (%d came): all right, none EINTR/EFAULT", alarmed);
    // user mode only
    int um = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (um >= 0 && !uffd_api(um, FEATURES_BASE)) {
        char *q = anon(P);
        uffd_reg(um, q, P);
        uffd_wp(um, q, P, 1);
        r = write(pp[1], q, 1);
        note("UFFD_USER_MODE_ONLY: write(2) of an empty page: %s", r == 1 ? "ran" : strerror(errno));
        close(um);
    }
    // permissions: a device node of our own with the modes that a udev rule would give, the system's node is left alone
    fflush(stdout);
    struct stat s;
    for (int world = 0; world < 2 && geteuid() == 0 && stat("/dev/userfaultfd", &s) == 0; world++) {
        char node[] = "/tmp/lazy-node";
        unlink(node);
        if (mknod(node, S_IFCHR | 0600, s.st_rdev) || chmod(node, world ? 0666 : 0600))
            break;
        k = fork();
        if (!k) {
            if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
                _exit(9);
            prctl(PR_SET_DUMPABLE, 1);
            errno = 0;
            int a = syscall(SYS_userfaultfd, O_CLOEXEC), ea = errno, d = open(node, O_RDWR), ed = errno,
                n = d >= 0 ? ioctl(d, USERFAULTFD_IOC_NEW, O_CLOEXEC) : -1;
            int e1 = n >= 0 ? uffd_api(n, FEATURES_BASE | F_EVENT_REMAP) : -1, ok = 0;
            pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
            char *q = anon(P);
            int rr = n >= 0 ? uffd_reg(n, q, P) | uffd_wp(n, q, P, 1) : -1, cc = pagemap_fd >= 0 ? cats(q) : -1;
            int n2 = d >= 0 ? ioctl(d, USERFAULTFD_IOC_NEW, O_CLOEXEC) : -1,
                ef = n2 >= 0 ? uffd_api(n2, F_EVENT_FORK) : -1;
            note("uid 1000, node %s: syscall %s; node %s; api %d register %d scan %s; EVENT_FORK %s",
                 world ? "0666" : "0600", a >= 0 ? "ok" : strerror(ea), d >= 0 ? "ok" : strerror(ed), e1, rr,
                 cat_names(cc),
                 n2 < 0 ? "-"
                 : ef   ? "refused (needs CAP_SYS_PTRACE)"
                        : "ok");
            ok = world ? d >= 0 && e1 == 0 && rr == 0 && cc == (WPALLOWED | SWAPPED) : d < 0;
            fflush(stdout);
            _exit(!ok);
        }
        waitpid(k, &st, 0);
        unlink(node);
        claim(st == 0, "an unprivileged user %s",
              world ? "with a 0666 node has all that is needed" : "with a 0600 node is refused");
    }
    unlink("/tmp/lazy-ksa");
    raw_helper_stop(&h);
    return verdict();
}
