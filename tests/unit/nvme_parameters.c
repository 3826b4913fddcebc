/* What NVMe drives that copy send and are sent, byte by byte, and what hostile ones may send. */
#include "engines/array/nvme_parameters.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint8_t bytes[NVME_IDENTIFY_BYTES];

Test(nvme_parameters, a_controller_needs_the_command_and_its_first_format)
{
    bytes[521] = 1;
    cr_expect_not(nvme_controller_copies(bytes, sizeof bytes));
    bytes[534] = 1;
    cr_expect(nvme_controller_copies(bytes, sizeof bytes));
    for (size_t n = 0; n < sizeof bytes; n += 5)
        cr_expect_not(nvme_controller_copies(bytes, n), "%zu bytes", n);
    bytes[534] = 0xfe;
    cr_expect_not(nvme_controller_copies(bytes, sizeof bytes));
    bytes[534] = 1;
    bytes[521] = 0xfe;
    bytes[520] = 0xff;
    cr_expect_not(nvme_controller_copies(bytes, sizeof bytes));
}

/* As QEMU's drive gives it, with the second of its formats: 4096 bytes. */
static void fill_namespace(void)
{
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, (const uint8_t[8]){0x78, 0x56, 0x34, 0x12}, 8);
    bytes[25] = 1;
    bytes[26] = 1;
    bytes[74] = 0x80;
    bytes[75] = 0x01;
    memcpy(bytes + 76, (const uint8_t[4]){0x00, 0x02, 0x01, 0x00}, 4);
    bytes[80] = 127;
    bytes[128 + 2] = 9;
    bytes[132 + 2] = 12;
}

Test(nvme_parameters, a_namespace)
{
    struct nvme_limits limits;
    fill_namespace();
    cr_assert(nvme_parse_namespace(bytes, sizeof bytes, &limits));
    cr_expect_eq(limits.blocks, 0x12345678);
    cr_expect_eq(limits.block, 4096);
    cr_expect(limits.plain);
    cr_expect(limits.writable);
    cr_expect_eq(limits.range_blocks, 0x180);
    cr_expect_eq(limits.command_blocks, 0x10200);
    cr_expect_eq(limits.ranges, 128);
    for (size_t n = 0; n < sizeof bytes; n += 5)
        cr_expect_not(nvme_parse_namespace(bytes, n, &limits), "%zu bytes", n);
}

Test(nvme_parameters, metadata_and_protection_are_seen)
{
    struct nvme_limits limits;
    fill_namespace();
    bytes[132] = 8;
    cr_assert(nvme_parse_namespace(bytes, sizeof bytes, &limits));
    cr_expect_not(limits.plain);
    bytes[132] = 0;
    bytes[29] = 1;
    cr_assert(nvme_parse_namespace(bytes, sizeof bytes, &limits));
    cr_expect_not(limits.plain);
    bytes[29] = 0;
    bytes[99] = 1;
    cr_assert(nvme_parse_namespace(bytes, sizeof bytes, &limits));
    cr_expect_not(limits.writable);
}

Test(nvme_parameters, formats_beyond_the_sixteenth)
{
    struct nvme_limits limits;
    fill_namespace();
    bytes[25] = 40;
    bytes[26] = 0x20 | 2; /* 18 */
    bytes[128 + 4 * 18 + 2] = 9;
    cr_assert(nvme_parse_namespace(bytes, sizeof bytes, &limits));
    cr_expect_eq(limits.block, 512);
    /* With no more than 16 formats the upper bits do not count. */
    bytes[25] = 15;
    bytes[26] = 0x60 | 1;
    cr_assert(nvme_parse_namespace(bytes, sizeof bytes, &limits));
    cr_expect_eq(limits.block, 4096);
}

Test(nvme_parameters, namespaces_that_cannot_be)
{
    struct nvme_limits limits;
    fill_namespace();
    bytes[26] = 2;
    cr_expect_not(nvme_parse_namespace(bytes, sizeof bytes, &limits), "a format beyond the last");
    for (unsigned power = 0; power < 256; power++) {
        fill_namespace();
        bytes[132 + 2] = (uint8_t)power;
        cr_expect_eq(nvme_parse_namespace(bytes, sizeof bytes, &limits), power >= 9 && power <= 16, "%u", power);
    }
    fill_namespace();
    memset(bytes, 0, 8);
    cr_expect_not(nvme_parse_namespace(bytes, sizeof bytes, &limits), "no blocks");
    memset(bytes, 0xff, 8);
    cr_expect_not(nvme_parse_namespace(bytes, sizeof bytes, &limits), "more bytes than can be numbered");
}

Test(nvme_parameters, a_range_byte_by_byte)
{
    static const uint8_t expected[32] = {[8] = 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x7f};
    uint8_t entry[32];
    memset(entry, 0x5a, sizeof entry);
    nvme_build_range(entry, &(struct nvme_range){0x0102030405060708, 128});
    cr_expect_arr_eq(entry, expected, sizeof expected);
    nvme_build_range(entry, &(struct nvme_range){0, 65536});
    cr_expect_eq(entry[16], 0xff);
    cr_expect_eq(entry[17], 0xff);
    nvme_build_range(entry, &(struct nvme_range){0, 1});
    cr_expect_eq(entry[16], 0);
}

Test(nvme_parameters, random_bytes_break_nothing)
{
    struct nvme_limits limits;
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < 512; i++)
            bytes[i] = (uint8_t)(rand_r(&seed) >> 7);
        nvme_controller_copies(bytes, sizeof bytes);
        if (nvme_parse_namespace(bytes, sizeof bytes, &limits))
            cr_expect(limits.block >= 512 && limits.blocks && limits.blocks <= (uint64_t)INT64_MAX / limits.block);
    }
}
