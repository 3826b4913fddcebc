/*
 * The core's door: what the hooks tell it and ask of it. Behind it: write.c (the program's writes), reads.c (lazy reads), kernelcopies.c
 * and spliced.c (copies that it has the kernel make), settle.c (how copies end), owncalls.c (what only the report wants to know),
 * copy.c (the rest).
 *
 * Every call here is safe in signal handlers and threads, leaves errno alone, and for a process in which no copy was
 * recognised costs a few instructions and no system call; but for mappings of files and, where lazy buffers are asked for,
 * opened ones, which are looked at.
 */
#ifndef LIBOFFLOAD_COPY_H
#define LIBOFFLOAD_COPY_H

#include "exact.h"
#include "owned.h"
#include "piped.h"
#include "recogniser.h"
#include "session.h"
#include "settings.h"
#include "table.h"
#include "underway.h"
#include "unseen.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The calls below with the work in them; the inline ones decide whether they are needed. */
void copy_settle_file_of(int fd, bool changes);
void copy_settle_file_at(int directory, const char *path, int flags, bool changes);
void copy_settle_for_seek(int fd, off_t offset, int whence);
void copy_settle_every(void);
void copy_settle_every_stream(void);
void copy_close_from(unsigned first, unsigned last);
void copy_count_written(int fd, size_t n);
void copy_fill_memory(const void *at, size_t n);
void copy_end_lazy(void);
void copy_look_for_memory(int fd);

/* Whether any copy is known to the process. */
static inline bool copy_watching(void)
{
    return __atomic_load_n(&table_taken, __ATOMIC_RELAXED) != 0;
}

/* Whether the library has run ahead of the program anywhere. */
static inline bool copy_running(void)
{
    return __atomic_load_n(&sessions_running, __ATOMIC_RELAXED) != 0;
}

/*
 * Asks whether a read(2) need be made, where buffers may be lazy and a copy runs. Returns the bytes that it would have given, by
 * which the descriptor's offset has moved and which will be in the buffer when somebody looks; or 0: call read(2).
 */
size_t copy_read_lazily(int fd, void *buffer, size_t n);

/*
 * Tells that something is about to be done to n bytes of memory from `at` on that lazy buffers do not notice or do not
 * allow: protecting, moving, replacing. What is lazy there is filled.
 */
static inline void copy_memory_changing(const void *at, size_t n)
{
    if (settings.lazy && copy_running())
        copy_fill_memory(at, n);
}

/* Tells that the process is about to be what lazy buffers are not for: one of several threads, or not to be looked into. */
static inline void copy_lazy_ending(void)
{
    if (settings.lazy && copy_running())
        copy_end_lazy();
}

/* Tells that a read(2) of `fd` into `buffer` gave n bytes, or failed. Returns n. */
static inline ssize_t copy_read(int fd, const void *buffer, ssize_t n)
{
    if (n > 0)
        recogniser_note(fd, buffer, (size_t)n);
    return n;
}

/* As copy_read(), for pread(2). */
static inline ssize_t copy_read_at(int fd, const void *buffer, ssize_t n, off_t at)
{
    if (n > 0)
        recogniser_note_at(fd, buffer, (size_t)n, at);
    return n;
}

/* Whether copy_write() is to be asked at all. */
static inline bool copy_may_serve(int fd, const void *buffer, size_t n)
{
    return copy_watching() || ((recogniser_noted(buffer) || recogniser_may_guess(n)) && !recogniser_is_irregular(fd));
}

/* Likewise for a write of several pieces, the list of which may lie in memory that is not there. */
static inline bool copy_may_serve_pieces(int fd)
{
    return copy_watching() || (recogniser_newest()->length && !recogniser_is_irregular(fd)) ||
           (recogniser_may_guess(GUESS_LEAST) && !recogniser_is_irregular(fd));
}

/*
 * Asks whether the n bytes that a write(2) is about to put at the descriptor's offset are there already. True: they
 * are, the offset has moved, write(2) must not be called and would have returned n.
 */
bool copy_write(int fd, const void *buffer, size_t n);

/* As copy_write(), for pwrite(2): the bytes are about to be put at `at`, and no offset moves. */
bool copy_write_at(int fd, const void *buffer, size_t n, off_t at);

/*
 * As copy_write() and copy_write_at(), for writev(2), pwritev(2): at the descriptor's offset if `at` is -1. Returns the
 * bytes that are there, or 0: make the call.
 */
size_t copy_write_pieces(int fd, const struct iovec *pieces, int count, off_t at);

/*
 * As copy_write_pieces(), for what a stdio stream is about to write to its descriptor. The stream is written to alone,
 * the process has one thread, and what libc does with the stream otherwise writes at the descriptor's offset, or is told
 * by copy_look() before.
 */
