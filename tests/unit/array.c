/* The array engine's parts that look at no disk, and the whole of it on a disk that is played by this test. */
#include "core/guards.h"
#include "engines/array/extents.h"
#include "engines/array/mapper.h"
#include "engines/array/placement.h"
#include "engines/array/run.h"
#include "engines/array/sysfs.h"
#include "engines/array/text.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files.h"
#include "sysfstree.h"

#define BLOCK 4096U

/* ---- extents ---- */

static struct fiemap_extent written(uint64_t at, uint64_t n, uint64_t on_device, uint32_t flags)
{
    return (struct fiemap_extent){.fe_logical = at, .fe_length = n, .fe_physical = on_device, .fe_flags = flags};
}

static int take(struct fiemap_extent extent, enum extent_use use, struct extent_map *map)
{
    return extents_take(&extent, 1, 0, 8 * BLOCK, use, map);
}

Test(extents, what_is_asked_for_is_cut_out)
{
    struct fiemap_extent all = written(0, 100 * BLOCK, 1000 * BLOCK, FIEMAP_EXTENT_LAST);
    struct extent_map map;
    uint64_t n;
    cr_assert_eq(extents_take(&all, 1, 10 * BLOCK, 5 * BLOCK, EXTENT_SOURCE, &map), 0);
    cr_assert_eq(map.count, 1);
    cr_expect_eq(map.list[0].at, 10 * BLOCK);
    cr_expect_eq(map.list[0].n, 5 * BLOCK);
    cr_expect_eq(map.list[0].on_device, 1010 * BLOCK);
    cr_expect_eq(map.end, 15 * BLOCK);
    cr_expect(extents_written(&map, 12 * BLOCK, &n));
    cr_expect_eq(n, 3 * BLOCK);
    cr_expect_eq(extents_place(&map, 12 * BLOCK, &n), 1012 * BLOCK);
    cr_expect_eq(n, 3 * BLOCK);
}

Test(extents, what_lies_outside_is_no_part)
{
    struct fiemap_extent found[2] = {written(0, BLOCK, BLOCK, 0), written(20 * BLOCK, BLOCK, BLOCK, 0)};
    struct extent_map map;
    uint64_t n;
    cr_assert_eq(extents_take(found, 2, 10 * BLOCK, 5 * BLOCK, EXTENT_SOURCE, &map), 0);
    cr_expect_eq(map.count, 0);
    cr_expect_not(extents_written(&map, 10 * BLOCK, &n));
    cr_expect_eq(n, 5 * BLOCK);
}

Test(extents, holes_lie_between_extents)
{
    struct fiemap_extent found[3] = {written(BLOCK, BLOCK, 70 * BLOCK, 0), written(2 * BLOCK, BLOCK, 90 * BLOCK, 0),
                                     written(5 * BLOCK, BLOCK, 10 * BLOCK, FIEMAP_EXTENT_UNWRITTEN)};
    struct extent_map map;
    uint64_t n;
    cr_assert_eq(extents_take(found, 3, 0, 8 * BLOCK, EXTENT_DESTINATION, &map), 0);
    cr_expect_not(extents_written(&map, 0, &n));
    cr_expect_eq(n, BLOCK);
    cr_expect(extents_written(&map, BLOCK, &n));
    cr_expect_eq(n, 2 * BLOCK, "neighbours in the file are one run, wherever they lie");
    cr_expect_eq(extents_place(&map, BLOCK, &n), 70 * BLOCK);
    cr_expect_eq(n, BLOCK);
    cr_expect_not(extents_written(&map, 3 * BLOCK, &n));
    cr_expect_eq(n, 5 * BLOCK, "unwritten blocks read as zeros");
}

