/*
 * NVMe drives that copy: the command Copy, within one namespace, from several ranges to one place.
 *
 * Commands go to the namespace's generic node (/dev/ng0n1, since Linux 5.13), whose ioctl returns when the command is
 * over (nvme_execute_rq() in drivers/nvme/host/core.c), and which can be closed without a loss of the locks that the
 * program may have on the disk.
 */
#include "device.h"

#include "../../core/syscalls.h"
#include "nodes.h"
#include "nvme_parameters.h"
#include "ranges.h"
#include "unable.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

/* Ranges of one command at most, of which the list lies on the stack: 2 KB. */
#define RANGES 64

/* As for SCSI disks: what holds up whoever waits for a command's end, and how long it may take. */
#define LONGEST_COMMAND ((uint64_t)256 << 20)
#define ASKING_MS 10000
#define COPYING_MS 60000

#define OPCODE_IDENTIFY 0x06
#define OPCODE_COPY 0x19

enum { IDENTIFY_NAMESPACE = 0, IDENTIFY_CONTROLLER = 1 };

/* ---- what is asked ---- */

/* The answer of a drive: 0, a status of the drive above it, or a negative errno. */
static long identify(int fd, uint32_t what, uint32_t namespace_id, uint8_t bytes[NVME_IDENTIFY_BYTES])
{
    struct nvme_admin_cmd command = {
        .opcode = OPCODE_IDENTIFY,
        .nsid = namespace_id,
        .addr = (uintptr_t)bytes,
        .data_len = NVME_IDENTIFY_BYTES,
        .cdw10 = what,
        .timeout_ms = ASKING_MS,
    };
    return KERNEL(SYS_ioctl, fd, NVME_IOCTL_ADMIN_CMD, &command);
}

static enum reason reason_of(long error)
{
    return error == -EPERM || error == -EACCES ? REASON_DISK_FORBIDDEN : REASON_DISK_FAILED;
}

static enum reason ask_controller(int fd)
{
    uint8_t bytes[NVME_IDENTIFY_BYTES];
    long error = identify(fd, IDENTIFY_CONTROLLER, 0, bytes);
    if (error)
        return reason_of(error);
    return nvme_controller_copies(bytes, sizeof bytes) ? REASON_NONE : REASON_DISK_CANNOT;
}

static enum reason ask_namespace(int fd, uint32_t namespace_id, struct nvme_limits *limits)
{
    uint8_t bytes[NVME_IDENTIFY_BYTES];
    long error = identify(fd, IDENTIFY_NAMESPACE, namespace_id, bytes);
    if (error)
        return reason_of(error);
    return nvme_parse_namespace(bytes, sizeof bytes, limits) ? REASON_NONE : REASON_DISK_FAILED;
}

/* ---- copying ---- */

/* Of the ranges that fit one command, those that follow each other in the destination, which is one place. */
static unsigned in_one_place(const struct disk_range *ranges, unsigned count)
{
    unsigned n = 1;
    while (n < count && ranges[n].to == ranges[n - 1].to + ranges[n - 1].n)
        n++;
    return n;
}

static long send_copy(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    uint8_t list[RANGES * NVME_RANGE_BYTES];
    uint64_t to = ranges[0].to / pair->sector;
    for (unsigned i = 0; i < count; i++) {
        struct nvme_range range = {ranges[i].from / pair->sector, (uint32_t)(ranges[i].n / pair->sector)};
        nvme_build_range(list + (size_t)i * NVME_RANGE_BYTES, &range);
    }
    struct nvme_passthru_cmd command = {
        .opcode = OPCODE_COPY,
        .nsid = pair->namespace_id,
        .addr = (uintptr_t)list,
        .data_len = count * NVME_RANGE_BYTES,
        .cdw10 = (uint32_t)to,
        .cdw11 = (uint32_t)(to >> 32),
        .cdw12 = count - 1, /* 0's based; descriptor format 0 */
        .timeout_ms = pair->timeout_ms,
    };
    return KERNEL(SYS_ioctl, pair->destination, NVME_IOCTL_IO_CMD, &command);
}

/* Status of the drive (Base figure 94), without its bits "more" and "do not retry": it does not have the command so. */
static bool is_refusal(long status)
{
    long code = status & 0x7ff;
    return code == 0x001 || code == 0x002 || code == 0x085;
}

