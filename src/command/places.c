#include "places.h"

#include "command.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WANTED (STATX_BASIC_STATS)

static char *keep(char *text)
{
    if (!text)
        fail(STATUS_FAILED, "out of memory; give the process more of it (ulimit -v)");
    return text;
}

/* What a path leads to, automounts not started; false if there is nothing. */
static bool look_at(const char *path, struct statx *status)
{
    return statx(AT_FDCWD, path, AT_STATX_SYNC_AS_STAT | AT_NO_AUTOMOUNT, WANTED, status) == 0;
}

/* For reading; without touching its time of access where that is ours to say (open(2), O_NOATIME). */
static int open_quietly(const char *path, int flags)
{
    flags |= O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, flags | O_NOATIME);
    return fd < 0 && errno == EPERM ? open(path, flags) : fd;
}

/* To try it would be to write to it. */
static void refuse_disk(const char *which, const char *shown, unsigned mode)
{
    if (S_ISBLK(mode))
        fail(STATUS_FAILED,
             "the %s %s is a disk, and those are not tried beforehand; run the copy under offload -v, which tells "
             "whether the disks made it, and offload doctor tells which disks can",
             which, shown);
}

static void find_source(struct places *p, const char *path)
{
    p->source = keep(strdup(path));
    p->source_shown = name_printable(path);
    if (!look_at(path, &p->source_status))
        fail(STATUS_FAILED, "cannot look at the source %s: %s; name an existing file", p->source_shown,
             strerror(errno));
    if (S_ISDIR(p->source_status.stx_mode))
        fail(STATUS_FAILED, "the source %s is a directory, and copies are of files; name a file in it",
             p->source_shown);
    refuse_disk("source", p->source_shown, p->source_status.stx_mode);
    if (!S_ISREG(p->source_status.stx_mode))
        fail(STATUS_FAILED, "the source %s is not a regular file, and no other is offloaded; name a regular file",
             p->source_shown);
    p->source_fd = open_quietly(path, 0);
    if (p->source_fd < 0)
        fail(STATUS_FAILED, "cannot read the source %s: %s; ask as a user who may copy it", p->source_shown,
             strerror(errno));
}

/* A copier that is given a directory makes a file there of the source's name. */
static char *name_in(const char *directory, const char *source)
{
    char *copy = keep(strdup(source));
    char *path = NULL;
    const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
    if (asprintf(&path, "%s%s%s", directory, slash, basename(copy)) < 0)
        path = NULL;
    free(copy);
    return keep(path);
}

/* Where the destination really lies: a symbolic link is followed, as by open(2). */
static char *directory_of(const char *path, bool exists)
{
    char *real = exists ? realpath(path, NULL) : NULL;
    char *copy = real ? real : keep(strdup(path));
    char *directory = keep(strdup(dirname(copy)));
    free(copy);
    return directory;
}

static void find_existing(struct places *p)
{
    struct stat link;
    p->exists = look_at(p->destination, &p->status);
    if (!p->exists && errno != ENOENT)
        fail(STATUS_FAILED, "cannot look at the destination %s: %s; name a place that can be reached", p->shown,
             strerror(errno));
    if (!p->exists && lstat(p->destination, &link) == 0)
        fail(STATUS_FAILED, "the destination %s is a symbolic link to nothing; name the file that it should lead to",
             p->shown);
    if (p->exists)
        refuse_disk("destination", p->shown, p->status.stx_mode);
    if (p->exists && S_ISREG(p->status.stx_mode))
        p->existing_fd = open_quietly(p->destination, 0);
}

static void find_destination(struct places *p, const char *path)
{
    struct statx status;
    if (!*path)
        fail(STATUS_FAILED, "the destination's name is empty; name a file or a directory");
    bool is_there = look_at(path, &status);
    if (!is_there && path[strlen(path) - 1] == '/' && (errno == ENOENT || errno == ENOTDIR))
        fail(STATUS_FAILED,
             "the destination %s ends in a slash, and is no directory; make the directory, or name a file",
             name_printable(path));
    bool is_directory = is_there && S_ISDIR(status.stx_mode);
    p->destination = is_directory ? name_in(path, p->source) : keep(strdup(path));
    p->shown = name_printable(p->destination);
    find_existing(p);
    if (p->exists && S_ISDIR(p->status.stx_mode))
        fail(STATUS_FAILED, "the destination %s is a directory; name a file", p->shown);
    p->directory = directory_of(p->destination, p->exists);
    p->directory_shown = name_printable(p->directory);
    p->directory_fd = open_quietly(p->directory, O_DIRECTORY);
    /* Files can be made in a directory that may not be read. */
    if (p->directory_fd < 0 && errno == EACCES)
        p->directory_fd = open(p->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (p->directory_fd < 0)
        fail(STATUS_FAILED, "cannot open the destination's directory %s: %s; name one that is there",
             p->directory_shown, strerror(errno));
}

void places_find(struct places *p, const char *source, const char *destination)
{
    *p = (struct places){.existing_fd = -1};
    find_source(p, source);
    find_destination(p, destination);
    if (!mounts_read(&p->mounts))
        return;
    p->source_mount = mounts_of(&p->mounts, p->source_fd);
    p->mount = mounts_of(&p->mounts, p->existing_fd >= 0 ? p->existing_fd : p->directory_fd);
}

void places_free(struct places *p)
{
    close(p->source_fd);
    close(p->directory_fd);
    if (p->existing_fd >= 0)
        close(p->existing_fd);
    mounts_free(&p->mounts);
    free(p->source);
    free(p->source_shown);
    free(p->destination);
    free(p->shown);
    free(p->directory);
    free(p->directory_shown);
}

char *places_real_destination(const struct places *p)
{
    char *directory = realpath(p->directory, NULL);
    char *path = p->exists ? realpath(p->destination, NULL) : NULL;
    if (!p->exists && directory)
        path = name_in(directory, p->destination);
    free(directory);
    return path;
}

bool places_destination_is_mount(const struct places *p)
{
    return p->existing_fd >= 0 && p->mount && p->mount != mounts_of(&p->mounts, p->directory_fd);
}