size_t copy_write_stream(int fd, const struct iovec *pieces, int count);

/* Tells that a read of several pieces, as readv(2) or, if `at` is not -1, preadv(2) makes it, gave n bytes. Returns n. */
ssize_t copy_read_pieces(int fd, const struct iovec *pieces, int count, ssize_t n, off_t at);

/* Tells that `fd` is about to be mapped: what runs ahead in its file ends, and nothing will any more. */
void copy_mapping(int fd);

/*
 * Tells that a read, or (`changes`) a write, of `fd` is about to be left to be made in the background (aio(7)), at a time that no
 * hook sees: as copy_mapping(), but a copy whose source is only read goes on.
 */
void copy_leaving_for_later(int fd, bool changes);

/* Whether nothing is to be offloaded any more: the process is at its end, or has installed a seccomp filter. */
bool copy_over(void);

/* The same, but that before the settings are read what no hook sees later is noted. */
bool copy_over_for_good(void);

/*
 * Tells that another process comes to have what the descriptor means, or a number that is not remembered does. Once there
 * may be a filter, makes no call for it.
 */
void copy_given_away(int fd);

/*
 * Tells that some memory of the program's is about to be made such that it may not be read, or that a page of it may be
 * cached and not be read (shared memory with a guard, madvise(2)).
 */
static inline void copy_forbidding(void)
{
    compare_what_may_be_forbidden();
}

/* Tells that n bytes of `fd` were mapped at that address. */
void copy_mapped(int fd, const void *at, size_t n, off_t from);

/* Tells that the program's own write to `fd` gave n bytes, or failed. `counted`: copy_writing()'s word. Returns n. */
static inline ssize_t copy_wrote(int fd, ssize_t n, bool counted)
{
    if (n > 0 && copy_watching())
        copy_count_written(fd, (size_t)n);
    underway_end(counted);
    return n;
}

/*
 * Asks for a copy of up to n bytes from `in`, at *from or, if that is NULL, at its offset, to the offset of `out`, as
 * sendfile(2) does it: offsets and *from move as there. Returns the bytes copied, or 0: nothing has happened, make
 * the call. *rest is what the call would have copied besides: make it for so many bytes more, if there are any.
 */
size_t copy_between(int out, int in, off_t *from, size_t n, size_t *rest);

/* A call of copy_file_range(2) without flags, each offset at a place of the program's or, if that is NULL, the descriptor's. */
struct copied_range {
    int in, out;
    off_t *from, *to;
    size_t n;
    size_t rest; /* filled in, as by copy_between() */
};

/* As copy_between(), for that call. Serves what the kernel would not offload by itself, and nothing else. */
size_t copy_range(struct copied_range *asked);

/* The work of the call after it. */
void copy_note_spliced(int in, const off_t *from, int pipe, size_t n);

/*
 * Tells that splice(2) gave n bytes, or failed, from `in` to `pipe`, either of which may be anything. `from` is the
 * call's pointer to its offset in `in`, which has moved, or NULL. Returns n.
 */
static inline ssize_t copy_spliced(int in, const off_t *from, int pipe, ssize_t n)
{
    if (n > 0 && owned_holds_pipe(pipe) && *underway_single && !recogniser_is_irregular(in))
        copy_note_spliced(in, from, pipe, (size_t)n);
    return n;
}

/* Whether copy_splice() is to be asked at all. */
static inline bool copy_may_splice(int pipe, int out)
{
    return owned_holds_pipe(pipe) && piped.n && *underway_single && !recogniser_is_irregular(out);
}

/*
 * Asks for what a splice(2) of up to n bytes is about to do, from `pipe` to `out`, at *to or, if that is NULL, at its
 * offset. Returns the bytes moved, or a negative errno: pipe, file, offsets and *to are as after the call, which must
 * not be made. 0: nothing has happened, make it.
 */
long copy_splice(int pipe, int out, off_t *to, size_t n, unsigned flags);

/*
 * For the report alone: tells that the program is about to have the kernel copy from `in` to `out` by a call of its own
 * whose bytes copy_wrote() will be told; and that it has had n bytes (0: all from there on) cloned by one.
 */
void copy_note_own_call(int in, int out);
void copy_note_own_clone(int in, off_t from, int out, off_t to, size_t n);

/*
 * Tells that the program is about to look at the file behind `fd` otherwise than by the above: if the library has run
 * ahead in that file, it is cut back first.
 */
static inline void copy_look(int fd)
{
    if (copy_running())
        copy_settle_file_of(fd, false);
}

/*
 * As copy_look(), for an lseek(2), if it needs to be: to the end, or where libc writes unseen at the offset that it moves, which would
 * be elsewhere than where a copy to a stream stands.
 */