static int copy(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    unsigned fit = ranges_fit(pair, ranges, count);
    if (!fit)
        return -EINVAL;
    if (!node_is(pair->destination, &pair->nodes[1]))
        return -EBADF;
    fit = in_one_place(ranges, fit);
    long status = send_copy(pair, ranges, fit);
    if (is_refusal(status))
        unable_remember(pair->disks[0], pair->disks[1], REASON_DISK_CANNOT);
    return status > 0 ? -EIO : status < 0 ? (int)status : (int)fit;
}

/* ---- can it? ---- */

#define NAME "/nvme"

/* Where in its place in sysfs the name of a namespace begins, "/nvme0n1"; NULL if it is a partition or none at all. */
static char *namespace_in(char *place)
{
    char *name = strrchr(place, '/');
    if (!name || strncmp(name, NAME, strlen(NAME)) != 0)
        return NULL;
    const char *numbers = name + strlen(NAME);
    size_t controller = strspn(numbers, "0123456789");
    bool whole = numbers[controller] == 'n' && strspn(numbers, "0123456789n") == strlen(numbers);
    return controller && whole ? name : NULL;
}

/* "../../devices/.../nvme0/nvme0n1" is the disk's place, "../../devices/.../nvme0/ng0n1" that of its generic node. */
static enum reason open_node(dev_t disk, int *fd, struct node *node)
{
    char place[NODE_PATH], path[NODE_PATH] = "/dev/ng";
    char *name = node_of_disk(disk, place) ? namespace_in(place) : NULL;
    if (!name || !node_append(path, name + strlen(NAME)))
        return REASON_DISK_CANNOT;
    *name = '\0';
    return node_append(place, path + strlen("/dev")) ? node_open(path, place, fd, node) : REASON_DISK_CANNOT;
}

static bool is_namespace(dev_t disk)
{
    char place[NODE_PATH];
    return node_of_disk(disk, place) && namespace_in(place);
}

static enum reason limit(struct disk_pair *pair, const struct nvme_limits *limits)
{
    uint64_t command = (uint64_t)limits->command_blocks * limits->block;
    if (!limits->range_blocks || !limits->command_blocks || !limits->writable)
        return REASON_DISK_CANNOT;
    if (!limits->plain)
        return REASON_DISK_FORMAT;
    pair->block = pair->sector = limits->block;
    pair->sizes[0] = pair->sizes[1] = limits->blocks * limits->block;
    pair->command_bytes = command < LONGEST_COMMAND ? command : LONGEST_COMMAND;
    pair->range_bytes = (uint64_t)limits->range_blocks * limits->block;
    if (pair->range_bytes > pair->command_bytes)
        pair->range_bytes = pair->command_bytes;
    pair->ranges = limits->ranges < RANGES ? limits->ranges : RANGES;
    pair->timeout_ms = COPYING_MS;
    return REASON_NONE;
}

static enum reason ask(struct disk_pair *pair)
{
    struct nvme_limits limits;
    long id = KERNEL(SYS_ioctl, pair->source, NVME_IOCTL_ID);
    if (id <= 0)
        return REASON_DISK_FAILED;
    pair->namespace_id = (uint32_t)id;
    enum reason why = ask_controller(pair->source);
    if (why == REASON_NONE)
        why = ask_namespace(pair->source, pair->namespace_id, &limits);
    return why == REASON_NONE ? limit(pair, &limits) : why;
}

static void close_pair(struct disk_pair *pair)
{
    if (pair->source >= 0 && node_is(pair->source, &pair->nodes[0]))
        KERNEL(SYS_close, pair->source);
    pair->source = pair->destination = -1;
}

/* What is not a namespace at all is not remembered: it may be a disk of another kind. */
static enum reason open_disk(struct disk_pair *pair)
{
    enum reason why = open_node(pair->disks[0], &pair->source, &pair->nodes[0]);
    if (why != REASON_NONE)
        return why;
    pair->destination = pair->source;
    pair->nodes[1] = pair->nodes[0];
    why = ask(pair);
    if (why == REASON_NONE)
        return REASON_NONE;
    close_pair(pair);
    unable_remember(pair->disks[0], pair->disks[1], why);
    return why;
}

static enum reason open_pair(struct disk_pair *pair, dev_t source, dev_t destination)
{
    enum reason why = unable_why(source, destination);
    if (why != REASON_NONE)
        return why;
    *pair = (struct disk_pair){.source = -1, .destination = -1, .disks = {source, destination}};
    if (source == destination)
        return open_disk(pair);
    return is_namespace(source) && is_namespace(destination) ? REASON_DISKS_APART : REASON_DISK_CANNOT;
}

const struct disk_engine disk_nvme = {
    .name = "nvme",
    .open = open_pair,
    .copy = copy,
    .close = close_pair,
};
