#include "feed.h"

#include "../core/json.h"
#include "../core/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static void close_fd(int fd)
{
    if (fd >= 0)
        KERNEL(SYS_close, fd);
}

/* Where the file behind the program's descriptor is, if it can be read and is in that state; or -1. */
static int take_place(const struct filler *f, int fd, const struct file_state *state)
{
    char link[JSON_PATH], end[JSON_PATH];
    json_path(end, "/fd/", (uint64_t)fd, "");
    json_path(link, "/proc/", (uint64_t)f->program_in_proc, end);
    long place = KERNEL(SYS_openat, AT_FDCWD, link, O_PATH | O_CLOEXEC);
    if (place < 0)
        return -1;
    json_path(link, "/proc/self/fd/", (uint64_t)place, "");
    if (guard_unchanged((int)place, state) && KERNEL(SYS_faccessat, AT_FDCWD, link, R_OK, 0) == 0)
        return (int)place;
    close_fd((int)place);
    return -1;
}

/* The file at the place, opened by its inode. Who watches it sees that (inotify(7)). */
static int open_place(int place)
{
    char link[JSON_PATH];
    json_path(link, "/proc/self/fd/", (uint64_t)place, "");
    long flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    long fd = KERNEL(SYS_openat, AT_FDCWD, link, flags | O_NOATIME);
    return (int)(fd == -EPERM ? KERNEL(SYS_openat, AT_FDCWD, link, flags) : fd);
}

/* The program's own open file. To be closed at once: a second reference to it keeps its flock(2), for one. */
static int borrow_source(const struct filler *f, const struct feed *feed)
{
    return (int)KERNEL(SYS_pidfd_getfd, f->program, feed->source, 0);
}

bool feed_take(const struct filler *f, struct feed *feed)
{
    feed->source_place = take_place(f, feed->source, &feed->source_state);
    feed->destination_place = take_place(f, feed->destination, &feed->destination_state);
    int source = borrow_source(f, feed);
    bool good = source >= 0 && feed->source_place >= 0 && feed->destination_place >= 0;
    close_fd(source);
    if (!good)
        feed_drop(feed);
    return good;
}

void feed_drop(struct feed *feed)
{
    close_fd(feed->source_place);
    close_fd(feed->destination_place);
    feed->source_place = feed->destination_place = -1;
}

bool feed_has_changed(const struct feed *feed)
{
    return !guard_unchanged(feed->source_place, &feed->source_state) ||
           !guard_unchanged(feed->destination_place, &feed->destination_state);
}

/*
 * Puts a mapping in the window's place. Where there may be no more mappings (vm.max_map_count) the kernel refuses one that takes
 * another's place, too: then the window is given up first, and is elsewhere.
 */
static bool set_window(struct filler *f, int protection, int flags, int fd, off_t from)
{
    for (int tries = 0; tries < 2; tries++) {
        long at = KERNEL(SYS_mmap, f->window, FILLER_WINDOW, protection, flags | (f->window ? MAP_FIXED : 0), fd, from);
        if (at >= 0 || at <= -4096) {
            f->window = (char *)at;
            return true;
        }
        if (f->window)
            KERNEL(SYS_munmap, f->window, FILLER_WINDOW);
        f->window = NULL;
    }
    return false;
}

/*
 * Reads by way of a mapping, which the kernel reads for us: where a load would end in SIGBUS, it gives fewer bytes. The
 * mapping is gone again before anybody can look at it at leisure (/proc/PID/maps).
 */
static bool read_mapped(struct filler *f, int fd, size_t n, off_t from)
{
    off_t within = from & (off_t)(PAGE_BYTES - 1);
    /* All of the window, so that no mapping is cut in two. */
    bool mapped = set_window(f, PROT_READ, MAP_PRIVATE, fd, from - within);
    struct iovec here = {f->bytes, n}, there = {f->window + within, n};
    bool done = mapped && KERNEL(SYS_process_vm_readv, KERNEL(SYS_getpid), &here, 1, &there, 1, 0) == (long)n;
    set_window(f, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return done;
}

/*
 * Whether the file's bytes are those of that state. What was renamed, unlinked or given other rights has them, although its
 * time of change is another: that is looked at only where the other file is of no more use (`strictly` not set), since a
 * time of modification can be set back.
 */
static bool has_bytes_of(int fd, const struct file_state *was, bool strictly)
{
    struct file_state is;
    return guard_look(fd, &is) && guard_same_file(&is, was) && is.size == was->size &&
           guard_same_time(is.modified, was->modified) && (!strictly || guard_same_time(is.changed, was->changed));
}

/* Reads what the file has there if it is as it was, before and after. Closes it. */
static bool read_unchanged(struct filler *f, int fd, const struct file_state *was, bool strictly, size_t n, off_t from)
{
    bool done =
        fd >= 0 && has_bytes_of(fd, was, strictly) && read_mapped(f, fd, n, from) && has_bytes_of(fd, was, strictly);
    close_fd(fd);
    return done;
}

bool feed_fetch(struct filler *f, const struct feed *feed, size_t n, off_t from)
{
    const struct file_state *source = &feed->source_state, *destination = &feed->destination_state;
    off_t at = from + feed->shift;
    return read_unchanged(f, borrow_source(f, feed), source, true, n, from) ||
           read_unchanged(f, open_place(feed->destination_place), destination, true, n, at) ||
           read_unchanged(f, open_place(feed->source_place), source, false, n, from) ||
           read_unchanged(f, open_place(feed->destination_place), destination, false, n, at);
}
