/* Which ranges of a copy go into one command. */
#include "engines/array/ranges.h"

#include <criterion/criterion.h>

#define SIZE UINT64_C(1000000) * 4096

static struct disk_pair pair_of(dev_t source, dev_t destination)
{
    return (struct disk_pair){
        .disks = {source, destination},
        .sizes = {SIZE, SIZE},
        .block = 4096,
        .sector = 512,
        .ranges = 4,
        .range_bytes = 65536,
        .command_bytes = 131072,
    };
}

Test(ranges, as_many_as_fit)
{
    const struct disk_pair pair = pair_of(1, 2);
    const struct disk_range small[6] = {{0, 0, 4096}, {0, 0, 4096}, {0, 0, 4096}, {0, 0, 4096}, {0, 0, 4096}};
    const struct disk_range large[3] = {{0, 0, 65536}, {0, 0, 61440}, {0, 0, 8192}};
    cr_expect_eq(ranges_fit(&pair, small, 0), 0);
    cr_expect_eq(ranges_fit(&pair, small, 1), 1);
    cr_expect_eq(ranges_fit(&pair, small, 5), 4, "by their number");
    cr_expect_eq(ranges_fit(&pair, large, 3), 2, "by their bytes");
    /* What does not go now need not be right yet. */
    cr_expect_eq(ranges_fit(&pair, (const struct disk_range[]){{0, 0, 65536}, {0, 0, 65536}, {1, 1, 1}}, 3), 2);
}

static void refuse(const struct disk_pair *pair, struct disk_range range, const char *why)
{
    const struct disk_range ranges[2] = {{0, 65536, 4096}, range};
    cr_expect_eq(ranges_fit(pair, &range, 1), 0, "%s", why);
    cr_expect_eq(ranges_fit(pair, ranges, 2), 0, "%s, the second", why);
}

Test(ranges, one_that_is_wrong_stops_the_command)
{
    const struct disk_pair pair = pair_of(1, 2);
    refuse(&pair, (struct disk_range){0, 0, 0}, "nothing");
    refuse(&pair, (struct disk_range){512, 0, 4096}, "off the blocks of the source");
    refuse(&pair, (struct disk_range){0, 512, 4096}, "off the blocks of the destination");
    refuse(&pair, (struct disk_range){0, 0, 512}, "half a block");
    refuse(&pair, (struct disk_range){0, 0, 65536 + 4096}, "longer than a range may be");
    refuse(&pair, (struct disk_range){SIZE, 0, 4096}, "beyond the end of the source");
    refuse(&pair, (struct disk_range){0, SIZE - 4096, 8192}, "across the end of the destination");
    refuse(&pair, (struct disk_range){UINT64_MAX - 4095, 0, 4096}, "where a sum wraps");
    refuse(&pair, (struct disk_range){0, UINT64_MAX - 4095, 8192}, "where a sum wraps");
    cr_expect_eq(ranges_fit(&pair, &(const struct disk_range){SIZE - 4096, SIZE - 4096, 4096}, 1), 1, "the last block");
}

Test(ranges, on_one_disk_nothing_is_written_over_what_is_read)
{
    const struct disk_pair one = pair_of(1, 1), two = pair_of(1, 2);
    const struct disk_range shifted[1] = {{0, 4096, 8192}};
    const struct disk_range later[2] = {{0, 40960, 4096}, {40960, 81920, 4096}};
    const struct disk_range earlier[2] = {{40960, 81920, 4096}, {0, 40960, 4096}};
    const struct disk_range beside[2] = {{0, 4096, 4096}, {8192, 12288, 4096}};
    cr_expect_eq(ranges_fit(&one, shifted, 1), 0);
    cr_expect_eq(ranges_fit(&two, shifted, 1), 1);
    cr_expect_eq(ranges_fit(&one, later, 2), 0);
    cr_expect_eq(ranges_fit(&one, earlier, 2), 0);
    cr_expect_eq(ranges_fit(&two, later, 2), 2);
    cr_expect_eq(ranges_fit(&one, beside, 2), 2);
}
