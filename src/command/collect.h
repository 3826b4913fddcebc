/*
 * The file of records: the library appends a line to it for each copy that a process makes (OFFLOAD_COLLECT), and the
 * command reads it as it grows.
 */
#ifndef OFFLOAD_COLLECT_H
#define OFFLOAD_COLLECT_H

#include "record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is done with each record that was read; `what` is the caller's. */
typedef void collect_use(void *what, const struct record *record);

struct collect {
    char path[4096];
    int file;   /* both sides' file */
    int notice; /* readable when the file has changed (inotify(7)) */
    dev_t device;
    ino_t inode;
    off_t offset; /* what lies before it was read */
    char *line;   /* the start of a line whose end has not come yet */
    size_t length;
    bool too_long;      /* the line is skipped up to its end */
    uint64_t unusable;  /* lines that were no records */
    bool short_of_room; /* there was none for some time: lines may be missing */
    uint64_t not_handed_on;
    int forward[2]; /* files that the records are handed on to, or -1 */
    bool forward_progress;
    collect_use *use;
    void *what;
};

/*
 * Makes the private file, in the first of $XDG_RUNTIME_DIR, $TMPDIR and /tmp that takes one, and sees to it that
 * exit(3) removes it. False if none does; errno says why the last one did not, and `path` what it was. What the file is
 * handed on to is set by the caller, before or after. There is one such file in a process.
 */
bool collect_open(struct collect *collect, collect_use *use, void *what);

/* A file without a name in the directory of the private file, for what the caller keeps; -1 with errno. */
int collect_make_another(const struct collect *collect);

/* Reads what has been added since, and calls `use` for each record. */
void collect_read(struct collect *collect);

/* Reads the rest, counts a line that has no end, and removes the file. */
void collect_close(struct collect *collect);

/* Moves a descriptor above the standard three, closed on exec, which may not have been open; -1 stays -1. */
int above_standard(int fd);

#endif
