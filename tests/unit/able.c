/* What is known of pairs of disks that copy. */
#include "engines/array/able.h"

#include <criterion/criterion.h>
#include <string.h>

static struct disk_pair named(unsigned char first, unsigned char second)
{
    struct disk_pair pair = {0};
    memset(pair.names[0], first, sizeof pair.names[0]);
    memset(pair.names[1], second, sizeof pair.names[1]);
    return pair;
}

Test(able, a_pair_is_known_by_its_names_in_their_order)
{
    struct disk_pair pair = named('a', 'b'), turned = named('b', 'a'), other = named('a', 'c');
    struct scsi_limits limits = {.segments = 7, .list_bytes = 1024}, told = {0};
    cr_expect_not(able_knows(&pair, &told));
    able_remember(&pair, &limits);
    pair.disks[0] = pair.disks[1] = 1; /* wherever they are */
    cr_assert(able_knows(&pair, &told));
    cr_expect_eq(told.segments, 7);
    cr_expect_eq(told.list_bytes, 1024);
    cr_expect_not(able_knows(&turned, &told));
    cr_expect_not(able_knows(&other, &told));
}

Test(able, a_part_of_a_name_is_no_name)
{
    struct disk_pair pair = named('a', 'b'), nearly = pair;
    struct scsi_limits limits = {0};
    able_remember(&pair, &limits);
    nearly.names[1][SCSI_CSCD_BYTES - 1] ^= 1;
    cr_expect_not(able_knows(&nearly, &limits));
}

Test(able, more_than_there_is_room_for_are_asked_again)
{
    struct scsi_limits limits = {0};
    for (unsigned char i = 1; i <= 100; i++) {
        struct disk_pair pair = named(i, i);
        able_remember(&pair, &limits);
    }
    struct disk_pair first = named(1, 1), last = named(100, 100);
    cr_expect(able_knows(&first, &limits));
    cr_expect_not(able_knows(&last, &limits));
}
