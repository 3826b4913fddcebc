#include "placement.h"

#include "mapper.h"
#include "sysfs.h"

#include <string.h>

#define SECTOR ((uint64_t)512)
/* Devices upon devices, all pieces together; more is not believed. */
#define MOST_STEPS 64

/* A piece on its way down: of the device asked about from `at` on, it lies from `offset` on, of `device`. */
struct part {
    uint64_t at, n, offset;
    dev_t device;
};

struct descent {
    bool mapped; /* by a table of the device mapper */
    unsigned count;
    struct part parts[PLACEMENT_PARTS];
};

bool placement_is_scsi(dev_t disk)
{
    return sysfs_leads_to(disk, "device/subsystem", "scsi");
}

bool placement_is_nvme(dev_t disk)
{
    return sysfs_leads_to(disk, "device/subsystem", "nvme") ||
           sysfs_leads_to(disk, "device/subsystem", "nvme-subsystem");
}

static bool bytes_of(dev_t device, const char *file, uint64_t *bytes)
{
    uint64_t sectors;
    if (!sysfs_number(device, file, &sectors) || sectors > INT64_MAX / SECTOR)
        return false;
    *bytes = sectors * SECTOR;
    return true;
}

/* Whether the piece lies within its device. */
static bool is_inside(const struct part *part)
{
    uint64_t size;
    return bytes_of(part->device, "size", &size) && part->offset <= size && part->n <= size - part->offset;
}

/* From a partition to its disk. */
static bool leave_partition(struct part *part)
{
    uint64_t start;
    dev_t disk;
    if (!bytes_of(part->device, "start", &start) || !sysfs_device(part->device, "../dev", &disk))
        return false;
    part->offset += start;
    part->device = disk;
    return is_inside(part);
}

/* From a piece of a linear mapping to those of the devices below, which take its place. */
static bool leave_mapping(struct descent *d, unsigned place)
{
    struct mapper_target targets[MAPPER_TARGETS];
    struct part whole = d->parts[place], below[PLACEMENT_PARTS];
    unsigned count = 0;
    int known = mapper_table(whole.device, targets);
    for (int i = 0; i < known; i++) {
        const struct mapper_target *t = &targets[i];
        uint64_t from = t->at > whole.offset ? t->at : whole.offset;
        uint64_t end = t->at + t->n < whole.offset + whole.n ? t->at + t->n : whole.offset + whole.n;
        if (from >= end)
            continue;
        if (d->count + count >= PLACEMENT_PARTS)
            return false;
        below[count] =
            (struct part){whole.at + (from - whole.offset), end - from, t->offset + (from - t->at), t->device};
        if (!is_inside(&below[count++]))
            return false;
    }
    if (!count)
        return false;
    memmove(d->parts + place + count, d->parts + place + 1, (d->count - place - 1) * sizeof *d->parts);
    memcpy(d->parts + place, below, count * sizeof *below);
    d->count += count - 1;
    d->mapped = true;
    return true;
}

/* The kernel counts how far each zone is written, by what goes through it (block/blk-zoned.c): nothing may go past it. */
static bool has_zones(dev_t disk)
{
    uint64_t zones;
    return sysfs_number(disk, "queue/nr_zones", &zones) && zones;
}

/* One step down for the piece, which lies within its device; *arrived if there is none. */
static bool descend(struct descent *d, unsigned place, bool *arrived)
{
    struct part *part = &d->parts[place];
    *arrived = false;
    if (sysfs_has(part->device, "partition"))
        return leave_partition(part);
    if (sysfs_has(part->device, "dm/uuid"))
        return leave_mapping(d, place);
    *arrived = (placement_is_scsi(part->device) || placement_is_nvme(part->device)) && !has_zones(part->device);
    return *arrived;
}

/* All pieces of a whole, in order, on one disk? */
static bool take(const struct descent *d, uint64_t size, struct placement *placement)
{
    uint64_t at = 0;
    placement->disk = d->parts[0].device;
    for (unsigned i = 0; i < d->count; i++) {
        const struct part *part = &d->parts[i];
        if (part->at != at || part->device != placement->disk)
            return false;
        placement->parts[i] = (struct placement_part){part->at, part->n, part->offset};
        at += part->n;
    }
    placement->count = d->count;
    placement->movable = d->mapped;
    return at == size;
}

enum reason placement_find(dev_t device, struct placement *placement)
{
    struct descent d = {.count = 1, .parts = {{.device = device}}};
    unsigned place = 0;
    memset(placement, 0, sizeof *placement);
    if (!bytes_of(device, "size", &d.parts[0].n))
        return REASON_NOT_A_DISK;
    uint64_t size = d.parts[0].n;
    for (int steps = 0; place < d.count; steps++) {
        bool arrived;
        if (steps == MOST_STEPS || !descend(&d, place, &arrived))
            return REASON_NOT_A_DISK;
        place += arrived;
    }
    return take(&d, size, placement) ? REASON_NONE : REASON_NOT_A_DISK;
}

uint64_t placement_of(const struct placement *placement, uint64_t at, uint64_t *n)
{
    *n = 0;
    for (unsigned i = 0; i < placement->count; i++) {
        const struct placement_part *part = &placement->parts[i];
        if (at < part->at || at - part->at >= part->n)
            continue;
        *n = part->n - (at - part->at);
        return part->on_disk + (at - part->at);
    }
    return 0;
}

bool placement_same(const struct placement *a, const struct placement *b)
{
    return a->disk == b->disk && a->count == b->count && memcmp(a->parts, b->parts, a->count * sizeof *a->parts) == 0;
}
