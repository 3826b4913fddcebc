/*
 * Block devices as the array engine sees them: a tree of the test's own in place of the kernel's /sys/dev/block, one for
 * each test.
 */
#ifndef UNIT_SYSFSTREE_H
#define UNIT_SYSFSTREE_H

#include <stdint.h>
#include <sys/types.h>

/* The tree's path while there is one. */
extern char sysfstree[256];

/* Makes a tree without devices, where the engine looks from then on; and removes it, if there is one. */
void sysfstree_plant(void);
void sysfstree_uproot(void);

/* Gives the device ("8:0") a file of that name and text, below folders that are made for it. */
void sysfstree_put(const char *device, const char *file, const char *text);

/* Gives the device a symbolic link, directly in it or in its folder `device`. */
void sysfstree_link(const char *device, const char *link, const char *target);

/* Plants a whole SCSI disk of so many sectors of 512 bytes. */
void sysfstree_put_scsi(dev_t number, uint64_t sectors);

#endif
