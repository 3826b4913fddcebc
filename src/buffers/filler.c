#include "filler.h"

#include "../core/lock.h"
#include "../core/syscalls.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

/*
 * The thread shares the thread-local storage of the thread that started it, which may be gone by the time that the canary
 * of a protected frame is read from there.
 */
#pragma GCC optimize("no-stack-protector")

#define FEATURES (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC)
/* How often the filler looks whether it is the last thread of its process, which would otherwise never end. */
#define LOOK_AROUND_MS 100

void filler_lock(struct filler *f)
{
    lock_take(&f->regions_lock);
}

void filler_unlock(struct filler *f)
{
    lock_give(&f->regions_lock);
}

/* ---- the thread: its descriptors ---- */

static int open_uffd(void)
{
    long fd = KERNEL(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        /* Without the privilege a rule for this device can allow it (Linux 6.1). */
        long device = KERNEL(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        fd = device < 0 ? device : KERNEL(SYS_ioctl, device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        if (device >= 0)
            KERNEL(SYS_close, device);
    }
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
    return fd >= 0 && KERNEL(SYS_ioctl, fd, UFFDIO_API, &api) == 0 ? (int)fd : -1;
}

static long registration(const struct filler *f, uintptr_t start, uintptr_t end, uint64_t mode)
{
    struct uffdio_register r = {.range = {start, end - start}, .mode = mode};
    return KERNEL(SYS_ioctl, f->uffd, UFFDIO_REGISTER, &r);
}

static void unregister(const struct filler *f, uintptr_t start, uintptr_t end)
{
    struct uffdio_range range = {start, end - start};
    KERNEL(SYS_ioctl, f->uffd, UFFDIO_UNREGISTER, &range);
}

static bool prepare_thread(struct filler *f)
{
    if (KERNEL(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) < 0)
        return false;
    f->uffd = open_uffd();
    f->pagemap = (int)KERNEL(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    f->maps = (int)KERNEL(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    f->process = (int)KERNEL(SYS_pidfd_open, KERNEL(SYS_getpid), 0);
    uintptr_t bell = (uintptr_t)f->doorbell;
    return f->uffd >= 0 && f->pagemap >= 0 && f->maps >= 0 && f->process >= 0 &&
           registration(f, bell, bell + PAGE_BYTES, UFFDIO_REGISTER_MODE_MISSING) == 0;
}

/* ---- the thread: pages ---- */

/* Runs of pages that are still empty and marked, from `start` on: how many were put into `runs`. */
static long empty_runs(const struct filler *f, uintptr_t start, uintptr_t end, struct page_region *runs, size_t room)
{
    struct pagemap_scan scan = {
        .size = sizeof scan,
        .start = start,
        .end = end,
        .vector = (uintptr_t)runs,
        .vector_length = room,
        .category_inverted = PAGE_WRITTEN | PAGE_PRESENT,
        .category_mask = PAGE_WPALLOWED | PAGE_SWAPPED | PAGE_WRITTEN | PAGE_PRESENT,
        .return_mask = PAGE_WPALLOWED,
    };
    return KERNEL(SYS_ioctl, f->pagemap, SCAN_PAGES, &scan);
}

/* Source offset of the page at `page`. */
static off_t offset_of(const struct region *r, uintptr_t page)
{
    return page < r->split ? r->from + (off_t)(page - r->start) : r->rest + (off_t)(page - r->split);
}

enum outcome { DONE, NOT_NOW, FAILED };

/*
 * Reads n bytes if that needs no waiting (RWF_NOWAIT, preadv2(2)); what lies behind the end of the file is zero, as in any
 * page. The program's thread may have touched the page in a read(2) or write(2) of the very file, whose lock the kernel
 * then holds: to wait for that lock would be to wait for ever.
 */
static enum outcome try_read(int fd, char *bytes, size_t n, off_t from)
{
    for (size_t done = 0; done < n;) {
        struct iovec part = {bytes + done, n - done};
        long got = KERNEL(SYS_preadv2, fd, &part, 1, from + (off_t)done, 0, RWF_NOWAIT);
        if (got == -EAGAIN)
            return NOT_NOW;
        if (got < 0 || (got == 0 && done == 0))
            return FAILED;
        if (got == 0)
            return DONE;
        done += (size_t)got;
    }
    return DONE;
}

/* Has the bytes brought into the page cache, which takes no lock of the file's, and lets some time pass. */
static void wait_for_bytes(int fd, size_t n, off_t from)
{
    struct timespec pause = {.tv_nsec = 100000};
    KERNEL(SYS_fadvise64, fd, from, n, POSIX_FADV_WILLNEED);
    KERNEL(SYS_ppoll, NULL, 0, &pause, NULL, 8);
}

/*
 * The bytes that the read of long ago would have given. The source is asked whether it is unchanged after reading it;
 * the destination holds the same bytes. Of the two files a thread in the kernel locks one at most, so that one of them
 * can always be read in the end. False if neither can be.
 */
static bool feed_bytes(const struct feed *feed, char *bytes, size_t n, off_t from)
{
    for (;;) {
        enum outcome source = try_read(feed->source, bytes, n, from);
        if (!guard_unchanged(feed->source, &feed->state))
            source = FAILED;
        if (source == DONE)
            return true;
        enum outcome destination = try_read(feed->destination, bytes, n, from + feed->shift);
        if (destination == DONE)
            return true;
        if (source == FAILED && destination == FAILED)
            return false;
        wait_for_bytes(source == NOT_NOW ? feed->source : feed->destination, n,
                       source == NOT_NOW ? from : from + feed->shift);
    }
}

static void wake(const struct filler *f, uintptr_t page)
{
    struct uffdio_range range = {page, PAGE_BYTES};
    KERNEL(SYS_ioctl, f->uffd, UFFDIO_WAKE, &range);
}

/* Puts bytes into empty pages, write-protected, so that a later write shows. Pages that are there stay. */
static void put(const struct filler *f, uintptr_t page, const char *bytes, size_t n)
{
    while (n) {
        struct uffdio_copy copy = {.dst = page, .src = (uintptr_t)bytes, .len = n, .mode = UFFDIO_COPY_MODE_WP};
        long result = KERNEL(SYS_ioctl, f->uffd, UFFDIO_COPY, &copy);
        size_t done = copy.copy > 0 ? (size_t)copy.copy : 0;
        if (result < 0 && result != -EAGAIN && done == 0)
            done = PAGE_BYTES;
        page += done;
        bytes += done;
        n -= done;
    }
}

/*
 * What cannot be read any more, from neither file, must not become other bytes: a touch ends in SIGBUS, as with a mapping
 * of the file (Linux 6.6).
 */
static void poison(const struct filler *f, uintptr_t start, uintptr_t end)
{
    struct uffdio_poison order = {.range = {start, end - start}};
    KERNEL(SYS_ioctl, f->uffd, UFFDIO_POISON, &order);
}

static void fill_run(struct filler *f, const struct region *r, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        size_t n = end - start < FILLER_CHUNK ? end - start : FILLER_CHUNK;
        if (start < r->split && start + n > r->split)
            n = r->split - start;
        for (size_t i = 0; i < n; i++)
            f->bytes[i] = 0;
        if (feed_bytes(&f->feeds[r->feed], f->bytes, n, offset_of(r, start)))
            put(f, start, f->bytes, n);
        else
            poison(f, start, start + n);
        start += n;
    }
}

/* Fills every page of the region that is still empty: a program that looks at one will look at the others. */
static void fill_region(struct filler *f, struct region *r)
{
    struct page_region runs[8];
    uintptr_t at = r->start;
    r->fills++;
    for (;;) {
        long found = empty_runs(f, at, r->end, runs, 8);
        for (long i = 0; i < found; i++)
            fill_run(f, r, runs[i].start, runs[i].end);
        if (found < 8)
            return;
        at = runs[7].end;
    }
}

static struct region *region_at(struct filler *f, uintptr_t page)
{
    for (unsigned i = 0; i < FILLER_REGIONS; i++)
        if (f->regions[i].start && page >= f->regions[i].start && page < f->regions[i].end)
            return &f->regions[i];
    return NULL;
}

/* A touch of an empty page: one of ours, or one that the program has emptied itself, whose bytes are zeros then. */
static void touched(struct filler *f, uintptr_t page)
{
    struct page_region run;
    filler_lock(f);
    struct region *r = region_at(f, page);
    if (r && empty_runs(f, page, page + PAGE_BYTES, &run, 1) == 1) {
        f->feeds[r->feed].faults++;
        fill_region(f, r);
    } else {
        struct uffdio_zeropage zero = {.range = {page, PAGE_BYTES}};
        KERNEL(SYS_ioctl, f->uffd, UFFDIO_ZEROPAGE, &zero);
    }
    filler_unlock(f);
    wake(f, page);
}

/* ---- the thread: orders ---- */

/* Not every file system reads without waiting (overlayfs: EOPNOTSUPP). */
static bool can_try(int fd)
{
    char byte;
    return fd >= 0 && try_read(fd, &byte, 1, 0) != FAILED;
}

static int carry_feed(struct filler *f)
{
    struct feed *feed = &f->feeds[f->order.place];
    char link[32] = "/proc/self/fd/";
    char digits[12];
    int n = 0, at = 14;
    for (int fd = f->order.destination; fd > 0 || n == 0; fd /= 10)
        digits[n++] = (char)('0' + fd % 10);
    while (n)
        link[at++] = digits[--n];
    link[at] = 0;
    feed->source = (int)KERNEL(SYS_pidfd_getfd, f->process, f->order.source, 0);
    /* Reading it must not show in its time of access, if the file is ours to say so. */
    feed->destination = (int)KERNEL(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
    if (feed->destination < 0)
        feed->destination = (int)KERNEL(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (can_try(feed->source) && can_try(feed->destination))
        return 0;
    KERNEL(SYS_close, feed->source);
    KERNEL(SYS_close, feed->destination);
    feed->used = false;
    return EACCES;
}

static int carry_retire(struct filler *f, struct region *r)
{
    filler_lock(f);
    fill_region(f, r);
    unregister(f, r->start, r->end);
    r->start = 0;
    filler_unlock(f);
    return 0;
}

static int carry_unfeed(struct filler *f)
{
    struct feed *feed = &f->feeds[f->order.place];
    for (unsigned i = 0; i < FILLER_REGIONS; i++)
        if (f->regions[i].start && f->regions[i].feed == f->order.place)
            carry_retire(f, &f->regions[i]);
    KERNEL(SYS_close, feed->source);
    KERNEL(SYS_close, feed->destination);
    feed->used = false;
    return 0;
}

static int mark_empty(const struct filler *f, const struct region *r)
{
    struct uffdio_writeprotect protect = {
        .range = {r->start, r->end - r->start},
        .mode = UFFDIO_WRITEPROTECT_MODE_WP,
    };
    return (int)-KERNEL(SYS_ioctl, f->uffd, UFFDIO_WRITEPROTECT, &protect);
}

static int carry_refresh(struct filler *f, struct region *r)
{
    /* Fails on locked memory, whose pages cannot be taken away. */
    long result = KERNEL(SYS_madvise, r->start, r->end - r->start, MADV_DONTNEED);
    return result < 0 ? (int)-result : mark_empty(f, r);
}

/*
 * Only private anonymous memory can be emptied without loss: from a file's private pages MADV_DONTNEED would bring the
 * file's bytes back, and shared memory is not this process's alone. It must also be memory that read(2) could have
 * written to. UFFDIO_REGISTER accepts more than that.
 */
static bool may_be_emptied(const struct filler *f, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        struct map_query query = {.size = sizeof query, .address = start};
        if (KERNEL(SYS_ioctl, f->maps, QUERY_MAP, &query) < 0)
            return false;
        uint64_t wanted = MAP_READABLE | MAP_WRITABLE;
        if ((query.map_flags & (wanted | MAP_IS_SHARED)) != wanted || query.inode != 0 || query.device_major ||
            query.device_minor || query.page_size != PAGE_BYTES)
            return false;
        start = query.end;
    }
    return true;
}

static int carry_prepare(struct filler *f, struct region *r)
{
    long result = registration(f, r->start, r->end, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
    if (result < 0)
        return (int)-result;
    int failed = may_be_emptied(f, r->start, r->end) ? carry_refresh(f, r) : EINVAL;
    if (failed)
        unregister(f, r->start, r->end);
    return failed;
}

static int carry_out(struct filler *f)
{
    struct region *r = &f->regions[f->order.place % FILLER_REGIONS];
    switch (f->order.what) {
    case ORDER_FEED:
        return carry_feed(f);
    case ORDER_UNFEED:
        return carry_unfeed(f);
    case ORDER_PREPARE:
        return carry_prepare(f, r);
    case ORDER_REFRESH:
        return carry_refresh(f, r);
    case ORDER_RETIRE:
        return carry_retire(f, r);
    case ORDER_STOP:
        return 0;
    }
    return EINVAL;
}

/* The doorbell was touched. Filling it wakes the caller. True if the thread is to end. */
static bool doorbell(struct filler *f)
{
    enum filler_order what = f->order.what;
    f->order.failed = carry_out(f);
    struct uffdio_zeropage fill = {.range = {(uintptr_t)f->doorbell, PAGE_BYTES}};
    KERNEL(SYS_ioctl, f->uffd, UFFDIO_ZEROPAGE, &fill);
    return what == ORDER_STOP;
}

/* ---- the thread: its life ---- */

/* "PID (NAME) Z ...": a main thread that has called pthread_exit(3) stays as a zombie (proc(5)). */
static bool main_thread_gone(void)
{
    char stat[256];
    long fd = KERNEL(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC);
    long n = KERNEL(SYS_read, fd, stat, sizeof stat);
    KERNEL(SYS_close, fd);
    while (n > 0 && stat[n - 1] != ')')
        n--;
    return n > 0 && n + 1 < (long)sizeof stat && stat[n + 1] == 'Z';
}

static bool alone(void)
{
    struct stat tasks;
    if (KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &tasks, 0) < 0)
        return false;
    return tasks.st_nlink <= 3 || (tasks.st_nlink == 4 && main_thread_gone());
}

static bool serve_one(struct filler *f)
{
    struct uffd_msg message;
    if (KERNEL(SYS_read, f->uffd, &message, sizeof message) != sizeof message || message.event != UFFD_EVENT_PAGEFAULT)
        return true;
    uintptr_t page = message.arg.pagefault.address & ~(PAGE_BYTES - 1);
    if (page == (uintptr_t)f->doorbell)
        return !doorbell(f);
    touched(f, page);
    return true;
}

static void set_state(struct filler *f, int state)
{
    __atomic_store_n(&f->state, state, __ATOMIC_SEQ_CST);
    KERNEL(SYS_futex, &f->state, FUTEX_WAKE_PRIVATE, INT_MAX);
}

static void thread_main(struct filler *f)
{
    if (!prepare_thread(f)) {
        set_state(f, FILLER_FAILED);
        return;
    }
    set_state(f, FILLER_READY);
    for (;;) {
        struct pollfd wait = {.fd = f->uffd, .events = POLLIN};
        struct timespec timeout = {.tv_nsec = LOOK_AROUND_MS * 1000000L};
        long ready = KERNEL(SYS_ppoll, &wait, 1, &timeout, NULL, 8);
        if (ready > 0 ? !serve_one(f) : alone())
            return;
    }
}

/* ---- its starting and ending, by a thread of the program ---- */

#define THREAD_FLAGS                                                                                           \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | \
     CLONE_PARENT_SETTID)

/* clone(2) with a stack that holds the argument and the function; the thread ends when the function returns. */
static long start_thread(void (*function)(struct filler *), struct filler *f)
{
    void **stack = (void **)(f->stack + sizeof f->stack);
    *--stack = (void *)function;
    *--stack = f;
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = (long)&f->thread;
    register long r8 __asm__("r8") = 0;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rdi\n\t"
                     "pop %%rax\n\t"
                     "call *%%rax\n\t"
                     "mov %[exit], %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"(THREAD_FLAGS), "S"(stack), "d"(&f->thread), "r"(r10),
                       "r"(r8), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone;
    register long x0 __asm__("x0") = THREAD_FLAGS;
    register long x1 __asm__("x1") = (long)stack;
    register long x2 __asm__("x2") = (long)&f->thread;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = (long)&f->thread;
    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "ldp x0, x1, [sp], #16\n\t"
                     "blr x1\n\t"
                     "mov x8, %[exit]\n\t"
                     "mov x0, #0\n\t"
                     "svc 0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), [exit] "i"(SYS_exit)
                     : "memory");
    return x0;
#endif
}

static void await(int *word, int while_it_is)
{
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == while_it_is)
        KERNEL(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_it_is, NULL);
}

/* The kernel clears the word and wakes its waiters when the thread is gone; that wake is not a private one. */
static void await_end(struct filler *f)
{
    int thread;
    while ((thread = __atomic_load_n(&f->thread, __ATOMIC_SEQ_CST)) != 0)
        KERNEL(SYS_futex, &f->thread, FUTEX_WAIT, thread, NULL);
}

static void release(struct filler *f)
{
    await_end(f);
    KERNEL(SYS_munmap, f, sizeof *f + PAGE_BYTES);
}

struct filler *filler_start(void)
{
    _Static_assert(sizeof(struct filler) % 4096 == 0, "the doorbell, behind the filler, is a page");
    size_t n = sizeof(struct filler) + PAGE_BYTES;
    long at = KERNEL(SYS_mmap, NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return NULL;
    struct filler *f = (struct filler *)at;
    f->doorbell = (char *)f + sizeof *f;
    if (start_thread(thread_main, f) < 0) {
        KERNEL(SYS_munmap, f, n);
        return NULL;
    }
    await(&f->state, FILLER_STARTING);
    if (f->state == FILLER_READY)
        return f;
    release(f);
    return NULL;
}

int filler_order(struct filler *f, enum filler_order what)
{
    f->order.what = what;
    f->order.failed = ESRCH;
    KERNEL(SYS_madvise, f->doorbell, PAGE_BYTES, MADV_DONTNEED);
    __atomic_load_n(f->doorbell, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&f->order.failed, __ATOMIC_SEQ_CST);
}

void filler_stop(struct filler *f)
{
    filler_order(f, ORDER_STOP);
    release(f);
}
