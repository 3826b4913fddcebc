/*
 * Disks as they name themselves, and what SCSI disks say in public of whether they copy. What they say is theirs to get
 * wrong, so every length is checked.
 */
#ifndef OFFLOAD_DEVICES_H
#define OFFLOAD_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_NAME 80

struct device_identity {
    char name[DEVICE_NAME]; /* vendor and model, as device_append_name() makes it; "" if it did not say */
    bool copies;
};

/* Appends n bytes to the name, behind a space if there is something before, as printable ASCII without spaces around. */
void device_append_name(char name[DEVICE_NAME], const uint8_t *bytes, size_t n);

/*
 * The n bytes of a disk's standard INQUIRY data (SPC-4 6.6.2). False if they are too few to tell, or not of a disk that
 * is there. Copies: the bit 3PC.
 */
bool scsi_parse_inquiry(const uint8_t *bytes, size_t n, struct device_identity *identity);

#endif
