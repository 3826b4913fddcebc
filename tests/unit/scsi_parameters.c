/* What SCSI disks that copy send and are sent, byte by byte, and what hostile ones may send. */
#include "engines/array/scsi_parameters.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Memory that ends where the bytes end, so that a look beyond them is seen by the sanitizers. */
static uint8_t *exactly(const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, n);
    return copy;
}

static void expect_bytes(const uint8_t *is, const uint8_t *expected, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_expect_eq(is[i], expected[i], "byte %zu is %02x, not %02x", i, is[i], expected[i]);
}

/* ---- sense data (SPC-4 4.5.2, 4.5.3) ---- */

static bool parse_sense(const uint8_t *bytes, size_t n, struct scsi_sense *sense)
{
    uint8_t *copy = exactly(bytes, n);
    bool parsed = scsi_parse_sense(copy, n, sense);
    free(copy);
    return parsed;
}

Test(scsi_parameters, sense_of_fixed_format)
{
    /* COPY ABORTED, third party device not reachable, in a byte 2 with other bits set. */
    static const uint8_t bytes[18] = {0xf0, 0, 0xea, [7] = 10, [12] = 0x0d, 0x02};
    struct scsi_sense sense;
    cr_assert(parse_sense(bytes, sizeof bytes, &sense));
    cr_expect_eq(sense.key, SCSI_COPY_ABORTED);
    cr_expect_eq(sense.code, 0x0d02);
    for (size_t n = 3; n < sizeof bytes; n++) {
        cr_assert(parse_sense(bytes, n, &sense), "%zu bytes", n);
        cr_expect_eq(sense.key, SCSI_COPY_ABORTED);
        cr_expect_eq(sense.code, n < 14 ? 0 : 0x0d02, "%zu bytes", n);
    }
    for (size_t n = 0; n < 3; n++)
        cr_expect_not(parse_sense(bytes, n, &sense), "%zu bytes", n);
}

Test(scsi_parameters, sense_that_does_not_reach_to_its_code_has_none)
{
    static const uint8_t bytes[18] = {0x70, 0, 0x05, [7] = 5, [12] = 0x20, 0x00};
    struct scsi_sense sense;
    cr_assert(parse_sense(bytes, sizeof bytes, &sense));
    cr_expect_eq(sense.key, SCSI_ILLEGAL_REQUEST);
    cr_expect_eq(sense.code, 0);
}

Test(scsi_parameters, sense_in_descriptors)
{
    static const uint8_t bytes[8] = {0x72, 0x56, 0x3f, 0x0e};
    struct scsi_sense sense;
    for (size_t n = 0; n <= sizeof bytes; n++)
        cr_expect_eq(parse_sense(bytes, n, &sense), n >= 4, "%zu bytes", n);
    cr_expect_eq(sense.key, SCSI_UNIT_ATTENTION);
    cr_expect_eq(sense.code, 0x3f0e);
}

Test(scsi_parameters, other_responses_say_nothing)
{
    uint8_t bytes[18] = {0, 0x06, 0x06, 0x06, [7] = 10, [12] = 0x29};
    struct scsi_sense sense;
    for (unsigned first = 0; first < 256; first++) {
        unsigned response = first & 0x7f;
        bytes[0] = (uint8_t)first;
        cr_expect_eq(parse_sense(bytes, sizeof bytes, &sense), response >= 0x70 && response <= 0x73, "%02x", first);
    }
}

/* ---- INQUIRY (SPC-4 6.6.2) and READ CAPACITY (16) (SBC-3 5.16.2) ---- */

Test(scsi_parameters, only_a_disk_with_3pc_copies)
{
    uint8_t bytes[36] = {[4] = 31, [5] = 0x08};
    cr_expect(scsi_inquiry_copies(bytes, sizeof bytes));
    for (size_t n = 0; n < 36; n++) {
        uint8_t *copy = exactly(bytes, n);
        cr_expect_eq(scsi_inquiry_copies(copy, n), n >= 6, "%zu bytes", n);
        free(copy);
    }
    bytes[4] = 0;
    cr_expect_not(scsi_inquiry_copies(bytes, sizeof bytes), "byte 5 is not said to be there");
    bytes[4] = 31;
    bytes[5] = (uint8_t)~0x08;
    cr_expect_not(scsi_inquiry_copies(bytes, sizeof bytes));
    bytes[5] = 0x08;
    for (unsigned first = 1; first < 256; first++) {
        bytes[0] = (uint8_t)first;
        cr_expect_not(scsi_inquiry_copies(bytes, sizeof bytes), "type and qualifier %02x", first);
    }
}

