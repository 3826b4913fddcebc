/*
 * The array engine's lower half: disks that copy by themselves, whatever the commands are called (SCSI EXTENDED COPY,
 * NVMe Copy). Each kind of disk is one file that fills one struct disk_engine; what lies on the disks, and whose the
 * blocks are, is the upper half's business (../array.c).
 *
 * Everything here may run in a hook: system calls only, no allocation, no lock, no library but what the kernel's own
 * headers say of its ioctls.
 */
#ifndef LIBOFFLOAD_DEVICE_H
#define LIBOFFLOAD_DEVICE_H

#include "../../core/reasons.h"
#include "nodes.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A piece of a copy, in bytes from the start of each whole disk; all three multiples of the pair's block. */
struct disk_range {
    uint64_t from, to, n;
};

/* Two disks (or one twice) between which the disks copy. Filled in by open(); the caller's to keep, and to close(). */
struct disk_pair {
    int source, destination; /* private descriptors for commands, close-on-exec and high; equal if it is one disk */
    struct node nodes[2];    /* what these are of, by which they are known again */
    dev_t disks[2];          /* what open() was asked for */
    uint64_t sizes[2];       /* bytes of each disk */

    unsigned block;         /* bytes: offsets and lengths are multiples of it */
    unsigned sector;        /* bytes: the logical block of both disks */
    unsigned ranges;        /* how many ranges one command takes */
    uint64_t range_bytes;   /* bytes one range may have */
    uint64_t command_bytes; /* bytes one command may copy */
    unsigned timeout_ms;    /* of one command; Linux gives a SCSI command no less than 7000 (BLK_MIN_SG_TIMEOUT) */

    unsigned char names[2][32]; /* SCSI: the logical units' as EXTENDED COPY wants them (CSCD descriptors) */
    unsigned list_id;           /* SCSI: how a command is named while it runs (enum scsi_list_id) */
    uint32_t namespace_id;      /* NVMe */
};

struct disk_engine {
    const char *name;

    /*
     * Can the disks with these device numbers (whole disks, no partitions) copy from the first to the second? Asks the
     * disks, which may take a moment. REASON_NONE and a filled pair, or why not and nothing kept open.
     */
    enum reason (*open)(struct disk_pair *pair, dev_t source, dev_t destination);

    /*
     * Has the disks copy the ranges, one command at most: as many ranges as fit it. Returns how many whole ranges are
     * known to be copied, at least one; or a negative errno: perhaps some of it is copied and some not. No signal ends
     * the command: when it returns, the disks are done (but for a disk that has not kept the timeout). -EINVAL if a
     * range does not keep the pair's limits, lies beyond a disk's end, or lies over what another is copied from.
     */
    int (*copy)(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count);

    void (*close)(struct disk_pair *pair);
};

extern const struct disk_engine disk_scsi, disk_nvme;

#endif
