/*
 * What goes to and comes from a SCSI disk that copies by itself: the parameter data of SPC-4 (SCSI Primary Commands)
 * and SBC-3 (SCSI Block Commands), taken apart and put together. No command is sent here.
 *
 * What a disk sends is the disk's to get wrong: every length in it is held against the bytes that are there. These
 * functions look at nothing but their arguments, so that they may run anywhere.
 */
#ifndef LIBOFFLOAD_SCSI_PARAMETERS_H
#define LIBOFFLOAD_SCSI_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a command failed (SPC-4 4.5): the key, and the additional code with its qualifier. */
struct scsi_sense {
    uint8_t key;
    uint16_t code; /* ASC << 8 | ASCQ */
};

enum scsi_key {
    SCSI_NO_SENSE = 0x0,
    SCSI_RECOVERED = 0x1,
    SCSI_ILLEGAL_REQUEST = 0x5,
    SCSI_UNIT_ATTENTION = 0x6,
    SCSI_COPY_ABORTED = 0xa,
};

/* The n bytes of sense data in either of its formats. False, and all zero, if they say nothing. */
bool scsi_parse_sense(const uint8_t *bytes, size_t n, struct scsi_sense *sense);

/* The n bytes of standard INQUIRY data (SPC-4 6.6.2): of a disk that is there and takes part in copies (3PC)? */
bool scsi_inquiry_copies(const uint8_t *bytes, size_t n);

struct scsi_capacity {
    uint64_t blocks;
    unsigned block; /* bytes: a power of two from 512 to 65536 */
    bool protects;  /* blocks have protection information behind them */
};

/* The n bytes that READ CAPACITY (16) gave (SBC-3 5.16.2). False if they are too few, or no such disk can be. */
bool scsi_parse_capacity(const uint8_t *bytes, size_t n, struct scsi_capacity *capacity);

/* What a disk takes in one EXTENDED COPY. */
struct scsi_limits {
    bool no_list_id;        /* SNLID: a command may have no list identifier */
    bool holds_data;        /* it may keep data for later commands */
    unsigned targets;       /* CSCD descriptors */
    unsigned segments;      /* segment descriptors */
    uint32_t list_bytes;    /* bytes of all descriptors together */
    uint32_t segment_bytes; /* bytes that one segment may copy; 0: any number */
    uint32_t granule;       /* bytes to a multiple of which a segment must copy; a power of two, or 0 if unbelievable */
    bool blocks_to_blocks;  /* has segment descriptor 02h */
    bool by_designator;     /* has CSCD descriptor E4h */
};

/* The n bytes of RECEIVE COPY OPERATING PARAMETERS (SPC-4 6.22). False if they are too few to tell. */
bool scsi_parse_limits(const uint8_t *bytes, size_t n, struct scsi_limits *limits);

#define SCSI_CSCD_BYTES 32

/*
 * Makes the identification CSCD descriptor (E4h, SPC-4 6.4.5.6) of a disk with such logical blocks out of
 * the n bytes of its VPD page 83h: of the logical unit's own names one that is unique in the world, NAA before EUI-64
 * before T10's. False if there is none that fits.
 */
bool scsi_find_name(const uint8_t *page, size_t n, unsigned block, uint8_t cscd[SCSI_CSCD_BYTES]);

/* Whether two such descriptors name the same disk. */
bool scsi_same_name(const uint8_t a[SCSI_CSCD_BYTES], const uint8_t b[SCSI_CSCD_BYTES]);

/* Blocks from one logical block address to another, of the disks' own blocks. */
struct scsi_segment {
    uint64_t from, to;
    uint16_t blocks;
};

#define SCSI_LIST_HEADER 16
#define SCSI_SEGMENT_BYTES 28

/* How a command is named while it runs (LIST ID USAGE, SPC-4 6.4.3.2), in the place where the header has it. */
enum scsi_list_id { SCSI_LIST_HELD = 0 << 3, SCSI_LIST_NOT_HELD = 2 << 3, SCSI_NO_LIST_ID = 3 << 3 };

/* What the limits leave: best no identifier, under which nobody can fetch anything later. */
enum scsi_list_id scsi_list_id(const struct scsi_limits *limits);

/*
 * Writes the parameter list of an EXTENDED COPY (LID1, SPC-4 6.5) that copies the segments, in their order, from the
 * first disk to the second.
 * `list` has room for SCSI_LIST_HEADER + 2 * SCSI_CSCD_BYTES + count * SCSI_SEGMENT_BYTES bytes; returns that number.
 */
size_t scsi_build_list(uint8_t *list, enum scsi_list_id usage, uint8_t id, uint8_t const cscd[2][SCSI_CSCD_BYTES],
                       const struct scsi_segment *segments, unsigned count);

#endif