static void fill_capacity(uint8_t bytes[32], uint64_t last, uint32_t block)
{
    memset(bytes, 0, 32);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(last >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        bytes[8 + i] = (uint8_t)(block >> (24 - 8 * i));
}

Test(scsi_parameters, capacity)
{
    uint8_t bytes[32];
    struct scsi_capacity capacity;
    fill_capacity(bytes, 0x123456789, 4096);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        uint8_t *copy = exactly(bytes, n);
        cr_expect_eq(scsi_parse_capacity(copy, n, &capacity), n >= 13, "%zu bytes", n);
        free(copy);
    }
    cr_expect_eq(capacity.blocks, 0x12345678a);
    cr_expect_eq(capacity.block, 4096);
    cr_expect_not(capacity.protects);
    bytes[12] = 0xf1;
    cr_assert(scsi_parse_capacity(bytes, sizeof bytes, &capacity));
    cr_expect(capacity.protects);
    bytes[12] = 0xfe;
    cr_assert(scsi_parse_capacity(bytes, sizeof bytes, &capacity));
    cr_expect_not(capacity.protects);
}

Test(scsi_parameters, capacities_that_cannot_be)
{
    static const uint32_t blocks[] = {0, 1, 256, 511, 513, 520, 4160, 131072, 0x80000000, UINT32_MAX};
    uint8_t bytes[32];
    struct scsi_capacity capacity;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        fill_capacity(bytes, 1000, blocks[i]);
        cr_expect_not(scsi_parse_capacity(bytes, sizeof bytes, &capacity), "blocks of %u", blocks[i]);
    }
    fill_capacity(bytes, INT64_MAX / 512 - 1, 512);
    cr_expect(scsi_parse_capacity(bytes, sizeof bytes, &capacity));
    fill_capacity(bytes, INT64_MAX / 512, 512);
    cr_expect_not(scsi_parse_capacity(bytes, sizeof bytes, &capacity));
    fill_capacity(bytes, UINT64_MAX, 512);
    cr_expect_not(scsi_parse_capacity(bytes, sizeof bytes, &capacity), "the number of blocks is no number");
}

/* ---- RECEIVE COPY OPERATING PARAMETERS (SPC-4 6.22, table 244) ---- */

/* As Linux's own target gives it: target_rcr_operating_parameters() in drivers/target/target_core_xcopy.c. */
static const uint8_t linux_target[54] = {
    [3] = 42, [4] = 0x01, [9] = 2,  [11] = 1, [14] = 0x04, [16] = 0x10, [35] = 1,
    [36] = 1, [37] = 9,   [38] = 9, [39] = 9, [43] = 2,    [44] = 0x02, [45] = 0xe4,
};

static bool parse_limits(const uint8_t *bytes, size_t n, struct scsi_limits *limits)
{
    uint8_t *copy = exactly(bytes, n);
    bool parsed = scsi_parse_limits(copy, n, limits);
    free(copy);
    return parsed;
}

Test(scsi_parameters, limits)
{
    struct scsi_limits limits;
    cr_assert(parse_limits(linux_target, sizeof linux_target, &limits));
    cr_expect(limits.no_list_id);
    cr_expect_not(limits.holds_data);
    cr_expect_eq(limits.targets, 2);
    cr_expect_eq(limits.segments, 1);
    cr_expect_eq(limits.list_bytes, 1024);
    cr_expect_eq(limits.segment_bytes, 268435456);
    cr_expect_eq(limits.granule, 512);
    cr_expect(limits.blocks_to_blocks);
    cr_expect(limits.by_designator);
    cr_expect_eq(scsi_list_id(&limits), SCSI_NO_LIST_ID);
}

Test(scsi_parameters, limits_cut_short)
{
    struct scsi_limits limits;
    for (size_t n = 0; n <= sizeof linux_target; n++) {
        cr_assert_eq(parse_limits(linux_target, n, &limits), n >= 44, "%zu bytes", n);
        cr_expect_eq(limits.blocks_to_blocks, n >= 45, "%zu bytes", n);
        cr_expect_eq(limits.by_designator, n >= 46, "%zu bytes", n);
    }
}

