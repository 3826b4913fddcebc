/*
 * The device nodes that take commands for a disk: character devices beside the disk's own, so that no lock that the
 * program holds on the disk (fcntl(2)) is lost when they are closed, and nothing is written back or read anew.
 */
#ifndef LIBOFFLOAD_NODES_H
#define LIBOFFLOAD_NODES_H

#include "../../core/reasons.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NODE_PATH 512

/* A node as it was opened. One that is made anew, for another device of the same number, is another file. */
struct node {
    dev_t device;
    uint64_t file; /* its number in the file system that /dev is */
};

/*
 * Where sysfs has the block device: "../../devices/.../block/sda". False if it has none, or sysfs is not there. No part
 * of it is looked into: it may be a partition.
 */
bool node_of_disk(dev_t disk, char path[NODE_PATH]);

/* Appends text to the path; false if there is no room. */
bool node_append(char path[NODE_PATH], const char *text);

/*
 * Opens the character device `path` for commands, close-on-exec and high, if it is the one that sysfs has at `place`
 * (written as node_of_disk() does): the descriptor in *fd, and what it is of in *node. Else why not.
 */
enum reason node_open(const char *path, const char *place, int *fd, struct node *node);

/* Whether the descriptor is still of that node: the program may have closed it and been given the number anew. */
bool node_is(int fd, const struct node *node);

bool node_same(const struct node *a, const struct node *b);

#endif
