/*
 * Devices that can copy by themselves: SCSI disks by EXTENDED COPY, NVMe drives by Copy. What they say of themselves is
 * theirs to get wrong, so every length is checked.
 */
#ifndef OFFLOAD_DEVICES_H
#define OFFLOAD_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device_identity {
    char name[80]; /* vendor and model, printable ASCII, without spaces around it; "" if it did not say */
    bool copies;
};

/*
 * The n bytes of a disk's standard INQUIRY data (SPC-4 6.4.2). False if they are too few to tell, or not of a disk that
 * is there. Copies: the bit 3PC.
 */
bool scsi_parse_inquiry(const uint8_t *bytes, size_t n, struct device_identity *identity);

#define NVME_IDENTIFY_BYTES 4096

/* The n bytes that NVMe's Identify Controller gave (NVM Express Base 5.17.2.1). False if they are not all there. */
bool nvme_parse_controller(const uint8_t *bytes, size_t n, struct device_identity *identity);

#endif