Test(scsi_parameters, lengths_of_limits_that_lie)
{
    uint8_t bytes[54];
    struct scsi_limits limits;
    memcpy(bytes, linux_target, sizeof bytes);
    /* More descriptors than there are bytes. */
    bytes[3] = 50;
    bytes[43] = 255;
    bytes[53] = 0x02;
    bytes[44] = 0;
    cr_assert(parse_limits(bytes, sizeof bytes, &limits));
    cr_expect(limits.blocks_to_blocks);
    /* Fewer bytes than there are, and more. */
    bytes[3] = 42;
    cr_assert(parse_limits(bytes, sizeof bytes, &limits));
    cr_expect(limits.by_designator);
    cr_expect_not(limits.blocks_to_blocks);
    bytes[3] = 41;
    cr_assert(parse_limits(bytes, sizeof bytes, &limits));
    cr_expect_not(limits.by_designator);
    bytes[3] = 39;
    cr_expect_not(parse_limits(bytes, sizeof bytes, &limits));
    memset(bytes, 0xff, 4);
    cr_expect(parse_limits(bytes, sizeof bytes, &limits));
    memset(bytes, 0, 4);
    cr_expect_not(parse_limits(bytes, sizeof bytes, &limits));
}

Test(scsi_parameters, granules)
{
    uint8_t bytes[54];
    struct scsi_limits limits;
    memcpy(bytes, linux_target, sizeof bytes);
    for (unsigned power = 0; power < 256; power++) {
        bytes[37] = (uint8_t)power;
        cr_assert(parse_limits(bytes, sizeof bytes, &limits));
        cr_expect_eq(limits.granule, power < 32 ? UINT32_C(1) << power : 0, "2 to the power of %u", power);
    }
}

/* ---- the name (VPD page 83h, SPC-4 7.8.6; CSCD descriptor E4h, 6.4.5.6) ---- */

/* As Linux's own target gives it, cut: NAA, T10's, and the port's. */
static const uint8_t page_83[] = {
    0x00,
    0x83,
    0x00,
    0x40,
    /* the logical unit's NAA, with a protocol identifier that a CSCD descriptor does not have */
    0x61,
    0x83,
    0x00,
    0x10,
    0x60,
    0x01,
    0x40,
    0x50,
    0x1a,
    0xaf,
    0x00,
    0xd0,
    0x00,
    0x00,
    0x00,
    0x00,
    0x12,
    0x34,
    0x56,
    0x78,
    /* of its T10 vendor */
    0x02,
    0x01,
    0x00,
    0x0c,
    'L',
    'I',
    'O',
    '-',
    'O',
    'R',
    'G',
    ' ',
    'd',
    'i',
    's',
    'k',
    /* the target port's */
    0x61,
    0x93,
    0x00,
    0x08,
    0x50,
    0x01,
    0x40,
    0x50,
    0x00,
    0x00,
    0x00,
    0x01,
    /* its relative number */
    0x51,
    0x94,
    0x00,
    0x04,
    0x00,
    0x00,
    0x00,
    0x01,
};

static bool find_name(const uint8_t *page, size_t n, uint8_t cscd[SCSI_CSCD_BYTES])
{
    uint8_t *copy = exactly(page, n);
    memset(cscd, 0x5a, SCSI_CSCD_BYTES);
    bool found = scsi_find_name(copy, n, 512, cscd);
    free(copy);
    return found;
}

Test(scsi_parameters, a_name_becomes_a_descriptor)
{
    static const uint8_t expected[32] = {
        0xe4, 0x00, 0x00, 0x00, 0x01, 0x03, 0x00, 0x10, 0x60, 0x01, 0x40, 0x50, 0x1a, 0xaf, 0x00, 0xd0,
        0x00, 0x00, 0x00, 0x00, 0x12, 0x34, 0x56, 0x78, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
    };
    uint8_t cscd[32];
    cr_assert(find_name(page_83, sizeof page_83, cscd));
    expect_bytes(cscd, expected, sizeof expected);
}

