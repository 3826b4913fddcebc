#include "scsi_parameters.h"

#include "bytes.h"

#include <string.h>

/* ---- sense data ---- */

/* Response codes (SPC-4 4.5.1): of an error of this command, or of one before it. */
static bool is_fixed(uint8_t response)
{
    return response == 0x70 || response == 0x71;
}

static bool is_descriptors(uint8_t response)
{
    return response == 0x72 || response == 0x73;
}

bool scsi_parse_sense(const uint8_t *bytes, size_t n, struct scsi_sense *sense)
{
    uint8_t response = n > 0 ? bytes[0] & 0x7f : 0;
    *sense = (struct scsi_sense){0};
    if (is_descriptors(response) && n >= 4) {
        *sense = (struct scsi_sense){bytes[1] & 0x0f, (uint16_t)big_endian(bytes + 2, 2)};
        return true;
    }
    if (!is_fixed(response) || n < 3)
        return false;
    /* The additional length counts from byte 8; what is cut off says nothing. */
    bool told = n >= 14 && bytes[7] >= 6;
    *sense = (struct scsi_sense){bytes[2] & 0x0f, told ? (uint16_t)big_endian(bytes + 12, 2) : 0};
    return true;
}

/* ---- what a disk is ---- */

bool scsi_inquiry_copies(const uint8_t *bytes, size_t n)
{
    /* Qualifier 000b: connected. Type 00h: direct access block device. Byte 4 counts what follows it. */
    return n >= 6 && bytes[0] == 0 && bytes[4] >= 1 && bytes[5] & 1 << 3;
}

bool scsi_parse_capacity(const uint8_t *bytes, size_t n, struct scsi_capacity *capacity)
{
    *capacity = (struct scsi_capacity){0};
    if (n < 13)
        return false;
    uint64_t last = big_endian(bytes, 8), block = big_endian(bytes + 8, 4);
    bool power = block && !(block & (block - 1));
    /* Larger than Linux can name in bytes (off_t), no disk is. */
    if (!power || block < 512 || block > 65536 || last >= (uint64_t)INT64_MAX / block)
        return false;
    *capacity = (struct scsi_capacity){.blocks = last + 1, .block = (unsigned)block, .protects = bytes[12] & 1};
    return true;
}

/* ---- what it takes ---- */

#define LIMITS_FIXED 44 /* bytes before the list of the descriptors that it knows */

static bool list_has(const uint8_t *list, size_t n, uint8_t type)
{
    return n && memchr(list, type, n);
}

bool scsi_parse_limits(const uint8_t *bytes, size_t n, struct scsi_limits *limits)
{
    *limits = (struct scsi_limits){0};
    if (n < LIMITS_FIXED)
        return false;
    /* What it says is there, beside what is. */
    uint64_t said = big_endian(bytes, 4) + 4;
    if (said < LIMITS_FIXED)
        return false;
    size_t there = said < n ? (size_t)said : n;
    size_t listed = bytes[43] < there - LIMITS_FIXED ? bytes[43] : there - LIMITS_FIXED;
    *limits = (struct scsi_limits){
        .no_list_id = bytes[4] & 1,
        .holds_data = big_endian(bytes + 24, 4) != 0,
        .targets = (unsigned)big_endian(bytes + 8, 2),
        .segments = (unsigned)big_endian(bytes + 10, 2),
        .list_bytes = (uint32_t)big_endian(bytes + 12, 4),
        .segment_bytes = (uint32_t)big_endian(bytes + 16, 4),
        .granule = bytes[37] < 32 ? UINT32_C(1) << bytes[37] : 0,
        .blocks_to_blocks = list_has(bytes + LIMITS_FIXED, listed, 0x02),
        .by_designator = list_has(bytes + LIMITS_FIXED, listed, 0xe4),
    };
    return true;
}

/* ---- its name ---- */

#define PAGE_HEADER 4
#define DESIGNATION_HEADER 4
#define DESIGNATOR_LONGEST 20 /* bytes 8 to 27 of the CSCD descriptor */

/* Types of designators (SPC-4 7.8.6), the better the higher: no other is unique in the world and fits. */
enum { TYPE_T10 = 1, TYPE_EUI64 = 2, TYPE_NAA = 3 };