Test(extents, every_flag_is_a_doubt_but_those_that_are_known)
{
    struct extent_map map;
    for (int bit = 0; bit < 32; bit++) {
        uint32_t flag = (uint32_t)1 << bit;
        bool harmless = flag == FIEMAP_EXTENT_LAST || flag == FIEMAP_EXTENT_MERGED || flag == FIEMAP_EXTENT_UNWRITTEN;
        int source = harmless || flag == FIEMAP_EXTENT_SHARED ? 0 : -EOPNOTSUPP;
        int destination = harmless || flag == FIEMAP_EXTENT_DELALLOC ? 0 : -EOPNOTSUPP;
        struct fiemap_extent extent = written(0, 8 * BLOCK, BLOCK, flag);
        cr_expect_eq(take(extent, EXTENT_SOURCE, &map), source, "source, flag %x", flag);
        cr_expect_eq(take(extent, EXTENT_DESTINATION, &map), destination, "destination, flag %x", flag);
        if (flag == FIEMAP_EXTENT_UNWRITTEN || flag == FIEMAP_EXTENT_DELALLOC)
            cr_expect_eq(map.count, 0, "nothing lies there yet, flag %x", flag);
    }
    cr_expect_eq(take(written(0, BLOCK, BLOCK, FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_ENCODED), EXTENT_SOURCE, &map),
                 -EOPNOTSUPP);
    cr_expect_eq(
        take(written(0, BLOCK, BLOCK, FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_SHARED), EXTENT_DESTINATION, &map),
        -EOPNOTSUPP);
    cr_expect_eq(
        take(written(0, BLOCK, BLOCK, FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_SHARED), EXTENT_DESTINATION, &map),
        -EOPNOTSUPP);
}

Test(extents, an_answer_that_is_full_ends_with_its_last_extent)
{
    struct fiemap_extent found[EXTENTS];
    struct extent_map map;
    for (unsigned i = 0; i < EXTENTS; i++)
        found[i] = written(2 * i * BLOCK, BLOCK, i * BLOCK, 0);
    cr_assert_eq(extents_take(found, EXTENTS, 0, 1000 * BLOCK, EXTENT_SOURCE, &map), 0);
    cr_expect_eq(map.end, (2 * EXTENTS - 1) * BLOCK);
    found[EXTENTS - 1].fe_flags = FIEMAP_EXTENT_LAST;
    cr_assert_eq(extents_take(found, EXTENTS, 0, 1000 * BLOCK, EXTENT_SOURCE, &map), 0);
    cr_expect_eq(map.end, 1000 * BLOCK);
}

Test(extents, an_answer_out_of_order_is_none)
{
    struct fiemap_extent found[2] = {written(BLOCK, BLOCK, 0, 0), written(0, BLOCK, BLOCK, 0)};
    struct extent_map map;
    cr_expect_eq(extents_take(found, 2, 0, 8 * BLOCK, EXTENT_SOURCE, &map), -EIO);
    struct fiemap_extent beyond = written(2 * BLOCK, UINT64_MAX, 0, 0);
    cr_expect_eq(extents_take(&beyond, 1, 0, 8 * BLOCK, EXTENT_SOURCE, &map), -EIO);
}

/* ---- runs ---- */

static const struct disk_pair disks = {.block = 512, .ranges = 2, .range_bytes = 3 * BLOCK, .command_bytes = 4 * BLOCK};

static struct placement whole_disk(uint64_t on_disk)
{
    return (struct placement){.count = 1, .parts = {{0, 1000000 * BLOCK, on_disk}}};
}