Test(scsi_parameters, a_page_cut_short_has_the_names_that_are_whole)
{
    uint8_t cscd[32], page[sizeof page_83];
    memcpy(page, page_83, sizeof page);
    for (size_t n = 0; n <= sizeof page; n++)
        cr_expect_eq(find_name(page, n, cscd), n >= 24, "%zu bytes", n);
    /* Without the NAA there is T10's. */
    page[4 + 1] = 0x93;
    for (size_t n = 0; n <= sizeof page; n++)
        cr_expect_eq(find_name(page, n, cscd), n >= 40, "%zu bytes", n);
    cr_expect_eq(cscd[5], 0x01);
    cr_expect_eq(cscd[7], 12);
    /* The page's own length is less. */
    page[3] = 35;
    cr_expect_not(find_name(page, sizeof page, cscd));
}

/* A page with one designator after the other, each of n bytes: code set, association and type, length. */
static size_t make_page(uint8_t *page, const uint8_t (*kinds)[3], size_t count)
{
    size_t at = 4;
    for (size_t i = 0; i < count; i++) {
        page[at] = kinds[i][0];
        page[at + 1] = kinds[i][1];
        page[at + 2] = 0;
        page[at + 3] = kinds[i][2];
        memset(page + at + 4, (int)(0x11 * (i + 1)), kinds[i][2]);
        at += 4 + (size_t)kinds[i][2];
    }
    memcpy(page, (const uint8_t[4]){0, 0x83, (uint8_t)((at - 4) >> 8), (uint8_t)(at - 4)}, 4);
    return at;
}

/* Which of the names was taken, from 1 on; 0 if none. */
static unsigned taken(const uint8_t (*kinds)[3], size_t count)
{
    uint8_t page[1024], cscd[32];
    size_t n = make_page(page, kinds, count);
    return find_name(page, n, cscd) ? cscd[8] / 0x11U : 0;
}

Test(scsi_parameters, the_best_name_is_taken)
{
    static const uint8_t naa_last[][3] = {{2, 1, 12}, {1, 2, 8}, {1, 3, 16}};
    static const uint8_t eui_middle[][3] = {{2, 1, 12}, {1, 2, 8}, {2, 1, 13}};
    static const uint8_t two_naa[][3] = {{1, 3, 8}, {1, 3, 16}};
    cr_expect_eq(taken(naa_last, 3), 3);
    cr_expect_eq(taken(eui_middle, 3), 2);
    cr_expect_eq(taken(two_naa, 2), 1, "of equals the first");
}

