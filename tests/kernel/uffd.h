// What the programs in this folder share: the kernel's numbers (older headers lack them), and a small userfaultfd helper.
// Each program checks a claim that the lazy buffers rely on; it prints what it found and exits 1 if the claim is false,
// 77 if this kernel or this user cannot have userfaultfd at all.
#ifndef OFFLOAD_TESTS_KERNEL_UFFD_H
#define OFFLOAD_TESTS_KERNEL_UFFD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define F_WP_FLAG (1u << 0)
#define F_EVENT_FORK (1u << 1)
#define F_EVENT_REMAP (1u << 2)
#define F_EVENT_REMOVE (1u << 3)
#define F_EVENT_UNMAP (1u << 6)
#define F_THREAD_ID (1u << 8)
#define F_EXACT_ADDRESS (1u << 11)
#define F_WP_UNPOPULATED (1u << 13)
#define F_POISON (1u << 14)
#define F_WP_ASYNC (1u << 15)
#define F_MOVE (1u << 16)

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
struct k_uffdio_move {
    uint64_t dst, src, len, mode;
    int64_t move;
};
#define K_UFFDIO_MOVE _IOWR(0xAA, 0x05, struct k_uffdio_move)

struct k_page_region {
    uint64_t start, end, categories;
};
struct k_scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define K_PAGEMAP_SCAN _IOWR('f', 16, struct k_scan)
enum {
    WPALLOWED = 1,
    WRITTEN = 2,
    ISFILE = 4,
    PRESENT = 8,
    SWAPPED = 16,
    PFNZERO = 32,
    HUGE = 64,
    SOFTDIRTY = 128,
    GUARD = 256,
    ALLCATS = 511
};
#define SCAN_WP_MATCHING 1
#define SCAN_CHECK_WPASYNC 2

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define P 4096ul
static int failures;
static int pagemap_fd = -1;

__attribute__((unused)) static void claim(bool ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("%s ", ok ? "ok  " : "FAIL");
    vprintf(fmt, ap);
    puts("");
    fflush(stdout);
    va_end(ap);
    failures += !ok;
}
__attribute__((unused)) static void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("     ");
    vprintf(fmt, ap);
    puts("");
    fflush(stdout);
    va_end(ap);
}
__attribute__((unused)) static int verdict(void)
{
    printf("%s\n", failures ? "CLAIM FALSE" : "claim holds");
    return failures != 0;
}

__attribute__((unused)) static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

#define FEATURES_BASE (F_WP_FLAG | F_WP_UNPOPULATED | F_WP_ASYNC)

