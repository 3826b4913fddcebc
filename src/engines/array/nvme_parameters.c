#include "nvme_parameters.h"

#include "bytes.h"

#include <string.h>

#define ONCS_AT 520
#define ONCS_COPY (1 << 8)
#define OCFS_AT 534

bool nvme_controller_copies(const uint8_t *bytes, size_t n)
{
    return n >= NVME_IDENTIFY_BYTES && little_endian(bytes + ONCS_AT, 2) & ONCS_COPY &&
           little_endian(bytes + OCFS_AT, 2) & 1;
}

#define FORMATS_AT 128 /* LBAF0, four bytes each */

/* The LBA format that the namespace is formatted with (FLBAS; its bits 6:5 count where there are more than 16). */
static const uint8_t *format_of(const uint8_t *bytes)
{
    unsigned last = bytes[25], chosen = bytes[26] & 0x0f;
    if (last > 15)
        chosen |= (unsigned)(bytes[26] >> 5 & 3) << 4;
    return chosen <= last && chosen < 64 ? bytes + FORMATS_AT + (size_t)4 * chosen : NULL;
}

bool nvme_parse_namespace(const uint8_t *bytes, size_t n, struct nvme_limits *limits)
{
    *limits = (struct nvme_limits){0};
    const uint8_t *format = n >= NVME_IDENTIFY_BYTES ? format_of(bytes) : NULL;
    if (!format || format[2] < 9 || format[2] > 16)
        return false;
    unsigned block = 1U << format[2];
    uint64_t blocks = little_endian(bytes, 8);
    /* Larger than Linux can name in bytes (off_t), no namespace is. */
    if (!blocks || blocks > (uint64_t)INT64_MAX / block)
        return false;
    *limits = (struct nvme_limits){
        .blocks = blocks,
        .block = block,
        .plain = little_endian(format, 2) == 0 && (bytes[29] & 7) == 0,
        .writable = !(bytes[99] & 1),
        .range_blocks = (unsigned)little_endian(bytes + 74, 2),
        .command_blocks = (uint32_t)little_endian(bytes + 76, 4),
        .ranges = bytes[80] + 1U,
    };
    return true;
}

void nvme_build_range(uint8_t entry[NVME_RANGE_BYTES], const struct nvme_range *range)
{
    memset(entry, 0, NVME_RANGE_BYTES);
    put_little_endian(entry + 8, 8, range->from);
    put_little_endian(entry + 16, 2, range->blocks - 1);
}
