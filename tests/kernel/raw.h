// A task of our own without libc: raw system calls (no errno: the task shares the TLS of the thread that made it).
#ifndef OFFLOAD_TESTS_KERNEL_RAW_H
#define OFFLOAD_TESTS_KERNEL_RAW_H
#include "uffd.h"
#include <linux/close_range.h>
#include <linux/futex.h>
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
static inline long raw(long n, long a, long b, long c, long d, long e, long f)
{
#if defined __x86_64__
    long r;
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
#elif defined __aarch64__
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                     x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#endif
}
#define R0(n) raw(n, 0, 0, 0, 0, 0, 0)
#define R1(n, a) raw(n, (long)(a), 0, 0, 0, 0, 0)
#define R2(n, a, b) raw(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define R3(n, a, b, c) raw(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define R4(n, a, b, c, d) raw(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define R6(n, a, b, c, d, e, f) raw(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define PROCESS_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES)

struct raw_helper {
    _Atomic int state;     // 0 starting, 1 ready, -1 failed, 2 gone; futex
    _Atomic int stop, tid; // tid is cleared by the kernel at exit
    _Atomic long faults, zeros, events;
    int uffd, pm, src, error, eventfd;
    int want_src; // a descriptor of the program to fetch, or -1
    char *base;
    size_t len; // fill: bytes of src at (address - base), or the page index + 0xA0
    char *stack;
    double t0, t_ready;
    uint64_t features;
    int tgid;
    bool keep_table, process;
    _Atomic int req;
    char *req_p;
    size_t req_n; // a request: register and mark
};
static void raw_fut_wait(_Atomic int *f, int v)
{
    R6(SYS_futex, f, FUTEX_WAIT, v, 0, 0, 0);
}
static void raw_fut_wake(_Atomic int *f)
{
    R6(SYS_futex, f, FUTEX_WAKE, 1 << 30, 0, 0, 0);
}
#define RAW_AREA (64 * P)

static int raw_helper_main(void *arg)
{
    struct raw_helper *h = arg;
    char *page = h->stack + RAW_AREA - 8 * P; // unused part of the stack area, above its top
    // An empty descriptor table of our own: nothing of the program's is ever copied into it, no reference is taken.
    long r = h->keep_table ? 0 : R3(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE);
    if (r < 0) {
        h->error = r;
        goto bad;
    }
    h->uffd = -1;
    long dev = R4(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
    h->uffd = dev >= 0 ? R3(SYS_ioctl, dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK)
                       : R1(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (dev >= 0)
        R1(SYS_close, dev);
    if (h->uffd < 0) {
        h->error = h->uffd;
        goto bad;
    }
    struct uffdio_api a = {.api = UFFD_API, .features = h->features};
    if ((r = R3(SYS_ioctl, h->uffd, UFFDIO_API, &a)) < 0) {
        h->error = r;
        goto bad;
    }
    h->pm = R4(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    h->src = -1;
    if (h->want_src >= 0) {
        int pf = R2(SYS_pidfd_open, h->tgid, 0);
        h->src = R3(SYS_pidfd_getfd, pf, h->want_src, 0);
        R1(SYS_close, pf);
        if (h->src < 0) {
            h->error = h->src;
            goto bad;
        }
    }
    h->t_ready = now_us();
    h->state = 1;
    raw_fut_wake(&h->state);
    while (!h->stop &&
           (!h->process || R0(SYS_getppid) == h->tgid)) { // a helper process outlives its maker unless it looks
        struct pollfd p[2] = {{h->uffd, POLLIN, 0}, {h->eventfd, POLLIN, 0}};
        struct timespec ts = {0, 20000000};
        R6(SYS_ppoll, p, h->eventfd >= 0 ? 2 : 1, &ts, 0, 8, 0);
        if (h->req == 1) {
            struct uffdio_register g = {.range = {(uintptr_t)h->req_p, h->req_n}, .mode = 3};
            struct uffdio_writeprotect w = {.range = g.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP};
            R3(SYS_madvise, h->req_p, h->req_n, MADV_DONTNEED);
            r = R3(SYS_ioctl, h->uffd, UFFDIO_REGISTER, &g);
            if (!r)
                r = R3(SYS_ioctl, h->uffd, UFFDIO_WRITEPROTECT, &w);
            uint64_t junk;
            if (h->eventfd >= 0)
                R3(SYS_read, h->eventfd, &junk, 8);
            h->req = r ? (int)r : 2;
            raw_fut_wake(&h->req);
        }
        struct uffd_msg m;
        if (R3(SYS_read, h->uffd, &m, sizeof m) != sizeof m)
            continue;
        if (m.event != UFFD_EVENT_PAGEFAULT) {
            h->events++;
            continue;
        }
        char *at = (char *)(uintptr_t)(m.arg.pagefault.address & ~(P - 1));
        long off = at - h->base;
        h->faults++;
        for (size_t i = 0; i < P; i++)
            ((volatile char *)page)[i] = 0;
        if (h->src >= 0)
            R4(SYS_pread64, h->src, page, P, off);
        else
            for (size_t i = 0; i < P; i++)
                ((volatile char *)page)[i] = 0xA0 + off / P % 64;
        struct uffdio_copy c = {.dst = (uintptr_t)at, .src = (uintptr_t)page, .len = P, .mode = UFFDIO_COPY_MODE_WP};
        r = R3(SYS_ioctl, h->uffd, UFFDIO_COPY, &c);
        if (r == -EEXIST) {
            struct uffdio_range w = {(uintptr_t)at, P};
            R3(SYS_ioctl, h->uffd, UFFDIO_WAKE, &w);
        }
    }
    h->state = 2;
    raw_fut_wake(&h->state);
    return 0;
bad:
    h->state = -1;
    raw_fut_wake(&h->state);
    return 0;
}
static int raw_helper_start(struct raw_helper *h, int flags)
{
    h->t0 = now_us();
    if (!h->stack)
        h->stack = mmap(NULL, RAW_AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    h->tgid = getpid();
    if (!h->features)
        h->features = FEATURES_BASE;
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    int tid = clone(raw_helper_main, h->stack + RAW_AREA - 16 * P, flags | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
                    h, &h->tid, NULL, &h->tid);
    int e = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (tid < 0) {
        errno = e;
        return -1;
    }
    while (h->state == 0)
        raw_fut_wait(&h->state, 0);
    return h->state == 1 ? tid : -1;
}
// The descriptors are gone once the kernel has cleared the task's id.
__attribute__((unused)) static void raw_helper_stop(struct raw_helper *h)
{
    h->stop = 1;
    if (h->eventfd >= 0) {
        uint64_t one = 1;
        if (write(h->eventfd, &one, 8)) {
        }
    }
    int t;
    while ((t = h->tid))
        raw_fut_wait(&h->tid, t);
    h->stop = 0;
    h->state = 0;
}
#endif