Test(scsi_parameters, names_that_will_not_do)
{
    static const uint8_t names[][1][3] = {
        {{1, 0x13, 16}},                                                                     /* a target port's */
        {{1, 0x23, 16}},                                                                     /* a target device's */
        {{2, 0x03, 16}},                                                                     /* NAA in ASCII */
        {{1, 0x03, 7}},   {{1, 0x03, 0}},  {{1, 0x03, 20}}, {{1, 0x02, 10}}, {{2, 0x01, 8}}, /* the vendor alone */
        {{2, 0x01, 21}},                                                     /* longer than there is room for */
        {{2, 0x01, 255}}, {{1, 0x00, 16}},                                   /* of the vendor, who may give it twice */
        {{1, 0x04, 4}},   {{1, 0x05, 4}},  {{1, 0x06, 4}},  {{3, 0x08, 20}}, /* SCSI name string */
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_eq(taken(names[i], 1), 0, "name %zu", i);
}

Test(scsi_parameters, other_pages_have_no_names)
{
    uint8_t page[sizeof page_83], cscd[32];
    memcpy(page, page_83, sizeof page);
    page[1] = 0x80;
    cr_expect_not(find_name(page, sizeof page, cscd));
    page[1] = 0x83;
    page[0] = 0x7f;
    cr_expect_not(find_name(page, sizeof page, cscd), "no disk is there");
}

Test(scsi_parameters, the_same_name_is_the_same_disk_whatever_its_blocks)
{
    uint8_t a[32], b[32];
    cr_assert(scsi_find_name(page_83, sizeof page_83, 512, a));
    cr_assert(scsi_find_name(page_83, sizeof page_83, 4096, b));
    cr_expect(scsi_same_name(a, b));
    for (unsigned byte = 4; byte < 28; byte++) {
        b[byte] ^= 1;
        cr_expect_not(scsi_same_name(a, b), "byte %u", byte);
        b[byte] ^= 1;
    }
}

/* ---- the parameter list (SPC-4 6.5, 6.4.6.4) ---- */

Test(scsi_parameters, a_list_byte_by_byte)
{
    static const uint8_t names[2][32] = {{0xe4, [8] = 0x60, [31] = 1}, {0xe4, [8] = 0x61, [31] = 2}};
    static const struct scsi_segment segments[2] = {
        {0x0102030405060708, 0x1112131415161718, 0xffff},
        {0, 1, 2},
    };
    static const uint8_t expected[16 + 64 + 56] = {
        /* no list identifier; 64 bytes of CSCD descriptors, 56 of segment descriptors, none inline */
        0x00,
        0x18,
        0x00,
        0x40,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        56,
        0,
        0,
        0,
        0,
        [16] = 0xe4,
        [24] = 0x60,
        [47] = 1,
        [48] = 0xe4,
        [56] = 0x61,
        [79] = 2,
        /* block to block, 24 bytes follow, from descriptor 0 to 1 */
        [80] = 0x02,
        0,
        0x00,
        0x18,
        0,
        0,
        0,
        1,
        0,
        0,
        0xff,
        0xff,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        0x11,
        0x12,
        0x13,
        0x14,
        0x15,
        0x16,
        0x17,
        0x18,
        [108] = 0x02,
        0,
        0x00,
        0x18,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2,
        [135] = 1,
    };
    uint8_t *list = malloc(sizeof expected);
    cr_assert_not_null(list);
    memset(list, 0x5a, sizeof expected);
    cr_assert_eq(scsi_build_list(list, SCSI_NO_LIST_ID, 7, names, segments, 2), sizeof expected);
    expect_bytes(list, expected, sizeof expected);
    free(list);
}

Test(scsi_parameters, list_identifiers)
{
    static const uint8_t names[2][32];
    static const struct scsi_segment segment;
    uint8_t list[16 + 64 + 28];
    scsi_build_list(list, SCSI_LIST_NOT_HELD, 7, names, &segment, 1);
    cr_expect_eq(list[0], 7);
    cr_expect_eq(list[1], 0x10);
    scsi_build_list(list, SCSI_LIST_HELD, 7, names, &segment, 1);
    cr_expect_eq(list[1], 0x00);
    cr_expect_eq(scsi_list_id(&(struct scsi_limits){.no_list_id = true, .holds_data = true}), SCSI_NO_LIST_ID);
    cr_expect_eq(scsi_list_id(&(struct scsi_limits){.holds_data = true}), SCSI_LIST_HELD);
    cr_expect_eq(scsi_list_id(&(struct scsi_limits){0}), SCSI_LIST_NOT_HELD);
}

/* ---- whatever a device sends ---- */

static void parse_all(const uint8_t *bytes, size_t n)
{
    struct scsi_sense sense;
    struct scsi_capacity capacity;
    struct scsi_limits limits;
    uint8_t cscd[32];
    uint8_t *copy = exactly(bytes, n);
    scsi_inquiry_copies(copy, n);
    scsi_parse_sense(copy, n, &sense);
    cr_expect_leq(sense.key, 15);
    if (scsi_parse_capacity(copy, n, &capacity))
        cr_expect(capacity.blocks && capacity.block >= 512 && capacity.blocks <= INT64_MAX / capacity.block);
    scsi_parse_limits(copy, n, &limits);
    if (scsi_find_name(copy, n, 512, cscd))
        cr_expect(cscd[0] == 0xe4 && cscd[7] >= 8 && cscd[7] <= 20 && !(cscd[5] & 0x30));
    free(copy);
}

/* Random bytes, and random changes of what a real disk sends. */
Test(scsi_parameters, random_bytes_break_nothing)
{
    uint8_t bytes[512];
    unsigned seed = 7;
    for (int round = 0; round < 60000; round++) {
        size_t n = (size_t)rand_r(&seed) % (sizeof bytes + 1);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(rand_r(&seed) >> 7);
        if (round % 3 == 1)
            memcpy(bytes, page_83, sizeof page_83);
        if (round % 3 == 2)
            memcpy(bytes, linux_target, sizeof linux_target);
        for (int i = 0; round % 3 && i < 4; i++)
            bytes[(size_t)rand_r(&seed) % 64] = (uint8_t)(rand_r(&seed) >> 7);
        parse_all(bytes, n);
    }
}
