#include "reads.h"

#include "copy.h"
#include "frontier.h"
#include "json.h"
#include "mark.h"
#include "settings.h"
#include "syscalls.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* To start the filler and to end it takes as long as some 2 MiB take to be read and compared. */
#define LEAST_LEFT ((off_t)4 << 20)

static struct lazy_files files_of(const struct session *s)
{
    return (struct lazy_files){.source = s->pair.source,
                               .destination = s->pair.destination,
                               .shift = s->shift,
                               .source_state = &s->source,
                               .destination_state = &s->left};
}

/*
 * Whether read(2) would read from the descriptor as it did when the copy began. No hook sees how a number is reused by hand;
 * what it means then stands elsewhere, mostly, and is asked where that is so.
 */
static bool still_reads(const struct session *s)
{
    long flags = KERNEL(SYS_fcntl, s->pair.source, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && !(flags & (O_DIRECT | O_PATH));
}

/* Whether the copy is lazy, or begins to be, at a read from there. */
static bool is_lazy(struct session *s, off_t from)
{
    if (s->lazy.on || s->lazy.refused != REASON_NONE)
        return s->lazy.on;
    const struct lazy_files files = files_of(s);
    if (settings.policy != POLICY_ALWAYS && s->source.size - from < LEAST_LEFT)
        s->lazy.refused = REASON_LAZY_SMALL;
    else if (!s->engine->freezes_source || s->engine->remote || s->direct || !still_reads(s))
        s->lazy.refused = REASON_LAZY_UNFIT;
    else
        lazy_begin(&s->lazy, &files);
    return s->lazy.on;
}

/* How much of n bytes the source has from there on. */
static size_t left_from(const struct session *s, off_t from, size_t n)
{
    off_t left = from < s->source.size ? s->source.size - from : 0;
    return (off_t)n < left ? n : (size_t)left;
}

/* Bytes of a source that a read has by moving the offset behind them, whoever else shares it (fork(2)) and reads on. */
struct claim {
    off_t from;
    size_t n; /* 0: none */
};

/* For read_at: what the number means cannot be read from, and is asked again at each read. */
#define NOWHERE ((off_t)-1)

/* Moves the source's descriptor on by what a read of n bytes would give. */
static struct claim claim(struct session *s, size_t n)
{
    int fd = s->pair.source;
    size_t there = left_from(s, s->read_at, n);
    if (!there) {
        long now = KERNEL(SYS_lseek, fd, 0, SEEK_CUR);
        there = now < 0 ? 0 : left_from(s, now, n);
    }
    long behind = there ? KERNEL(SYS_lseek, fd, there, SEEK_CUR) : -1;
    if (behind < 0)
        return (struct claim){0};
    off_t from = behind - (off_t)there;
    bool reads = from == s->read_at || still_reads(s);
    bool claimed = reads && left_from(s, from, n) == there;
    if (!claimed)
        KERNEL(SYS_lseek, fd, -(off_t)there, SEEK_CUR);
    s->read_at = !reads ? NOWHERE : claimed ? behind : from;
    return claimed ? (struct claim){from, there} : (struct claim){0};
}

/*
 * Makes the read of n bytes that has claimed some. To put the offset back, and leave the read to the program, would undo what
 * others have read since, or have them miss these bytes. What it gives, or 0 if that is nothing: the claim is given up.
 */
static size_t read_claimed(int fd, void *buffer, size_t n, struct claim claimed)
{
    long got = KERNEL(SYS_pread64, fd, buffer, n, claimed.from);
    off_t given = got > 0 ? got : 0;
    /* The file has another size by now. */
    if (given != (off_t)claimed.n)
        KERNEL(SYS_lseek, fd, given - (off_t)claimed.n, SEEK_CUR);
    return (size_t)given;
}

/* Whether the destination has the n bytes from there on, or can be given them now. */
static bool destination_has(struct session *s, off_t from, size_t n)
{
    off_t at = from + s->shift, end = at + (off_t)n;
    return at >= s->mark && at <= s->frontier && (end <= s->frontier || frontier_reach(s, end) == REASON_NONE);
}

static bool read_lazily(struct session *s, void *buffer, size_t n, off_t from)
{
    if (!lazy_pays(buffer, n) || !destination_has(s, from, n) || !is_lazy(s, from))
        return false;
    const struct lazy_files files = files_of(s);
    if (!lazy_read(&s->lazy, &files, buffer, n, from))
        return false;
    /* Asked last: what the read would give now is what the destination has, and what the parts were read from. */
    if (session_source_unchanged(s))
        return true;
    mark_settle(s, REASON_SOURCE_CHANGED);
    return false;
}

/*
 * The program reads up to n bytes from the session's source, at its descriptor's offset, into `buffer`. Returns how many
 * are as good as read, the offset has moved by them; or 0: the read is to be made, for what is claimed if anything is.
 */
static size_t serve(struct session *s, void *buffer, size_t n, struct claim *claimed)
{
    if ((!s->lazy.on && s->lazy.refused != REASON_NONE) || !lazy_pays(buffer, n))
        return 0;
    *claimed = claim(s, n);
    if (!claimed->n || !read_lazily(s, buffer, claimed->n, claimed->from))
        return 0;
    s->tally.reads_elided++;
    return claimed->n;
}

void reads_end(struct session *s, enum reason why)
{
    if (!s->lazy.on)
        return;
    lazy_end(&s->lazy, why);
    if (s->tally.reads_elided && still_reads(s))
        guard_access(s->pair.source);
}

static void visit_end_lazy(struct session *s, const void *why)
{
    reads_end(s, *(const enum reason *)why);
    table_unlock(s);
}

static void end_every(enum reason why)
{
    uint64_t blocked;
    if (!table_enter_running(&blocked))
        return;
    table_each(visit_end_lazy, &why);
    table_leave(blocked);
}

void reads_end_if_killed(void)
{
    if (lazy_is_orphaned())
        end_every(REASON_LAZY_KILLED);
}

/* ---- the calls of copy.h ---- */

size_t copy_read_lazily(int fd, void *buffer, size_t n)
{
    uint64_t blocked;
    struct claim claimed = {0};
    /* What could not lie in memory the kernel refuses, however short the file is. */
    if (n == 0 || !compare_is_memory(buffer, n) || copy_over() || !table_enter_running(&blocked))
        return 0;
    struct session *s = table_find_source(fd);
    size_t served = s ? serve(s, buffer, n < LONGEST_CALL ? n : LONGEST_CALL, &claimed) : 0;
    if (s)
        table_unlock(s);
    if (!served)
        lazy_let_go(buffer, n);
    if (!served && claimed.n) {
        copy_look(fd);
        served = read_claimed(fd, buffer, n, claimed);
    }
    table_leave(blocked);
    return served;
}

void copy_fill_memory(const void *at, size_t n)
{
    uint64_t blocked;
    if (!table_enter_running(&blocked))
        return;
    lazy_let_go(at, n);
    table_leave(blocked);
}

void copy_end_lazy(void)
{
    end_every(REASON_LAZY_ENDED);
}

/* Whether the descriptor is of a process's memory, /proc/PID/mem: the kernel gives an error for what is empty there. */
static bool is_memory(int fd)
{
    char link[JSON_PATH], name[64];
    struct statfs fs;
    if (KERNEL(SYS_fstatfs, fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return false;
    json_path(link, "/proc/self/fd/", (uint64_t)fd, "");
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, link, name, sizeof name);
    /* Not told, or cut off: a doubt. */
    return n <= 4 || n == sizeof name || memcmp(name + n - 4, "/mem", 4) == 0;
}

void copy_look_for_memory(int fd)
{
    /* Where a filter was there from the start nothing is lazy. */
    if (settings.filtered || !is_memory(fd))
        return;
    settings.lazy = false;
    if (copy_running())
        copy_end_lazy();
}