__attribute__((unused)) static int uffd_api(int fd, uint64_t features)
{
    struct uffdio_api a = {.api = UFFD_API, .features = features};
    return ioctl(fd, UFFDIO_API, &a);
}
__attribute__((unused)) static int uffd_open(uint64_t features)
{
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        if (dev >= 0) {
            fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
            close(dev);
        }
    }
    if (fd < 0) {
        printf("no userfaultfd: %s\n", strerror(errno));
        exit(77);
    }
    if (uffd_api(fd, features)) {
        printf("features %#lx: %s\n", (long)features, strerror(errno));
        exit(77);
    }
    if (pagemap_fd < 0)
        pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return fd;
}
__attribute__((unused)) static int uffd_reg_mode(int fd, void *p, size_t n, uint64_t mode)
{
    struct uffdio_register r = {.range = {(uintptr_t)p, n}, .mode = mode};
    return ioctl(fd, UFFDIO_REGISTER, &r);
}
__attribute__((unused)) static int uffd_reg(int fd, void *p, size_t n)
{
    return uffd_reg_mode(fd, p, n, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
}
__attribute__((unused)) static int uffd_unreg(int fd, void *p, size_t n)
{
    struct uffdio_range r = {(uintptr_t)p, n};
    return ioctl(fd, UFFDIO_UNREGISTER, &r);
}
// Write-protects present pages; on missing ones (WP_UNPOPULATED) leaves markers.
__attribute__((unused)) static int uffd_wp(int fd, void *p, size_t n, bool on)
{
    struct uffdio_writeprotect w = {.range = {(uintptr_t)p, n}, .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
    return ioctl(fd, UFFDIO_WRITEPROTECT, &w);
}
__attribute__((unused)) static int uffd_copy(int fd, void *dst, const void *src, size_t n, bool wp)
{
    struct uffdio_copy c = {
        .dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = n, .mode = wp ? UFFDIO_COPY_MODE_WP : 0};
    if (ioctl(fd, UFFDIO_COPY, &c))
        return -1;
    return 0;
}
// Categories of one page, 0 when no region was reported (not mapped, or nothing set).
__attribute__((unused)) static int cats(void *p)
{
    struct k_page_region r = {0};
    struct k_scan s = {.size = sizeof s,
                       .start = (uintptr_t)p,
                       .end = (uintptr_t)p + P,
                       .vec = (uintptr_t)&r,
                       .vec_len = 1,
                       .return_mask = ALLCATS};
    int k = ioctl(pagemap_fd, K_PAGEMAP_SCAN, &s);
    if (k < 0)
        return -errno;
    return k ? (int)r.categories : 0;
}
// THE PROOF: every page of [p,p+n) is mapped, in a mapping registered with WP_ASYNC, and not written since it was marked or filled.
// One region that covers all is asked for: a hole gives no region, so looking for odd pages would pass over it.
__attribute__((unused)) static bool proven(void *p, size_t n)
{
    struct k_page_region r;
    struct k_scan s = {.size = sizeof s,
                       .start = (uintptr_t)p,
                       .end = (uintptr_t)p + n,
                       .vec = (uintptr_t)&r,
                       .vec_len = 1,
                       .category_inverted = WRITTEN,
                       .category_mask = WPALLOWED | WRITTEN,
                       .return_mask = WPALLOWED};
    return ioctl(pagemap_fd, K_PAGEMAP_SCAN, &s) == 1 && r.start == s.start && r.end == s.end;
}
// How many regions of [p,p+n) are NOT (all of `must`, none of `mustnot`); not a proof (see above).
__attribute__((unused)) static int scan_odd(void *p, size_t n, uint64_t must, uint64_t mustnot);
__attribute__((unused)) static const char *cat_names(int c)
{
    static char ring[8][128];
    static int k;
    char *s = ring[k++ & 7];
    *s = 0;
    if (c < 0) {
        snprintf(s, 128, "errno %d", -c);
        return s;
    }
    static const char *n[] = {"WPALLOWED", "WRITTEN", "FILE",      "PRESENT", "SWAPPED",
                              "PFNZERO",   "HUGE",    "SOFTDIRTY", "GUARD"};
    for (int i = 0; i < 9; i++)
        if (c >> i & 1) {
            strcat(s, n[i]);
            strcat(s, " ");
        }
    if (!*s)
        strcpy(s, "(none)");
    return s;
}

// A helper thread: fills each missing page with its page's index in the area + 0xA0, write-protected.
struct helper {
    int fd;
    char *base;
    pthread_t th;
    _Atomic long faults, events;
    _Atomic int last_event;
    int stop[2];
    _Atomic uintptr_t ev_a, ev_b, ev_n;
    bool silent, nowp;
    int fork_fd;
};
__attribute__((unused)) static void *helper_main(void *arg)
{
    struct helper *h = arg;
    static __thread char page[P] __attribute__((aligned(4096)));
    struct pollfd pf[2] = {{h->fd, POLLIN, 0}, {h->stop[0], POLLIN, 0}};
    for (;;) {
        poll(pf, 2, -1);
        if (pf[1].revents)
            return NULL;
        struct uffd_msg m;
        if (read(h->fd, &m, sizeof m) != sizeof m)
            continue;
        if (m.event == UFFD_EVENT_PAGEFAULT) {
            char *a = (char *)(uintptr_t)(m.arg.pagefault.address & ~(P - 1));
            memset(page, 0xA0 + (a - h->base) / P % 64, P);
            h->faults++;
            if (uffd_copy(h->fd, a, page, P, !h->nowp) && errno != EEXIST && !h->silent)
                perror("UFFDIO_COPY");
            if (errno == EEXIST) {
                struct uffdio_range r = {(uintptr_t)a, P};
                ioctl(h->fd, UFFDIO_WAKE, &r);
            }
        } else {
            if (m.event == UFFD_EVENT_REMAP) {
                h->ev_a = m.arg.remap.from;
                h->ev_b = m.arg.remap.to;
                h->ev_n = m.arg.remap.len;
            } else if (m.event == UFFD_EVENT_FORK)
                h->fork_fd = m.arg.fork.ufd;
            else {
                h->ev_a = m.arg.remove.start;
                h->ev_b = m.arg.remove.end;
            }
            h->last_event = m.event;
            h->events++;
        }
    }
}
__attribute__((unused)) static void helper_start(struct helper *h, int fd, char *base)
{
    memset(h, 0, sizeof *h);
    h->fd = fd;
    h->base = base;
    h->fork_fd = -1;
    if (pipe(h->stop) || pthread_create(&h->th, NULL, helper_main, h))
        exit(77);
}
__attribute__((unused)) static void helper_stop(struct helper *h)
{
    if (write(h->stop[1], "x", 1) != 1)
        abort();
    pthread_join(h->th, NULL);
    close(h->stop[0]);
    close(h->stop[1]);
}
__attribute__((unused)) static char *anon(size_t n)
{
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(77);
    }
    madvise(p, n, MADV_NOHUGEPAGE);
    return p;
}
__attribute__((unused)) static int by_double(const void *a, const void *b)
{
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}
// Median of `rounds` timings of `inner` runs of `code`, in us a run.
#define MEDIAN_US(rounds, inner, code)              \
    ({                                              \
        static double t_[512];                      \
        int r_ = (rounds);                          \
        for (int i_ = 0; i_ < r_; i_++) {           \
            double a_ = now_us();                   \
            for (long j_ = 0; j_ < (inner); j_++) { \
                code;                               \
            }                                       \
            t_[i_] = (now_us() - a_) / (inner);     \
        }                                           \
        qsort(t_, r_, sizeof *t_, by_double);       \
        t_[r_ / 2];                                 \
    })

__attribute__((unused)) static int scan_odd(void *p, size_t n, uint64_t must, uint64_t mustnot)
{
    // category_inverted turns a bit's sense; anyof after inversion: page matches if one of `must` is clear or one of `mustnot` is set.
    struct k_page_region r;
    struct k_scan s = {.size = sizeof s,
                       .start = (uintptr_t)p,
                       .end = (uintptr_t)p + n,
                       .vec = (uintptr_t)&r,
                       .vec_len = 1,
                       .max_pages = 1,
                       .category_inverted = must,
                       .category_anyof_mask = must | mustnot,
                       .return_mask = must | mustnot};
    return ioctl(pagemap_fd, K_PAGEMAP_SCAN, &s);
}
#endif
