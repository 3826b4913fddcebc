/* What disks and drives say of themselves, cut short and made up. */
#include "command/devices.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 512

/* As a disk gives it: additional length 31, vendor, product, revision. */
static void fill_disk(uint8_t bytes[36], bool copies)
{
    memset(bytes, 0, 36);
    bytes[4] = 31;
    bytes[5] = copies ? 0x08 : 0;
    memcpy(bytes + 8, "LIO-ORG ", 8);
    memcpy(bytes + 16, "disk one        ", 16);
    memcpy(bytes + 32, "4.0 ", 4);
}

/* Parsed from memory that ends where the bytes end, so that a look beyond them is seen by the sanitizers. */
static bool parse(bool (*parser)(const uint8_t *, size_t, struct device_identity *), const uint8_t *bytes, size_t n,
                  struct device_identity *identity)
{
    uint8_t *copy = malloc(n ? n : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, n);
    memset(identity, 0x5a, sizeof *identity);
    bool parsed = parser(copy, n, identity);
    free(copy);
    cr_assert_not_null(memchr(identity->name, 0, sizeof identity->name), "the name has an end");
    return parsed;
}

Test(devices, a_disk_says_whether_it_takes_part_in_copies)
{
    uint8_t bytes[36];
    struct device_identity identity;
    fill_disk(bytes, true);
    cr_assert(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity));
    cr_expect(identity.copies);
    cr_expect_str_eq(identity.name, "LIO-ORG disk one");
    fill_disk(bytes, false);
    /* The bits beside it are others'. */
    bytes[5] = (uint8_t)~0x08;
    cr_assert(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity));
    cr_expect_not(identity.copies);
}

Test(devices, an_inquiry_cut_short_is_read_as_far_as_it_goes)
{
    uint8_t bytes[36];
    struct device_identity identity;
    fill_disk(bytes, true);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        cr_expect_eq(parse(scsi_parse_inquiry, bytes, n, &identity), n >= 6, "%zu bytes", n);
        if (n >= 6)
            cr_expect(identity.copies);
        cr_expect_str_eq(identity.name, n < 16 ? "" : n < 32 ? "LIO-ORG" : "LIO-ORG disk one", "%zu bytes", n);
    }
}

Test(devices, the_length_that_a_disk_gives_counts_where_it_is_shorter)
{
    uint8_t bytes[36];
    struct device_identity identity;
    fill_disk(bytes, true);
    bytes[4] = 0;
    cr_expect_not(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity), "byte 5 is not said to be there");
    bytes[4] = 1;
    cr_expect(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity));
    cr_expect_str_eq(identity.name, "");
    bytes[4] = 255;
    cr_expect(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity), "more is said than there is");
    cr_expect_str_eq(identity.name, "LIO-ORG disk one");
}

Test(devices, what_is_no_disk_is_none)
{
    uint8_t bytes[36];
    struct device_identity identity;
    for (unsigned first = 1; first < 256; first++) {
        fill_disk(bytes, true);
        bytes[0] = (uint8_t)first;
        cr_expect_not(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity), "type and qualifier %#x", first);
    }
}

Test(devices, names_are_printable_whatever_a_device_sends)
{
    uint8_t bytes[36];
    struct device_identity identity;
    fill_disk(bytes, true);
    memcpy(bytes + 8, "\033[2J\n\xff\x7f%", 8);
    cr_assert(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity));
    for (const char *c = identity.name; *c; c++)
        cr_expect(*c >= ' ' && *c < 0x7f, "byte %#x", (unsigned char)*c);
    memset(bytes + 8, ' ', 24);
    cr_assert(parse(scsi_parse_inquiry, bytes, sizeof bytes, &identity));
    cr_expect_str_eq(identity.name, "");
}

Test(devices, random_bytes_break_nothing)
{
    uint8_t bytes[LONGEST];
    struct device_identity identity;
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(rand_r(&seed) >> 7);
        bytes[0] = round & 1 ? bytes[0] : 0;
        parse(scsi_parse_inquiry, bytes, (size_t)rand_r(&seed) % (LONGEST + 1), &identity);
    }
}

Test(devices, a_name_is_appended_without_what_is_around_it)
{
    char name[DEVICE_NAME] = "";
    device_append_name(name, (const uint8_t *)"  QEMU NVMe\tCtrl   \n", 20);
    cr_expect_str_eq(name, "QEMU NVMe Ctrl");
    device_append_name(name, (const uint8_t *)" \n", 2);
    cr_expect_str_eq(name, "QEMU NVMe Ctrl");
    device_append_name(name, (const uint8_t *)"x", 1);
    cr_expect_str_eq(name, "QEMU NVMe Ctrl x");
    for (int i = 0; i < 20; i++)
        device_append_name(name, (const uint8_t *)"0123456789", 10);
    cr_expect_eq(strlen(name), DEVICE_NAME - 1);
}
