/* Which of the disk engines serves two disks. */
#ifndef LIBOFFLOAD_DISKS_H
#define LIBOFFLOAD_DISKS_H

#include "device.h"

/* The one for disks as the kernel drives these two, or NULL. For tests, another can be put in the place of all. */
const struct disk_engine *disks_engine(dev_t source, dev_t destination);

extern const struct disk_engine *disks_instead;

#endif
