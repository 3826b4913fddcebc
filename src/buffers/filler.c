#include "filler.h"

#include "../core/syscalls.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/*
 * The thread shares the thread-local storage of the thread that started it, which may be gone by the time that the
 * canary of a protected frame is read from there.
 */
#pragma GCC optimize("no-stack-protector")

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define EVENTS (UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_REMAP)
/* How often the filler looks whether it is the last thread of its process, which would otherwise never end. */
#define LOOK_AROUND_MS 100
/* How long a page that there is no memory for is tried again, a millisecond each time, until its touch ends in SIGBUS. */
#define NO_MEMORY_TRIES 10000

#define LOAD(from) __atomic_load_n(&(from), __ATOMIC_SEQ_CST)
#define STORE(to, value) __atomic_store_n(&(to), (value), __ATOMIC_SEQ_CST)

static void nap(long ns)
{
    struct timespec pause = {.tv_nsec = ns};
    KERNEL(SYS_nanosleep, &pause, NULL);
}

/* ---- the thread: its descriptors ---- */

static int open_uffd(uint64_t features)
{
    long fd = KERNEL(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        /* Without the privilege a rule for this device can allow it (Linux 6.1). */
        long device = KERNEL(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        fd = device < 0 ? device : KERNEL(SYS_ioctl, device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        if (device >= 0)
            KERNEL(SYS_close, device);
    }
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    return fd >= 0 && KERNEL(SYS_ioctl, fd, UFFDIO_API, &api) == 0 ? (int)fd : -1;
}

static long enroll(int uffd, uintptr_t start, uintptr_t end)
{
    struct uffdio_register r = {.range = {start, end - start}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    return KERNEL(SYS_ioctl, uffd, UFFDIO_REGISTER, &r);
}

static long unregister(const struct filler *f, uintptr_t start, uintptr_t end)
{
    struct uffdio_range range = {start, end - start};
    return KERNEL(SYS_ioctl, f->uffd, UFFDIO_UNREGISTER, &range);
}

static bool wait_for(const struct filler *f, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return KERNEL(SYS_epoll_ctl, f->waiting, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool prepare_thread(struct filler *f)
{
    if (KERNEL(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) < 0)
        return false;
    f->uffd = open_uffd(EVENTS);
    /* Without events: the doorbell is emptied by the caller, who would wait for the event to be read. */
    f->bell = open_uffd(0);
    f->pagemap = (int)KERNEL(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    f->maps = (int)KERNEL(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    f->waiting = (int)KERNEL(SYS_epoll_create1, EPOLL_CLOEXEC);
    f->process = (int)KERNEL(SYS_pidfd_open, KERNEL(SYS_getpid), 0);
    uintptr_t bell = (uintptr_t)f->doorbell;
    return f->uffd >= 0 && f->bell >= 0 && f->pagemap >= 0 && f->maps >= 0 && f->process >= 0 && wait_for(f, f->uffd) &&
           wait_for(f, f->bell) && enroll(f->bell, bell, bell + PAGE_BYTES) == 0;
}

/* ---- the thread: its books ---- */

static struct region *region_at(struct filler *f, uintptr_t page)
{
    for (unsigned i = 0; i < f->regions_used; i++)
        if (f->regions[i].start && page >= f->regions[i].start && page < f->regions[i].end)
            return &f->regions[i];
    return NULL;
}

static struct region *free_region(struct filler *f, unsigned limit)
{
    for (unsigned i = 0; i < limit; i++) {
        if (f->regions[i].start)
            continue;
        if (i >= f->regions_used)
            STORE(f->regions_used, i + 1);
        return &f->regions[i];
    }
    return NULL;
}

/* A page at a time: a call fails if its range lies in more than one mapping. Pages that are there stay. */
static void poison(const struct filler *f, uintptr_t start, uintptr_t end)
{
    for (; start < end; start += PAGE_BYTES) {
        struct uffdio_poison order = {.range = {start, PAGE_BYTES}};
        KERNEL(SYS_ioctl, f->uffd, UFFDIO_POISON, &order);
    }
}

/* Enters pages that hold what the region's page at `page` is owed, at another address. */
static void enter(struct filler *f, const struct region *r, uintptr_t page, uintptr_t start, uintptr_t end)
{
    struct region *part = free_region(f, FILLER_REGIONS);
    if (part)
        *part = (struct region){start, end, LOAD(r->from) + (off_t)(page - r->start), r->feed, true};
    else
        poison(f, start, end);
}

static uintptr_t later(uintptr_t a, uintptr_t b)
{
    return a > b ? a : b;
}

static uintptr_t earlier(uintptr_t a, uintptr_t b)
{
    return a < b ? a : b;
}

/* The pages from start to end are not ours any more. */
static void forget(struct filler *f, uintptr_t start, uintptr_t end)
{
    unsigned used = f->regions_used;
    for (unsigned i = 0; i < used; i++) {
        struct region *r = &f->regions[i];
        if (!r->start || r->start >= end || start >= r->end)
            continue;
        r->touched = true;
        if (end < r->end)
            enter(f, r, end, end, r->end);
        if (r->start < start)
            r->end = start;
        else
            r->start = 0;
    }
}

/* The pages from start to end have moved, by mremap(2), with what they hold. They are registered still. */
static void follow(struct filler *f, uintptr_t start, uintptr_t end, uintptr_t to)
{
    unsigned used = f->regions_used;
    for (unsigned i = 0; i < used; i++) {
        const struct region *r = &f->regions[i];
        if (!r->start || r->start >= end || start >= r->end)
            continue;
        uintptr_t first = later(r->start, start), last = earlier(r->end, end);
        enter(f, r, first, to + (first - start), to + (last - start));
    }
    forget(f, start, end);
}

static void note_event(struct filler *f, const struct uffd_msg *message)
{
    if (message->event == UFFD_EVENT_REMAP)
        follow(f, message->arg.remap.from, message->arg.remap.from + message->arg.remap.len, message->arg.remap.to);
    else if (message->event == UFFD_EVENT_UNMAP || message->event == UFFD_EVENT_REMOVE)
        forget(f, message->arg.remove.start, message->arg.remove.end);
}

/* ---- the thread: pages ---- */

/*
 * Reads n bytes; what lies behind the end of the file is zero, as in any page. False if the disk fails. No lock is
 * waited for that somebody else could hold: the file is the filler's own.
 */
static bool read_snapshot(const struct feed *feed, char *bytes, size_t n, off_t from)
{
    for (size_t done = 0; done < n;) {
        long got = KERNEL(SYS_pread64, feed->snapshot, bytes + done, n - done, from + (off_t)done);
        if (got < 0)
            return false;
        for (; got == 0 && done < n; done++)
            bytes[done] = 0;
        done += (size_t)got;
    }
    return true;
}

static void wake(int uffd, uintptr_t page)
{
    struct uffdio_range range = {page, PAGE_BYTES};
    KERNEL(SYS_ioctl, uffd, UFFDIO_WAKE, &range);
}

static void note_messages(struct filler *f);

/*
 * Puts bytes into the first of the empty pages, as many as go in one call. Returns how many bytes on to continue, or 0:
 * the books may have changed, look again. Pages that are there stay.
 */
static size_t put(struct filler *f, uintptr_t page, const char *bytes, size_t n)
{
    for (int tries = 0;; tries++) {
        struct uffdio_copy copy = {.dst = page, .src = (uintptr_t)bytes, .len = n};
        long result = KERNEL(SYS_ioctl, f->uffd, UFFDIO_COPY, &copy);
        if (copy.copy > 0)
            return (size_t)copy.copy;
        if (result == -EAGAIN) {
            /* Somebody is changing the memory's mappings, and waits until we have read of it. */
            note_messages(f);
            nap(1000);
            return 0;
        }
        /* The program has cut the mapping in two (mlock(2), madvise(2)): the range must lie in one. */
        if (result == -ENOENT && n > PAGE_BYTES) {
            n = PAGE_BYTES;
            continue;
        }
        if (result == -ENOMEM && tries < NO_MEMORY_TRIES) {
            nap(1000000);
            continue;
        }
        if (result == -ENOMEM)
            poison(f, page, page + PAGE_BYTES);
        return PAGE_BYTES;
    }
}

/*
 * Fills every page of the region that is still empty: a program that looks at one will look at the others. What cannot
 * be read must not become other bytes: its touch ends in SIGBUS, as with a mapping of the file.
 */
static void fill_region(struct filler *f, const struct region *r)
{
    uintptr_t at = r->start, held = 0, held_end = 0;
    while (r->start && at < r->end) {
        if (at >= held_end) {
            size_t n = earlier(r->end - at, FILLER_CHUNK);
            if (!read_snapshot(&f->feeds[r->feed], f->bytes, n, LOAD(r->from) + (off_t)(at - r->start))) {
                poison(f, at, at + n);
                at += n;
                continue;
            }
            held = at;
            held_end = at + n;
        }
        size_t done = put(f, at, f->bytes + (at - held), earlier(r->end, held_end) - at);
        at += done;
        /* From the start again: the place may have another region by now. */
        if (!done) {
            at = r->start;
            held_end = 0;
        }
    }
}

/* A touch of an empty page: one of ours, or one that the program has emptied itself, whose bytes are zeros then. */
static void touched(struct filler *f, uintptr_t page)
{
    struct region *r = region_at(f, page);
    if (r) {
        STORE(r->touched, true);
        f->feeds[r->feed].faults++;
        fill_region(f, r);
    } else {
        struct uffdio_zeropage zero = {.range = {page, PAGE_BYTES}};
        if (KERNEL(SYS_ioctl, f->uffd, UFFDIO_ZEROPAGE, &zero) == -EAGAIN)
            nap(1000);
    }
    wake(f->uffd, page);
}

/* ---- the thread: orders ---- */

/* The path of the folder that the program's descriptor was opened in, as far as the kernel still knows it. */
static bool find_folder(struct filler *f, int fd)
{
    char link[32] = "/proc/self/fd/";
    char digits[12];
    int n = 0, at = 14;
    do
        digits[n++] = (char)('0' + fd % 10);
    while (fd /= 10);
    while (n)
        link[at++] = digits[--n];
    link[at] = 0;
    long length = KERNEL(SYS_readlinkat, AT_FDCWD, link, f->bytes, PATH_MAX);
    if (length <= 0 || length >= PATH_MAX || f->bytes[0] != '/')
        return false;
    while (f->bytes[length - 1] != '/')
        length--;
    f->bytes[length > 1 ? length - 1 : 1] = 0;
    return true;
}

/*
 * A clone of the source that has no name and cannot get one (O_TMPFILE with O_EXCL, open(2)). Its reading must need no
 * transaction of the file system, as a new time of access would.
 */
static long make_snapshot(struct filler *f, int source, const struct file_state *state)
{
    if (!find_folder(f, f->order.destination))
        return -ENOENT;
    long fd = KERNEL(SYS_openat, AT_FDCWD, f->bytes, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fd;
    struct file_state snapshot;
    long result = KERNEL(SYS_fcntl, fd, F_SETFL, O_NOATIME);
    if (result == 0)
        result = KERNEL(SYS_ioctl, fd, FICLONE, source);
    if (result == 0 &&
        (!guard_look((int)fd, &snapshot) || snapshot.size != state->size || !guard_unchanged(source, state)))
        result = -EIO;
    if (result == 0)
        return fd;
    KERNEL(SYS_close, fd);
    return result;
}

static int carry_feed(struct filler *f)
{
    struct feed *feed = &f->feeds[f->order.place];
    /* For this moment only: a second reference to the program's open file keeps its flock(2), for one. */
    long source = KERNEL(SYS_pidfd_getfd, f->process, f->order.source, 0);
    if (source < 0)
        return (int)-source;
    long snapshot = make_snapshot(f, (int)source, &feed->state);
    KERNEL(SYS_close, source);
    if (snapshot < 0)
        return (int)-snapshot;
    feed->snapshot = (int)snapshot;
    feed->used = true;
    return 0;
}

/*
 * The first run of pages that are there, in memory or in swap, as the kernel's page tables say. Returns the number of runs
 * found, 0 or 1, or a negative errno.
 */
static long pages_there(const struct filler *f, uintptr_t start, uintptr_t end, struct page_region_found *run)
{
    struct pagemap_scan scan = {
        .size = sizeof scan,
        .start = start,
        .end = end,
        .vector = (uintptr_t)run,
        .vector_length = 1,
        .category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED,
        .return_mask = PAGE_IN_FILE,
    };
    return KERNEL(SYS_ioctl, f->pagemap, SCAN_PAGES, &scan);
}

/* Pages that are not there when their region is let go would be zeros from then on. */
static void poison_gaps(const struct filler *f, const struct region *r)
{
    struct page_region_found run;
    for (uintptr_t at = r->start; r->start && at < r->end; at = run.end) {
        if (pages_there(f, at, r->end, &run) != 1)
            run.start = run.end = r->end;
        poison(f, at, run.start);
    }
}

/* Fills the region and lets it go. Its pages that have moved meanwhile are in the books elsewhere. */
static void retire(struct filler *f, struct region *r)
{
    fill_region(f, r);
    poison_gaps(f, r);
    if (r->start)
        unregister(f, r->start, r->end);
    r->start = 0;
}

static void retire_feed(struct filler *f, unsigned place)
{
    for (unsigned i = 0; i < f->regions_used;) {
        struct region *r = &f->regions[i];
        if (r->start && r->feed == place) {
            retire(f, r);
            i = 0;
        } else {
            i++;
        }
    }
}

static int carry_unfeed(struct filler *f)
{
    struct feed *feed = &f->feeds[f->order.place];
    retire_feed(f, f->order.place);
    KERNEL(SYS_close, feed->snapshot);
    feed->used = false;
    return 0;
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

/* The number behind a word of a status file (proc_pid_status(5)), or -1. */
static long number_in(struct filler *f, const char *path, const char *word)
{
    long fd = KERNEL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    long n = fd < 0 ? -1 : KERNEL(SYS_read, fd, f->bytes, FILLER_CHUNK - 1);
    if (fd >= 0)
        KERNEL(SYS_close, fd);
    f->bytes[n > 0 ? n : 0] = 0;
    for (const char *line = f->bytes; *line; line++) {
        size_t same = 0;
        while (word[same] && line[same] == word[same])
            same++;
        if (word[same])
            continue;
        long number = 0;
        for (line += same; *line == '\t' || *line == ' ';)
            line++;
        for (; *line >= '0' && *line <= '9'; line++)
            number = number * 10 + (*line - '0');
        return number;
    }
    return -1;
}

/* Whether memory of the process is pinned: io_uring's registered buffers go on using a page that was taken away. */
static bool is_pinned(struct filler *f)
{
    return number_in(f, "/proc/self/status", "VmPin:") != 0;
}

/* Lets regions go that have pages in the range; one that is the range is about to be emptied, and needs no filling. */
static void make_room(struct filler *f, uintptr_t start, uintptr_t end)
{
    for (unsigned i = 0; i < f->regions_used; i++) {
        struct region *r = &f->regions[i];
        if (r->start == start && r->end == end)
            r->start = 0;
        else if (r->start && r->start < end && start < r->end)
            retire(f, r);
    }
}

/*
 * A debugger that has attached to this thread too stops it at each of its system calls. It may itself be waiting for a
 * page, in the kernel, and would not let this thread go on to fill it: so nothing is owed any more.
 */
static void be_traced(struct filler *f)
{
    f->traced = true;
    STORE(f->turn, f->turn + 1);
    for (unsigned i = 0; i < f->regions_used; i++) {
        STORE(f->regions[i].touched, true);
        fill_region(f, &f->regions[i]);
    }
    STORE(f->turn, f->turn + 1);
}

/*
 * Emptied while they are not registered: this thread would wait for itself to read of it. The caller is waiting, and is
 * the program's only thread, so that nobody touches a page between the two.
 */
static int carry_prepare(struct filler *f)
{
    const struct region *wanted = &f->order.region;
    if (f->traced)
        return EPERM;
    make_room(f, wanted->start, wanted->end);
    if (!may_be_emptied(f, wanted->start, wanted->end) || is_pinned(f))
        return EINVAL;
    struct region *r = free_region(f, FILLER_REGIONS / 2);
    if (!r)
        return ENOSPC;
    long result = unregister(f, wanted->start, wanted->end);
    if (result == 0)
        /* Fails on locked memory, whose pages cannot be taken away. */
        result = KERNEL(SYS_madvise, wanted->start, wanted->end - wanted->start, MADV_DONTNEED);
    if (result == 0)
        result = enroll(f->uffd, wanted->start, wanted->end);
    if (result < 0)
        return (int)-result;
    struct page_region_found run;
    if (pages_there(f, wanted->start, wanted->end, &run) != 0) {
        unregister(f, wanted->start, wanted->end);
        return EBUSY;
    }
    *r = *wanted;
    return 0;
}

static int carry_out(struct filler *f)
{
    switch (f->order.what) {
    case ORDER_FEED:
        return carry_feed(f);
    case ORDER_UNFEED:
        return carry_unfeed(f);
    case ORDER_PREPARE:
        return carry_prepare(f);
    case ORDER_RETIRE:
        retire(f, &f->regions[f->order.place]);
        return 0;
    case ORDER_WAIT:
    case ORDER_STOP:
        return 0;
    }
    return EINVAL;
}

/* The doorbell was touched. Filling it wakes the caller. True if the thread is to end. */
static bool answer_bell(struct filler *f)
{
    struct uffd_msg message;
    if (KERNEL(SYS_read, f->bell, &message, sizeof message) != sizeof message)
        return false;
    enum filler_order what = f->order.what;
    /* Once: others may touch the page too (mlockall(2), a debugger). */
    if (f->order.given != f->order.served) {
        STORE(f->order.failed, carry_out(f));
        f->order.served = f->order.given;
    }
    struct uffdio_zeropage fill = {.range = {(uintptr_t)f->doorbell, PAGE_BYTES}};
    KERNEL(SYS_ioctl, f->bell, UFFDIO_ZEROPAGE, &fill);
    wake(f->bell, (uintptr_t)f->doorbell);
    return what == ORDER_STOP;
}

/* ---- the thread: its life ---- */

/* A message of the userfaultfd, with the books closed. False if there is none. */
static bool next_message(const struct filler *f, struct uffd_msg *message)
{
    return KERNEL(SYS_read, f->uffd, message, sizeof *message) == sizeof *message;
}

static uintptr_t page_of(const struct uffd_msg *message)
{
    return message->arg.pagefault.address & ~(PAGE_BYTES - 1);
}

/*
 * In the middle of a filling: what is read is entered into the books, and who waits for a page is sent to touch it again,
 * since its filling may have to wait for this one.
 */
static void note_messages(struct filler *f)
{
    struct uffd_msg message;
    bool outermost = f->turn % 2 == 0;
    if (outermost)
        STORE(f->turn, f->turn + 1);
    while (next_message(f, &message)) {
        if (message.event != UFFD_EVENT_PAGEFAULT) {
            note_event(f, &message);
            continue;
        }
        struct region *r = region_at(f, page_of(&message));
        if (r)
            STORE(r->touched, true);
        wake(f->uffd, page_of(&message));
    }
    if (outermost)
        STORE(f->turn, f->turn + 1);
}

static void serve(struct filler *f)
{
    struct uffd_msg message;
    STORE(f->turn, f->turn + 1);
    while (next_message(f, &message))
        if (message.event == UFFD_EVENT_PAGEFAULT)
            touched(f, page_of(&message));
        else
            note_event(f, &message);
    STORE(f->turn, f->turn + 1);
}

/* "PID (NAME) Z ... STATUS\n" of a main thread that is gone: it stays as a zombie (proc_pid_stat(5)). -1 if it is not. */
static int status_of_main_thread(struct filler *f)
{
    long fd = KERNEL(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC);
    long n = fd < 0 ? -1 : KERNEL(SYS_read, fd, f->bytes, FILLER_CHUNK - 1);
    if (fd >= 0)
        KERNEL(SYS_close, fd);
    long end = n, at = n;
    while (end > 0 && f->bytes[end - 1] != ')')
        end--;
    if (end <= 0 || end + 1 >= n || f->bytes[end + 1] != 'Z')
        return -1;
    while (f->bytes[at - 1] != ' ')
        at--;
    int status = 0;
    for (; f->bytes[at] >= '0' && f->bytes[at] <= '9'; at++)
        status = status * 10 + (f->bytes[at] - '0');
    /* As wait(2) has it: the argument of exit(2) above eight bits. */
    return status >> 8 & 0xff;
}

/*
 * Whether this is the last thread. The status of the last one is the process's, so this one leaves with the one that main
 * left with (*status). /proc/self/task has a link for each thread and two more.
 */
static bool alone(struct filler *f, int *status)
{
    struct stat tasks;
    if (KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &tasks, 0) < 0 || tasks.st_nlink > 4)
        return false;
    int left = status_of_main_thread(f);
    if (left >= 0)
        *status = left;
    return tasks.st_nlink == 3 || left >= 0;
}

static void set_state(struct filler *f, int state)
{
    STORE(f->state, state);
    KERNEL(SYS_futex, &f->state, FUTEX_WAKE_PRIVATE, INT_MAX);
}

/* Returns the status to exit with. */
static int thread_main(struct filler *f)
{
    int status = 0;
    if (!prepare_thread(f)) {
        set_state(f, FILLER_FAILED);
        return 0;
    }
    set_state(f, FILLER_READY);
    while (!LOAD(f->stopped)) {
        struct epoll_event event;
        /* Not poll(2): this one ends with EINTR when a debugger has stopped the thread, and let it go on (signal(7)). */
        long ready = KERNEL(SYS_epoll_pwait, f->waiting, &event, 1, LOOK_AROUND_MS, NULL, 8);
        if (ready > 0 && event.data.fd == f->uffd)
            serve(f);
        else if (ready > 0 && answer_bell(f))
            return 0;
        else if (ready <= 0 && alone(f, &status))
            return status;
        if (ready <= 0 && !f->traced && number_in(f, "/proc/thread-self/status", "TracerPid:") > 0)
            be_traced(f);
    }
    return 0;
}

/* ---- its starting and ending, by a thread of the program ---- */

/* CLONE_UNTRACED: a debugger that follows the program's threads need not let this one go on for a page to be filled. */
#define THREAD_FLAGS                                                                                           \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | \
     CLONE_PARENT_SETTID | CLONE_UNTRACED)

/* clone(2) with a stack that holds the argument and the function; what the function returns is the thread's status. */
static long start_thread(int (*function)(struct filler *), struct filler *f)
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
                     "mov %%eax, %%edi\n\t"
                     "mov %[exit], %%eax\n\t"
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
    while (LOAD(*word) == while_it_is)
        KERNEL(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_it_is, NULL);
}

/*
 * The kernel clears the word and wakes its waiters when the thread is done with the memory; that wake is not a private
 * one. After that it closes its descriptors and leaves /proc/self/task; unshare(CLONE_NEWUSER) wants that to be over.
 */
static void await_end(struct filler *f)
{
    int thread;
    long process = KERNEL(SYS_getpid);
    while ((thread = LOAD(f->thread)) != 0)
        KERNEL(SYS_futex, &f->thread, FUTEX_WAIT, thread, NULL);
    while (KERNEL(SYS_tgkill, process, f->thread_kept, 0) == 0)
        nap(1000);
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
    long thread = start_thread(thread_main, f);
    if (thread < 0) {
        KERNEL(SYS_munmap, f, n);
        return NULL;
    }
    f->thread_kept = (int)thread;
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
    f->order.given++;
    /* Empties the page even if the program has locked all of its memory (Linux 5.18). */
    KERNEL(SYS_madvise, f->doorbell, PAGE_BYTES, MADV_DONTNEED_LOCKED);
    __atomic_load_n(f->doorbell, __ATOMIC_SEQ_CST);
    return LOAD(f->order.failed);
}

void filler_stop(struct filler *f)
{
    filler_order(f, ORDER_STOP);
    STORE(f->stopped, true);
    release(f);
}