static inline void copy_seeking(int fd, off_t offset, int whence)
{
    if (copy_running())
        copy_settle_for_seek(fd, offset, whence);
}

/* As copy_look(), for what may change the file: a copy whose source it is ends too. */
static inline void copy_settle(int fd)
{
    if (copy_running())
        copy_settle_file_of(fd, true);
}

/* As copy_settle(), for a call that will now change what `fd` holds. What it returns is for copy_wrote(), or copy_changed(). */
static inline bool copy_writing(int fd)
{
    bool counted = underway_begin(fd);
    copy_settle(fd);
    return counted;
}

/* Tells that the call for which copy_writing() was asked has given this result, which is no count of bytes. Returns it. */
static inline int copy_changed(int result, bool counted)
{
    underway_end(counted);
    return result;
}

/* As copy_look(), for the file that a path leads to, with openat(2)'s directory and fstatat(2)'s flags. */
static inline void copy_settle_path(int directory, const char *path, int flags)
{
    if (copy_running())
        copy_settle_file_at(directory, path, flags, false);
}

/* As copy_settle(), for the file that a path leads to. */
static inline void copy_changing_path(const char *path)
{
    if (copy_running())
        copy_settle_file_at(AT_FDCWD, path, 0, true);
}

/*
 * As copy_settle_path(), for what sets a file's times, or (path NULL) a descriptor's: what was read of it until now is not
 * to be read once more by us, which would move the time of access that the program has set.
 */
static inline void copy_setting_times(int directory, const char *path, int flags)
{
    if (copy_running())
        copy_settle_file_at(directory, path, flags, true);
    recogniser_forget_every();
}

/* As copy_settle(), for all files: before anything by which another process comes to hold what this one has open. */
static inline void copy_settle_all(void)
{
    if (copy_running())
        copy_settle_every();
}

/*
 * Tells that a child is about to be started, which has all that the process has open: nothing is its own any more, and every copy is
 * settled.
 */
void copy_handing_over(void);

/* Ends the copies that streams write: before there may be a thread, which may use them while another one settles. */
static inline void copy_settle_streams(void)
{
    if (copy_running())
        copy_settle_every_stream();
}

/* Tells that `fd` was just opened by this process. Returns fd. */
static inline int copy_opened(int fd)
{
    if (fd >= 0) {
        recogniser_forget(fd);
        owned_set(fd, true);
        copy_look(fd);
        if (settings.lazy && !copy_over())
            copy_look_for_memory(fd);
    }
    return fd;
}

/* Tells that pipe(2) made these two ends, if `result` is 0. Returns it. */
static inline int copy_made_pipe(const int ends[2], int result)
{
    for (int i = 0; result == 0 && i < 2; i++) {
        copy_opened(ends[i]);
        owned_set_pipe(ends[i]);
    }
    return result;
}

/* Tells that `fd` was just made to mean what `from` means. Returns fd. */
static inline int copy_duplicated(int from, int fd)
{
    if (fd >= 0) {
        recogniser_forget(fd);
        owned_set(fd, owned_holds(from));
        /* Nor is what a number leads to that is not remembered, by which it may be handed on. */
        if (fd >= OWNED_RANGE)
            copy_given_away(from);
        if (owned_holds_pipe(from))
            owned_set(from, false);
        copy_look(fd);
    }
    return fd;
}

/* Tells that `fd`, if it is not negative, has come to mean what another process, or another number, means too. */
static inline void copy_received(int fd)
{
    if (fd < 0)
        return;
    recogniser_forget(fd);
    owned_set(fd, false);
    copy_settle(fd);
}

/* Tells that the descriptors from `first` to `last` are about to be closed: their copies end and are reported. */
static inline void copy_closing(int first, int last)
{
    if (first == last) {
        recogniser_forget(first);
        owned_set(first, false);
    } else {
        owned_forget_range(first, last);
    }
    if (copy_watching())
        copy_close_from((unsigned)first, (unsigned)last);
}

/*
 * Nothing more is to be offloaded in this process: it runs its last handlers, or becomes another program. Every copy is settled
 * and reported, and none is begun any more. A child of vfork() ends nothing. What is finished already costs no system call.
 */
void copy_finish(void);

/*
 * As copy_finish(), and also where no copy is known yet: the library comes to its end before the process does, or another process
 * comes to close this one's descriptors. Costs no system call then.
 */
void copy_finish_for_good(void);

/*
 * As copy_finish(), where threads of the process come to have tables of descriptors of their own: one number then means a file to
 * one thread and another to the next.
 */
void copy_finish_for_tables(void);

/*
 * As copy_finish(), where the process is about to forbid itself system calls: from now on the library makes none. Nothing more is
 * offloaded then in the parent of a child of vfork() that does so.
 */
void copy_finish_for_filter(void);

#endif
