/* What the kernel says of block devices in sysfs (Documentation/ABI/stable/sysfs-block). */
#ifndef LIBOFFLOAD_SYSFS_H
#define LIBOFFLOAD_SYSFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the folders of block devices are, by number; another tree in tests. */
extern const char *sysfs_devices;

/* The number in a file of the device's folder ("start", "queue/rotational"). False if there is none. */
bool sysfs_number(dev_t device, const char *file, uint64_t *number);

/* The device number in a file of the device's folder ("../dev"). */
bool sysfs_device(dev_t device, const char *file, dev_t *found);

bool sysfs_has(dev_t device, const char *file);

/* Whether the last part of what a link in the device's folder leads to is `name`. */
bool sysfs_leads_to(dev_t device, const char *link, const char *name);

#endif
