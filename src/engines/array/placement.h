/*
 * Where on a disk a block device lies: a partition, or a linear mapping of the device mapper (LVM) on a disk, a partition
 * or another such. Everything else (RAID, encryption, snapshots, several paths, loop devices) puts the bytes to places
 * that only its driver knows.
 */
#ifndef LIBOFFLOAD_PLACEMENT_H
#define LIBOFFLOAD_PLACEMENT_H

#include "../../core/reasons.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Pieces that a device may lie in. */
#define PLACEMENT_PARTS 16

/* In bytes: of the device from `at` on; of the disk from `on_disk` on. */
struct placement_part {
    uint64_t at, n, on_disk;
};

struct placement {
    dev_t disk; /* whole, with a driver of its own */
    /*
     * A table of the device mapper leads there, which can be exchanged while a file system on it is mounted. A partition that
     * is open can neither go nor start elsewhere (bdev_del_partition(), bdev_resize_partition() in block/partitions/core.c).
     */
    bool movable;
    unsigned count;
    struct placement_part parts[PLACEMENT_PARTS]; /* in order, all of the device */
};

/* Finds it. REASON_NONE, or NOT_A_DISK; the placement then says nothing. For a process of one thread, as root. */
enum reason placement_find(dev_t device, struct placement *placement);

/* The place on the disk of the device's byte at `at`; *n: how many bytes follow it there, 0 if it has no such byte. */
uint64_t placement_of(const struct placement *placement, uint64_t at, uint64_t *n);

bool placement_same(const struct placement *a, const struct placement *b);

/* Whether the kernel drives the disk as a SCSI disk, or as an NVMe drive's namespace. */
bool placement_is_scsi(dev_t disk);
bool placement_is_nvme(dev_t disk);

#endif