/* A designation descriptor, all of which is there: how good a name it is for the logical unit, 0 if none. */
static int rank(const uint8_t *designation)
{
    uint8_t set = designation[0] & 0x0f, about = designation[1] >> 4 & 3, type = designation[1] & 0x0f;
    uint8_t n = designation[3];
    bool binary = set == 1;
    if (about != 0 || n > DESIGNATOR_LONGEST)
        return 0;
    switch (type) {
    case TYPE_NAA:
        return binary && (n == 8 || n == 16) ? type : 0;
    case TYPE_EUI64:
        return binary && (n == 8 || n == 12 || n == 16) ? type : 0;
    case TYPE_T10:
        /* Eight bytes are the vendor's name alone. */
        return (binary || set == 2) && n > 8 ? type : 0;
    default:
        return 0;
    }
}

/* The best of the page's designation descriptors, of equals the first; NULL if none will do. */
static const uint8_t *best_designation(const uint8_t *page, size_t n)
{
    const uint8_t *best = NULL;
    size_t end = PAGE_HEADER + (size_t)big_endian(page + 2, 2);
    if (end > n)
        end = n;
    for (size_t at = PAGE_HEADER; end - at >= DESIGNATION_HEADER;) {
        size_t length = DESIGNATION_HEADER + (size_t)page[at + 3];
        if (length > end - at)
            break;
        if (rank(page + at) > (best ? rank(best) : 0))
            best = page + at;
        at += length;
    }
    return best;
}

bool scsi_find_name(const uint8_t *page, size_t n, unsigned block, uint8_t cscd[SCSI_CSCD_BYTES])
{
    memset(cscd, 0, SCSI_CSCD_BYTES);
    if (n < PAGE_HEADER || page[0] != 0 || page[1] != 0x83)
        return false;
    const uint8_t *best = best_designation(page, n);
    if (!best)
        return false;
    cscd[0] = 0xe4;
    /* Without the transport protocol that the page has beside them, which a copy manager need not expect here. */
    cscd[4] = best[0] & 0x0f;
    cscd[5] = best[1] & 0x3f;
    cscd[7] = best[3];
    memcpy(cscd + 8, best + DESIGNATION_HEADER, best[3]);
    put_big_endian(cscd + 29, 3, block);
    return true;
}

bool scsi_same_name(const uint8_t a[SCSI_CSCD_BYTES], const uint8_t b[SCSI_CSCD_BYTES])
{
    return memcmp(a + 4, b + 4, 4 + DESIGNATOR_LONGEST) == 0;
}

/* ---- the command's parameter list ---- */

enum scsi_list_id scsi_list_id(const struct scsi_limits *limits)
{
    if (limits->no_list_id)
        return SCSI_NO_LIST_ID;
    return limits->holds_data ? SCSI_LIST_HELD : SCSI_LIST_NOT_HELD;
}

/* From the first CSCD descriptor to the second (SPC-4 6.4.6.4); the blocks are the source's. */
static void put_segment(uint8_t *at, const struct scsi_segment *segment)
{
    memset(at, 0, SCSI_SEGMENT_BYTES);
    at[0] = 0x02;
    put_big_endian(at + 2, 2, SCSI_SEGMENT_BYTES - 4);
    put_big_endian(at + 4, 2, 0);
    put_big_endian(at + 6, 2, 1);
    put_big_endian(at + 10, 2, segment->blocks);
    put_big_endian(at + 12, 8, segment->from);
    put_big_endian(at + 20, 8, segment->to);
}

size_t scsi_build_list(uint8_t *list, enum scsi_list_id usage, uint8_t id, uint8_t const cscd[2][SCSI_CSCD_BYTES],
                       const struct scsi_segment *segments, unsigned count)
{
    uint8_t *at = list + SCSI_LIST_HEADER + (size_t)2 * SCSI_CSCD_BYTES;
    memset(list, 0, SCSI_LIST_HEADER);
    list[0] = usage == SCSI_NO_LIST_ID ? 0 : id;
    list[1] = (uint8_t)usage;
    put_big_endian(list + 2, 2, (uint64_t)2 * SCSI_CSCD_BYTES);
    put_big_endian(list + 8, 4, (uint64_t)count * SCSI_SEGMENT_BYTES);
    memcpy(list + SCSI_LIST_HEADER, cscd, (size_t)2 * SCSI_CSCD_BYTES);
    for (unsigned i = 0; i < count; i++, at += SCSI_SEGMENT_BYTES)
        put_segment(at, &segments[i]);
    return (size_t)(at - list);
}
