/*
 * What goes to and comes from an NVMe drive that copies by itself: the data structures of the NVM Command Set
 * specification 1.0 and the Base specification 2.0, taken apart and put together. No command is sent here.
 *
 * What a drive says is held against what can be. These functions look at nothing but their arguments, so that they may
 * run anywhere.
 */
#ifndef LIBOFFLOAD_NVME_PARAMETERS_H
#define LIBOFFLOAD_NVME_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of what Identify gives, of a controller or a namespace. */
#define NVME_IDENTIFY_BYTES 4096

/*
 * Identify Controller (Base 5.17.2.1): has the controller the command Copy (ONCS bit 8), with descriptors of format 0
 * (OCFS bit 0)? False also if the n bytes are not all there.
 */
bool nvme_controller_copies(const uint8_t *bytes, size_t n);

/* A namespace, and what it takes in one Copy. */
struct nvme_limits {
    uint64_t blocks;         /* of the namespace */
    unsigned block;          /* bytes: a power of two from 512 to 65536 */
    bool plain;              /* blocks have no metadata, and so no protection information */
    bool writable;           /* not write protected */
    unsigned range_blocks;   /* of one range (MSSRL): 0 if it cannot copy */
    uint32_t command_blocks; /* of one command (MCL): 0 if it cannot copy */
    unsigned ranges;         /* of one command (MSRC and one) */
};

/* Identify Namespace (NVM Command Set 4.1.5.1). False if the n bytes are not all there, or no such namespace can be. */
bool nvme_parse_namespace(const uint8_t *bytes, size_t n, struct nvme_limits *limits);

#define NVME_RANGE_BYTES 32

/* Blocks from a logical block address on: 1 to 65536. */
struct nvme_range {
    uint64_t from;
    uint32_t blocks;
};

/* Writes one source range entry of format 0 (NVM Command Set 3.2.2, figure 42). */
void nvme_build_range(uint8_t entry[NVME_RANGE_BYTES], const struct nvme_range *range);

#endif