Test(runs, ranges_end_where_an_extent_a_part_or_a_limit_does)
{
    struct extent_map source = {0, 8 * BLOCK, 2, {{0, 5 * BLOCK, 100 * BLOCK}, {5 * BLOCK, 3 * BLOCK, 300 * BLOCK}}};
    struct extent_map destination = {0, 8 * BLOCK, 1, {{0, 8 * BLOCK, 9 * BLOCK}}};
    struct placement first = whole_disk(0);
    struct placement second = {.count = 2, .parts = {{0, 10 * BLOCK, 512}, {10 * BLOCK, 10 * BLOCK, 50 * BLOCK}}};
    struct disk_range wanted[] = {{100 * BLOCK, 9 * BLOCK + 512, BLOCK},
                                  {101 * BLOCK, 50 * BLOCK, 3 * BLOCK},
                                  {104 * BLOCK, 53 * BLOCK, BLOCK},
                                  {300 * BLOCK, 54 * BLOCK, 3 * BLOCK}};
    struct run run;
    cr_assert(run_make(&run, &disks, (struct run_side){&source, &first, 0}, (struct run_side){&destination, &second, 0},
                       8 * BLOCK));
    cr_assert_eq(run.count, 4);
    cr_expect_eq(run.n, 8 * BLOCK);
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(run.ranges[i].from, wanted[i].from, "range %d from %lu", i, run.ranges[i].from);
        cr_expect_eq(run.ranges[i].to, wanted[i].to, "range %d to %lu", i, run.ranges[i].to);
        cr_expect_eq(run.ranges[i].n, wanted[i].n, "range %d of %lu", i, run.ranges[i].n);
    }
    uint64_t n;
    cr_expect_eq(run_command(&run, &disks, 0, &n), 2);
    cr_expect_eq(n, 4 * BLOCK);
    cr_expect_eq(run_command(&run, &disks, 2, &n), 2);
    cr_expect_eq(n, 4 * BLOCK);
    cr_expect_eq(run_command(&run, &disks, 3, &n), 1);
    struct disk_pair many = disks;
    many.ranges = 8;
    cr_expect_eq(run_command(&run, &many, 0, &n), 2, "by their bytes");
}

Test(runs, what_is_not_of_whole_blocks_or_lies_beyond_is_refused)
{
    struct extent_map map = {0, 8 * BLOCK, 1, {{0, 8 * BLOCK, 0}}};
    struct placement good = whole_disk(512), odd = whole_disk(256);
    struct placement small = {.count = 1, .parts = {{0, 4 * BLOCK, 0}}};
    struct run run;
    cr_expect(run_make(&run, &disks, (struct run_side){&map, &good, 0}, (struct run_side){&map, &good, 0}, 8 * BLOCK));
    cr_expect_not(
        run_make(&run, &disks, (struct run_side){&map, &odd, 0}, (struct run_side){&map, &good, 0}, 8 * BLOCK));
    cr_expect_not(
        run_make(&run, &disks, (struct run_side){&map, &good, 0}, (struct run_side){&map, &odd, 0}, 8 * BLOCK));
    cr_expect_not(
        run_make(&run, &disks, (struct run_side){&map, &good, 0}, (struct run_side){&map, &small, 0}, 8 * BLOCK));
}

Test(runs, a_run_has_so_many_ranges_and_no_more)
{
    struct extent_map map = {0, 1000 * BLOCK, 1, {{0, 1000 * BLOCK, 0}}};
    struct placement place = whole_disk(0);
    struct run run, other;
    cr_assert(
        run_make(&run, &disks, (struct run_side){&map, &place, 0}, (struct run_side){&map, &place, 0}, 1000 * BLOCK));
    cr_expect_eq(run.count, RUN_RANGES);
    cr_expect_eq(run.n, RUN_RANGES * 3 * BLOCK);
    other = run;
    cr_expect(run_same(&run, &other));
    other.ranges[RUN_RANGES - 1].to += BLOCK;
    cr_expect_not(run_same(&run, &other));
    other = run;
    other.n -= BLOCK;
    cr_expect_not(run_same(&run, &other));
    other = run;
    other.count--;
    cr_expect_not(run_same(&run, &other));
    cr_expect_not(run_same(&other, &run));
}

/* ---- where devices lie ---- */

