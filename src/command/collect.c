#include "collect.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* No record is longer: three names of PATH_MAX, each byte as \u00xx and in hexadecimal, and the rest. */
#define LINE_MAX_BYTES ((size_t)256 << 10)
/* Room that a new file must find, and that is kept ahead of those who write: what finds none is lost without a word. */
#define ROOM (64 << 10)
/* So much is read before its room is given back. */
#define GIVE_BACK (1 << 20)

/* ---- the file ---- */

int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(fd);
    return high;
}

/* Sets room aside from there on. False if there is none; a file system that cannot set any aside has it. */
static bool keep_room(int fd, off_t from)
{
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, from, ROOM) == 0 || (errno != ENOSPC && errno != EDQUOT);
}

static bool make_in(struct collect *c, const char *directory)
{
    if (!directory || *directory != '/')
        return false;
    int n = snprintf(c->path, sizeof c->path, "%s/offload.XXXXXX", directory);
    if (n < 0 || (size_t)n >= sizeof c->path) {
        errno = ENAMETOOLONG;
        return false;
    }
    /* Mode 0600, by mkstemp(3) itself. */
    int fd = mkostemp(c->path, O_CLOEXEC | O_APPEND);
    if (fd >= 0 && !keep_room(fd, 0)) {
        int error = errno;
        unlink(c->path);
        close(fd);
        errno = error;
        return false;
    }
    c->file = above_standard(fd);
    return c->file >= 0;
}

static bool watch(struct collect *c)
{
    struct stat status;
    c->notice = above_standard(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (fstat(c->file, &status) < 0)
        return false;
    c->device = status.st_dev;
    c->inode = status.st_ino;
    /* Where there are no more inotify instances to be had, the file is read at the end only. */
    if (c->notice >= 0 && inotify_add_watch(c->notice, c->path, IN_MODIFY) < 0) {
        close(c->notice);
        c->notice = -1;
    }
    return true;
}

/* Only what was made here: the name may mean another file by now. */
static void remove_file(const struct collect *c)
{
    struct stat now;
    if (lstat(c->path, &now) == 0 && now.st_dev == c->device && now.st_ino == c->inode)
        unlink(c->path);
}

static const struct collect *to_be_removed;

static void remove_now(void)
{
    if (to_be_removed)
        remove_file(to_be_removed);
    to_be_removed = NULL;
}

static bool remove_at_exit(const struct collect *c)
{
    to_be_removed = c;
    return atexit(remove_now) == 0;
}

bool collect_open(struct collect *collect, collect_use *use, void *what)
{
    const char *const directories[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
    collect->use = use;
    collect->what = what;
    collect->line = malloc(LINE_MAX_BYTES + 1);
    if (!collect->line)
        return false;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (make_in(collect, directories[i]))
            return watch(collect) && remove_at_exit(collect);
    return false;
}

int collect_make_another(const struct collect *collect)
{
    char path[sizeof collect->path];
    stpcpy(path, collect->path);
    memset(path + strlen(path) - strlen("XXXXXX"), 'X', strlen("XXXXXX"));
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return above_standard(fd);
}

/* ---- lines ---- */

/*
 * In one write(2), since others may write to the same file at the same time (O_APPEND). As in the library, a line that
 * cannot be written is lost.
 */
static void hand_on(struct collect *c, const char *line, size_t n)
{
    for (size_t i = 0; i < sizeof c->forward / sizeof *c->forward; i++)
        if (c->forward[i] >= 0 && write(c->forward[i], line, n) < 0)
            c->not_handed_on++;
}

static void use_line(struct collect *c)
{
    struct record record;
    if (c->too_long || !record_read(&record, c->line, c->length)) {
        c->unusable++;
        return;
    }
    c->line[c->length] = '\n';
    if (!record.progress || c->forward_progress)
        hand_on(c, c->line, c->length + 1);
    c->use(c->what, &record);
    record_free(&record);
}

/* Adds bytes of a line; one that is too long is not kept. */
static void add_bytes(struct collect *c, const char *bytes, size_t n)
{
    if (c->length + n > LINE_MAX_BYTES)
        c->too_long = true;
    if (c->too_long)
        return;
    memcpy(c->line + c->length, bytes, n);
    c->length += n;
}

static void split(struct collect *c, const char *bytes, size_t n)
{
    while (n) {
        const char *end = memchr(bytes, '\n', n);
        size_t part = end ? (size_t)(end - bytes) : n;
        add_bytes(c, bytes, part);
        if (!end)
            return;
        use_line(c);
        c->length = 0;
        c->too_long = false;
        bytes += part + 1;
        n -= part + 1;
    }
}

/* What was read need not take room any more: a command may run for months. */
static void give_back(const struct collect *c, off_t before)
{
    if (c->offset / GIVE_BACK != before / GIVE_BACK)
        fallocate(c->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, c->offset);
}

/* The end of what is to be read now: more may come faster than it is read. */
static off_t end_of_file(struct collect *c)
{
    struct stat now;
    if (fstat(c->file, &now) < 0)
        return c->offset;
    /* The program found the file and cut it. */
    if (now.st_size < c->offset) {
        c->offset = now.st_size;
        c->unusable++;
    }
    return now.st_size;
}

static void drain_notices(const struct collect *c)
{
    char events[4096];
    while (c->notice >= 0 && read(c->notice, events, sizeof events) > 0)
        ;
}

void collect_read(struct collect *collect)
{
    char bytes[16384];
    ssize_t n;
    drain_notices(collect);
    off_t end = end_of_file(collect);
    off_t before = collect->offset;
    while (collect->offset < end && (n = pread(collect->file, bytes, sizeof bytes, collect->offset)) > 0) {
        collect->offset += n;
        split(collect, bytes, (size_t)n);
    }
    give_back(collect, before);
    /* Only where something has come: this is a change of the file too, of which we are told. */
    if (collect->offset > before)
        collect->short_of_room |= !keep_room(collect->file, end);
}

/* ---- the end ---- */

void collect_close(struct collect *collect)
{
    collect_read(collect);
    collect->unusable += collect->length > 0 || collect->too_long;
    remove_now();
    close(collect->file);
    if (collect->notice >= 0)
        close(collect->notice);
    free(collect->line);
}
