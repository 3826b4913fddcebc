/* The filler's life: its descriptors, the orders that it carries out, and how it ends. */
#include "../core/json.h"
#include "../core/syscalls.h"
#include "books.h"
#include "feed.h"
#include "filler.h"
#include "pages.h"
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#define EVENTS (UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_REMAP)
/* How often it looks whether a debugger has attached, and whether one of the files has changed. */
#define LOOK_AROUND_MS 20

/* ---- descriptors ---- */

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

static bool wait_for(const struct filler *f, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return KERNEL(SYS_epoll_ctl, f->waiting, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int open_of_proc(const char *name)
{
    return (int)KERNEL(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
}

/* The program's status, as its child finds it: the program's number in /proc is not its own where /proc is another's. */
static int open_program_status(struct filler *f)
{
    char path[JSON_PATH];
    int own = open_of_proc("/proc/self/status");
    f->program_in_proc = pages_number_in(f, own, "PPid:");
    if (own >= 0)
        KERNEL(SYS_close, own);
    json_path(path, "/proc/", (uint64_t)f->program_in_proc, "/status");
    return f->program_in_proc > 0 ? open_of_proc(path) : -1;
}

static bool open_all(struct filler *f)
{
    f->uffd = open_uffd(EVENTS);
    /* Without events: the doorbell is emptied by the caller, who would wait for the event to be read. */
    f->bell = open_uffd(0);
    f->pagemap = open_of_proc("/proc/self/pagemap");
    f->maps = open_of_proc("/proc/self/maps");
    f->waiting = (int)KERNEL(SYS_epoll_create1, EPOLL_CLOEXEC);
    f->program = (int)KERNEL(SYS_pidfd_open, f->program_pid, 0);
    f->program_status = open_program_status(f);
    return f->uffd >= 0 && f->bell >= 0 && f->pagemap >= 0 && f->maps >= 0 && f->waiting >= 0 && f->program >= 0 &&
           f->program_status >= 0;
}

/* Whether what is mapped from now on is locked (mlockall(2)): there might be no room for what the window is to have. */
static bool memory_is_locked(struct filler *f)
{
    return pages_number_in(f, f->program_status, "VmLck:") != 0;
}

/*
 * A place of its own: a table of descriptors, in which the program's are not, and a working directory that keeps no file
 * system from being unmounted. And a session of its own: whoever stops the program's process group, but has only the
 * program go on, would leave it waiting for a filler that is stopped.
 */
static bool prepare(struct filler *f)
{
    struct uffdio_register bell = {.range = {(uintptr_t)f->doorbell, PAGE_BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    KERNEL(SYS_prctl, PR_SET_NAME, "offload-fill");
    KERNEL(SYS_chdir, "/");
    KERNEL(SYS_setsid);
    return KERNEL(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0 && open_all(f) && !memory_is_locked(f) &&
           wait_for(f, f->uffd) && wait_for(f, f->bell) && wait_for(f, f->program) &&
           KERNEL(SYS_ioctl, f->bell, UFFDIO_REGISTER, &bell) == 0;
}

/* ---- orders ---- */

/* What is lost is not to read as zeros when it is not registered any more. */
static void poison_lost(struct filler *f)
{
    pages_fill_all(f);
    books_poison(f, f->lost.start, f->lost.end);
}

static int carry_unfeed(struct filler *f)
{
    if (f->lost.end)
        poison_lost(f);
    for (unsigned i = 0; i < f->regions_used;) {
        struct region *r = &f->regions[i];
        if (r->start && r->feed == f->order.place) {
            pages_retire(f, r);
            i = 0;
        } else {
            i++;
        }
    }
    feed_drop(&f->feeds[f->order.place]);
    return 0;
}

static bool is_traced(struct filler *f)
{
    if (!f->traced)
        f->traced = pages_number_in(f, f->program_status, "TracerPid:") != 0;
    return f->traced;
}

static int carry_out(struct filler *f)
{
    switch (f->order.what) {
    case ORDER_FEED:
        return is_traced(f) ? EPERM : feed_take(f, &f->feeds[f->order.place]) ? 0 : EACCES;
    case ORDER_UNFEED:
        return carry_unfeed(f);
    case ORDER_PREPARE:
        return pages_prepare(f);
    case ORDER_RETIRE:
        pages_retire(f, &f->regions[f->order.place]);
        return 0;
    case ORDER_WAIT:
    case ORDER_STOP:
        return 0;
    }
    return EINVAL;
}

/* The doorbell was touched. Filling it wakes the caller. True if the filler is to end. */
static bool answer_bell(struct filler *f)
{
    struct uffd_msg message;
    if (KERNEL(SYS_read, f->bell, &message, sizeof message) != sizeof message)
        return false;
    enum filler_order what = f->order.what;
    bool due = f->order.given != f->order.served;
    /* Once: others may touch the page too (mlockall(2), a debugger). */
    if (due) {
        SHARED_STORE(f->order.failed, carry_out(f));
        f->order.served = f->order.given;
    }
    struct uffdio_zeropage fill = {.range = {(uintptr_t)f->doorbell, PAGE_BYTES}};
    KERNEL(SYS_ioctl, f->bell, UFFDIO_ZEROPAGE, &fill);
    struct uffdio_range range = {(uintptr_t)f->doorbell, PAGE_BYTES};
    KERNEL(SYS_ioctl, f->bell, UFFDIO_WAKE, &range);
    return due && what == ORDER_STOP;
}

/* ---- its life ---- */

static void open_books(struct filler *f)
{
    SHARED_STORE(f->turn, f->turn + 1);
}

static void close_books(struct filler *f)
{
    SHARED_STORE(f->turn, f->turn + 1);
}

static void serve(struct filler *f)
{
    struct uffd_msg message;
    open_books(f);
    while (KERNEL(SYS_read, f->uffd, &message, sizeof message) == sizeof message)
        if (message.event == UFFD_EVENT_PAGEFAULT)
            pages_touched(f, message.arg.pagefault.address & ~(PAGE_BYTES - 1));
        else
            books_enter_event(f, &message);
    close_books(f);
}

static bool any_file_has_changed(const struct filler *f)
{
    for (unsigned i = 0; i < FILLER_FEEDS; i++)
        if (f->feeds[i].used && feed_has_changed(&f->feeds[i]))
            return true;
    return false;
}

/* Nothing stays owed to a program that a debugger looks at, nor once one of the two files that have its bytes has changed. */
static void look_around(struct filler *f)
{
    if (!is_traced(f) && !any_file_has_changed(f))
        return;
    open_books(f);
    pages_fill_all(f);
    close_books(f);
}

/* The program has become another by an execve(2) that no hook saw: this memory is nobody's any more. */
static bool is_left_behind(const struct filler *f)
{
    unsigned there;
    struct iovec to = {&there, sizeof there}, from = {(void *)(uintptr_t)&f->process_kept, sizeof there};
    long n = KERNEL(SYS_process_vm_readv, f->program_pid, &to, 1, &from, 1, 0);
    return n == -EFAULT || n == -ESRCH || (n == sizeof there && there != (unsigned)f->process_kept);
}

static void set_state(struct filler *f, int state)
{
    SHARED_STORE(f->state, state);
    KERNEL(SYS_futex, &f->state, FUTEX_WAKE, INT_MAX);
}

/* One wait, and what came of it. False: the end. */
static bool wait_and_serve(struct filler *f)
{
    struct epoll_event event;
    long ready = KERNEL(SYS_epoll_pwait, f->waiting, &event, 1, LOOK_AROUND_MS, NULL, 8);
    if (ready > 0 && event.data.fd == f->program)
        return false;
    if (ready > 0 && event.data.fd == f->bell)
        return !answer_bell(f);
    if (ready <= 0 && is_left_behind(f))
        return false;
    if (ready > 0)
        serve(f);
    else
        look_around(f);
    return true;
}

int filling_run(struct filler *f)
{
    if (!prepare(f)) {
        set_state(f, FILLER_FAILED);
        return 0;
    }
    set_state(f, FILLER_READY);
    while (!SHARED_LOAD(f->stopped) && wait_and_serve(f))
        ;
    return 0;
}