static void plant(void)
{
    sysfstree_plant();
    sysfstree_put("8:0", "size", "2048\n");
    sysfstree_put("8:0", "dev", "8:0\n");
    sysfstree_link("8:0", "device/subsystem", "../../../bus/scsi");
    sysfstree_put("8:16", "size", "4096\n");
    sysfstree_link("8:16", "device/subsystem", "../../../class/nvme");
    sysfstree_put("9:0", "size", "2048\n");
    sysfstree_put("9:0", "md/level", "raid1\n");
    sysfstree_put("254:0", "size", "2048\n");
    sysfstree_link("254:0", "device/subsystem", "../../../bus/virtio");
}

TestSuite(placements, .init = plant, .fini = sysfstree_uproot);

Test(placements, a_disk_lies_on_itself)
{
    struct placement p;
    uint64_t n;
    cr_assert_eq(placement_find(makedev(8, 0), &p), REASON_NONE);
    cr_expect_eq(p.disk, makedev(8, 0));
    cr_expect_eq(placement_of(&p, 4096, &n), 4096);
    cr_expect_eq(n, 2048 * 512 - 4096);
    placement_of(&p, 2048 * 512, &n);
    cr_expect_eq(n, 0);
    cr_expect(placement_is_scsi(makedev(8, 0)));
    cr_expect_not(placement_is_nvme(makedev(8, 0)));
    cr_expect(placement_is_nvme(makedev(8, 16)));
}

/* Zones are written in order, which the kernel counts. */
Test(placements, no_zoned_disk)
{
    struct placement p;
    sysfstree_put("8:0", "queue/nr_zones", "0\n");
    sysfstree_put("8:16", "queue/nr_zones", "16\n");
    cr_expect_eq(placement_find(makedev(8, 0), &p), REASON_NONE);
    cr_expect_eq(placement_find(makedev(8, 16), &p), REASON_NOT_A_DISK);
}

Test(placements, the_same_are_told_from_others)
{
    const struct placement was = {.disk = 1, .count = 2, .parts = {{0, 8, 100}, {8, 8, 300}}};
    struct placement is = was;
    cr_expect(placement_same(&was, &is));
    is.disk = 2;
    cr_expect_not(placement_same(&was, &is), "another disk");
    is = was;
    is.parts[1].on_disk = 301;
    cr_expect_not(placement_same(&was, &is), "another place");
    is = was;
    is.count = 1;
    cr_expect_not(placement_same(&was, &is), "fewer pieces");
    cr_expect_not(placement_same(&is, &was), "more pieces");
}

/* In sysfs a partition's folder lies in its disk's. */
static void put_partition(const char *size, const char *start)
{
    char path[600];
    sysfstree_put("8:0", "sda1/size", size);
    sysfstree_put("8:0", "sda1/start", start);
    sysfstree_put("8:0", "sda1/partition", "1\n");
    snprintf(path, sizeof path, "%s/8:1", sysfstree);
    cr_assert_eq(symlink("8:0/sda1", path), 0);
}

Test(placements, a_partition_lies_where_it_starts)
{
    struct placement p;
    uint64_t n;
    put_partition("1000\n", "63\n");
    cr_assert_eq(placement_find(makedev(8, 1), &p), REASON_NONE);
    cr_expect_eq(p.disk, makedev(8, 0));
    cr_expect_eq(placement_of(&p, 512, &n), 64 * 512);
    cr_expect_eq(n, 999 * 512);
}

Test(placements, a_partition_that_reaches_beyond_its_disk_is_refused)
{
    struct placement p;
    put_partition("2000\n", "63\n");
    cr_expect_eq(placement_find(makedev(8, 1), &p), REASON_NOT_A_DISK);
}

Test(placements, what_is_neither_is_refused)
{
    struct placement p;
    cr_expect_eq(placement_find(makedev(9, 0), &p), REASON_NOT_A_DISK);
    cr_expect_eq(placement_find(makedev(254, 0), &p), REASON_NOT_A_DISK);
    cr_expect_eq(placement_find(makedev(7, 7), &p), REASON_NOT_A_DISK);
    sysfstree_put("8:32", "size", "not a number\n");
    cr_expect_eq(placement_find(makedev(8, 32), &p), REASON_NOT_A_DISK);
    sysfstree_put("8:32", "size", "99999999999999999999999\n");
    cr_expect_eq(placement_find(makedev(8, 32), &p), REASON_NOT_A_DISK);
    sysfstree_put("8:32", "size", "18446744073709551615\n");
    cr_expect_eq(placement_find(makedev(8, 32), &p), REASON_NOT_A_DISK);
}

