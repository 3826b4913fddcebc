#include "disks.h"

#include "placement.h"

#include <stddef.h>

const struct disk_engine *disks_instead;

const struct disk_engine *disks_engine(dev_t source, dev_t destination)
{
    if (disks_instead)
        return disks_instead;
    if (placement_is_scsi(source) && placement_is_scsi(destination))
        return &disk_scsi;
    return placement_is_nvme(source) && placement_is_nvme(destination) ? &disk_nvme : NULL;
}
