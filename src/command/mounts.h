/* The mounted file systems, as /proc/self/mountinfo has them (proc_pid_mountinfo(5)). Reading it asks no server. */
#ifndef OFFLOAD_MOUNTS_H
#define OFFLOAD_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct mount {
    unsigned id;
    unsigned major, minor;
    const char *root;    /* which directory of the file system is mounted */
    const char *point;   /* where */
    const char *type;    /* as mount(8) calls it, with a subtype: "fuse.sshfs" */
    const char *device;  /* what mount(8) was given, such as a block device */
    const char *options; /* of the file system, separated by commas */
};

struct mounts {
    struct mount *list;
    size_t count;
    char *text; /* what the strings point into */
};

/*
 * Takes the text, changes it and keeps it until mounts_free(). Lines that are no mounts are left out. False, with
 * nothing kept, if memory is short.
 */
bool mounts_parse(char *text, struct mounts *mounts);

/* Those of this process. False if /proc does not tell. */
bool mounts_read(struct mounts *mounts);

void mounts_free(struct mounts *mounts);

/* The mount that a descriptor's file was reached through, or NULL if /proc does not tell. */
const struct mount *mounts_of(const struct mounts *mounts, int fd);

/* The mount that an absolute path without symbolic links lies on, or NULL. */
const struct mount *mounts_at(const struct mounts *mounts, const char *path);

/*
 * The value of a file system's option NAME=VALUE, "" for one without a value, in a buffer of size bytes. False if it
 * is not there or too long.
 */
bool mount_option(const struct mount *mount, const char *name, char *value, size_t size);

#endif