/* ---- the device mapper's tables ---- */

static uint32_t add_target(char *data, uint32_t at, const char *type, const char *words)
{
    struct dm_target_spec spec = {.sector_start = 8 * (at != 0), .length = 8};
    uint32_t next = (uint32_t)(at + sizeof spec + strlen(words) + 1 + 7) / 8 * 8;
    spec.next = next;
    memcpy(spec.target_type, type, strlen(type) + 1);
    memcpy(data + at, &spec, sizeof spec);
    memcpy(data + at + sizeof spec, words, strlen(words) + 1);
    return next;
}

static int parse(const char *type, const char *words)
{
    char data[512] = "";
    struct mapper_target targets[MAPPER_TARGETS];
    uint32_t n = add_target(data, 0, type, words);
    return mapper_parse(data, n, 1, targets);
}

Test(mapper, linear_targets_are_taken_apart)
{
    char data[512] = "";
    struct mapper_target targets[MAPPER_TARGETS];
    uint32_t n = add_target(data, 0, "linear", "8:1 2048");
    n = add_target(data, n, "linear", "259:3 63");
    cr_assert_eq(mapper_parse(data, n, 2, targets), 2);
    cr_expect_eq(targets[0].device, makedev(8, 1));
    cr_expect_eq(targets[0].offset, 2048 * 512);
    cr_expect_eq(targets[1].at, 8 * 512);
    cr_expect_eq(targets[1].n, 8 * 512);
    cr_expect_eq(targets[1].device, makedev(259, 3));
    cr_expect_eq(targets[1].offset, 63 * 512);
}

Test(mapper, others_are_not)
{
    cr_expect_eq(parse("linear", "8:1 2048"), 1);
    cr_expect_eq(parse("linear2", "8:1 2048"), -1);
    cr_expect_eq(parse("crypt", "8:1 2048"), -1);
    cr_expect_eq(parse("linear", "8:1 2048 more"), -1);
    cr_expect_eq(parse("linear", "/dev/sda1 2048"), -1);
    cr_expect_eq(parse("linear", "8:1"), -1);
    cr_expect_eq(parse("linear", "8:1 99999999999999999999"), -1);
    cr_expect_eq(parse("linear", ""), -1);
}

Test(mapper, what_is_cut_off_is_refused)
{
    char data[512] = "";
    struct mapper_target targets[MAPPER_TARGETS];
    uint32_t n = add_target(data, 0, "linear", "8:1 2048");
    memset(data + n, 'x', sizeof data - n);
    for (uint32_t size = 0; size < sizeof(struct dm_target_spec) + 9; size++)
        cr_expect_eq(mapper_parse(data, size, 1, targets), -1, "%u bytes", size);
    cr_expect_eq(mapper_parse(data, n, 2, targets), -1);
    cr_expect_eq(mapper_parse(data, n, MAPPER_TARGETS + 1, targets), -1);
    struct dm_target_spec spec;
    memcpy(&spec, data, sizeof spec);
    spec.next = UINT32_MAX;
    memcpy(data, &spec, sizeof spec);
    cr_expect_eq(mapper_parse(data, n, 2, targets), -1);
}

Test(text, numbers)
{
    const char *at = "18446744073709551615x";
    uint64_t number;
    cr_expect(text_number(&at, &number));
    cr_expect_eq(number, UINT64_MAX);
    cr_expect_str_eq(at, "x");
    at = "18446744073709551616";
    cr_expect_not(text_number(&at, &number));
    at = "-1";
    cr_expect_not(text_number(&at, &number));
}
