/*
 * The array engine on devices themselves: loop devices over memory, which take SCSI disks' places in the tree that the
 * engine sees, and whose copying is played by this test. Needs root; skipped elsewhere.
 */
#include "core/copy.h"
#include "core/exact.h"
#include "core/settings.h"
#include "engines/array/disks.h"
#include "engines/array/mapper.h"
#include "engines/array/suits.h"
#include "engines/engine.h"

#include "files.h"
#include "sysfstree.h"

/* Before linux/fs.h, whose macros are this one's names in glibc before 2.36. */
#include <sys/mount.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define SIZE (8 * MIB)
#define N (3 * MIB)
#define FROM MIB
#define TO (2 * MIB)
#define VOLUME_DISK makedev(8, 64)

/* ---- two devices ---- */

struct device {
    int memory; /* what a loop device lies in */
    int fd, past_cache;
    dev_t number;
    char node[64]; /* its own, which nobody else watches */
};

static struct device source, destination;
static char one_folder[300];
static unsigned commands;
static enum reason answer;
static void (*meanwhile)(void);
/* One of the two, which is a volume: it lies on a disk of another number, from there on. */
static dev_t volume;
static uint64_t volume_at;

static dev_t disk_of(const struct device *d)
{
    return d->number == volume ? VOLUME_DISK : d->number;
}

/* Attaches a loop device to memory filled by that seed. It is gone when nobody has it open. */
static void attach(struct device *d, unsigned seed)
{
    char path[32], *bytes = malloc(SIZE);
    struct stat st;
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (getuid() || control < 0)
        cr_skip_test("no loop devices, or not root");
    d->memory = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = file_byte(i, seed);
    cr_assert_eq(write(d->memory, bytes, SIZE), (ssize_t)SIZE);
    free(bytes);
    struct loop_config config = {.fd = (uint32_t)d->memory, .block_size = 512, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    int loop = -1;
    /* Another may take the same one at the same time. */
    for (int tries = 0; tries < 100; tries++) {
        snprintf(path, sizeof path, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
        loop = open(path, O_RDWR | O_CLOEXEC);
        if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) == 0)
            break;
        close(loop);
        loop = -1;
    }
    close(control);
    if (loop < 0)
        cr_skip_test("no loop device can be had");
    fstat(loop, &st);
    d->number = st.st_rdev;
    snprintf(d->node, sizeof d->node, "/tmp/offload-unit-disk%u.%d", seed, getpid());
    cr_assert_eq(mknod(d->node, S_IFBLK | 0600, d->number), 0);
    d->fd = open(d->node, O_RDWR | O_CLOEXEC);
    d->past_cache = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    cr_assert(d->fd >= 0 && d->past_cache >= 0);
    close(loop);
}

/* ---- the disks ---- */

static enum reason play_open(struct disk_pair *pair, dev_t from, dev_t to)
{
    *pair = (struct disk_pair){
        .source = -1,
        .destination = -1,
        .disks = {from, to},
        .block = 512,
        .sector = 512,
        .ranges = 1,
        .range_bytes = MIB,
        .command_bytes = MIB,
        .timeout_ms = 60000,
    };
    return answer;
}

static int play_copy(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    char *bytes = aligned_alloc(4096, MIB);
    cr_assert(count == 1 && pair->disks[0] == disk_of(&source) && pair->disks[1] == disk_of(&destination));
    commands++;
    if (meanwhile)
        meanwhile();
    cr_assert_eq(pread(source.past_cache, bytes, ranges->n, (off_t)ranges->from), (ssize_t)ranges->n);
    cr_assert_eq(pwrite(destination.past_cache, bytes, ranges->n, (off_t)ranges->to), (ssize_t)ranges->n);
    free(bytes);
    return 1;
}

static void play_close(struct disk_pair *pair)
{
    (void)pair;
}

static const struct disk_engine play = {.name = "play", .open = play_open, .copy = play_copy, .close = play_close};

static void plant(void)
{
    sysfstree_plant();
    sysfstree_put_scsi(source.number, SIZE / 512);
    sysfstree_put_scsi(destination.number, SIZE / 512);
    sysfstree_put_scsi(VOLUME_DISK, SIZE / 512 + 8);
    /* A device's has one folder, as that of a process has with one thread. */
    snprintf(one_folder, sizeof one_folder, "%s/%u:%u", sysfstree, major(VOLUME_DISK), minor(VOLUME_DISK));
    suits_threads = one_folder;
}

static void begin(void)
{
    attach(&source, 1);
    attach(&destination, 2);
    plant();
    disks_instead = &play;
    answer = REASON_NONE;
    meanwhile = NULL;
}

static void end(void)
{
    sysfstree_uproot();
    if (*source.node)
        unlink(source.node);
    if (*destination.node)
        unlink(destination.node);
}

TestSuite(arraydevices, .init = begin, .fini = end, .timeout = 60);

/* ---- copies ---- */

static struct file_pair pair_of(void)
{
    return (struct file_pair){
        .source = source.fd,
        .destination = destination.fd,
        .source_device = source.number,
        .destination_device = destination.number,
        .raw_source = true,
        .raw_destination = true,
        .block = 4096,
        .kernel = session_kernel(),
    };
}

static int64_t copy_devices(void)
{
    struct file_pair pair = pair_of();
    return engine_array.copy(&pair, FROM, TO, N);
}

/* Whether the device has the source's bytes in the part that was copied, and its own elsewhere. */
static bool is_copied(int fd)
{
    char *bytes = aligned_alloc(4096, SIZE);
    size_t i = 0;
    cr_assert_eq(pread(fd, bytes, SIZE, 0), (ssize_t)SIZE);
    while (i < SIZE && bytes[i] == (i >= TO && i < TO + N ? file_byte(i - TO + FROM, 1) : file_byte(i, 2)))
        i++;
    free(bytes);
    return i == SIZE;
}

static void fill(const struct device *d, size_t at, size_t n, size_t first, unsigned seed)
{
    char *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = file_byte(first + i, seed);
    cr_assert_eq(pwrite(d->fd, bytes, n, (off_t)at), (ssize_t)n);
    free(bytes);
}

Test(arraydevices, the_disks_copy_a_part_and_nothing_else)
{
    cr_expect_not(is_copied(destination.fd), "and what it has is in memory now");
    cr_expect_eq(copy_devices(), N);
    cr_expect_eq(commands, 3);
    cr_expect(is_copied(destination.fd), "in memory");
    cr_expect(is_copied(destination.past_cache), "on the disk");
}

Test(arraydevices, what_is_dirty_of_either_is_written_first)
{
    /* The disk has other bytes than memory. */
    fill(&source, FROM, N, 0, 7);
    fsync(source.fd);
    fill(&source, FROM, N, FROM, 1);
    fill(&destination, TO, N, 0, 9);
    cr_expect_eq(copy_devices(), N);
    cr_expect_eq(commands, 3);
    cr_expect(is_copied(destination.fd), "in memory");
    fsync(destination.fd);
    cr_expect(is_copied(destination.past_cache), "on the disk");
}

/* The first fsync(2) after it tells of it, the program's or that of who opens the device next. */
static void expect_told_once(int fd)
{
    cr_expect(fsync(fd) < 0 && errno == EIO, "the program is not told");
    cr_expect_eq(fsync(fd), 0);
}

static void fail_writes(const struct device *d, size_t at)
{
    fill(d, at, 65536, 0, 7);
    cr_assert_eq(fcntl(d->memory, F_ADD_SEALS, F_SEAL_WRITE), 0);
}

Test(arraydevices, a_write_that_fails_in_the_destination_is_the_programs_to_be_told_of)
{
    fail_writes(&destination, TO);
    cr_expect_lt(copy_devices(), 0);
    cr_expect_eq(commands, 0);
    expect_told_once(destination.fd);
}

Test(arraydevices, a_write_that_fails_behind_the_first_mebibyte_too)
{
    fail_writes(&destination, TO + 2 * MIB);
    cr_expect_lt(copy_devices(), 0);
    cr_expect_eq(commands, 0);
    expect_told_once(destination.fd);
}

Test(arraydevices, a_write_that_failed_is_told_to_who_opens_the_source_next)
{
    fail_writes(&source, FROM);
    cr_expect_lt(copy_devices(), 0);
    cr_expect_eq(commands, 0);
    int next = open(source.node, O_RDWR | O_CLOEXEC);
    expect_told_once(next);
    close(next);
}

Test(arraydevices, no_time_of_access_moves)
{
    struct stat was[2], is[2];
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    futimens(source.fd, old);
    futimens(destination.fd, old);
    fstat(source.fd, &was[0]);
    fstat(destination.fd, &was[1]);
    cr_expect_eq(copy_devices(), N);
    fstat(source.fd, &is[0]);
    fstat(destination.fd, &is[1]);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(was[i].st_atim.tv_sec, is[i].st_atim.tv_sec, "of %d", i);
    cr_expect_neq(was[1].st_mtim.tv_sec, is[1].st_mtim.tv_sec, "it was written");
}

/* ---- who else uses them ---- */

Test(arraydevices, what_another_holds_is_left_alone)
{
    struct file_pair pair = pair_of();
    for (int i = 0; i < 2; i++) {
        int holder = open(i ? destination.node : source.node, O_RDONLY | O_EXCL | O_CLOEXEC);
        cr_assert_geq(holder, 0);
        cr_expect_eq(engine_array.refuses(&pair), REASON_CLAIMED);
        cr_expect_lt(copy_devices(), 0);
        close(holder);
    }
    cr_expect_eq(commands, 0);
    cr_expect_eq(engine_array.refuses(&pair), REASON_NONE);
    int holder = open(source.node, O_RDONLY | O_EXCL | O_CLOEXEC);
    cr_expect_geq(holder, 0, "nothing is held any more");
    close(holder);
}

static bool was_opened(int watcher)
{
    char events[4096];
    return read(watcher, events, sizeof events) > 0;
}

Test(arraydevices, disks_that_cannot_copy_are_not_claimed)
{
    struct file_pair pair = pair_of();
    int watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    inotify_add_watch(watcher, source.node, IN_OPEN);
    inotify_add_watch(watcher, destination.node, IN_OPEN);
    answer = REASON_DISK_CANNOT;
    cr_expect_eq(engine_array.refuses(&pair), REASON_DISK_CANNOT);
    cr_expect_not(was_opened(watcher));
    answer = REASON_NONE;
    cr_expect_eq(engine_array.refuses(&pair), REASON_NONE);
    cr_expect(was_opened(watcher), "this would have been seen");
    close(watcher);
}

/* In a /proc of somebody's own making, the descriptors' numbers lead to other devices. */
static void link_number(int fd, const char *target)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cr_assert_eq(symlink(target, path), 0);
}

/* In which they lead to the two devices. It is there until the process ends. */
static void make_own_proc(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
        cr_skip_test("no mounts of its own");
    cr_assert_eq(system("mkdir -p /proc/self/fd /proc/sys/fs"), 0);
    link_number(source.fd, source.node);
    link_number(destination.fd, destination.node);
}

static void say_leases_last(const char *seconds)
{
    FILE *out = fopen("/proc/sys/fs/lease-break-time", "w");
    cr_assert_not_null(out);
    fputs(seconds, out);
    fclose(out);
}

Test(arraydevices, what_is_claimed_is_the_device_itself)
{
    struct file_pair pair = pair_of();
    make_own_proc();
    say_leases_last("45");
    cr_expect_eq(engine_array.refuses(&pair), REASON_NONE);
    cr_assert_eq(system("rm /proc/self/fd/*"), 0);
    link_number(source.fd, destination.node);
    link_number(destination.fd, source.node);
    cr_expect_eq(engine_array.refuses(&pair), REASON_CLAIMED);
}

Test(arraydevices, no_command_is_sent_where_a_lease_may_be_too_short)
{
    static const struct {
        const char *seconds;
        enum reason why;
    } turns[] = {{"0", REASON_NONE}, {"20", REASON_NO_LEASE}, {"21", REASON_NONE}, {"", REASON_NO_LEASE}};
    struct file_pair pair = pair_of();
    make_own_proc();
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        say_leases_last(turns[i].seconds);
        cr_expect_eq(engine_array.refuses(&pair), turns[i].why, "'%s' seconds", turns[i].seconds);
    }
}

Test(arraydevices, nothing_is_held_after_a_call)
{
    cr_expect_eq(copy_devices(), N);
    for (int i = 0; i < 2; i++) {
        int holder = open(i ? destination.node : source.node, O_RDONLY | O_EXCL | O_CLOEXEC);
        cr_expect_geq(holder, 0, "%d", i);
        close(holder);
    }
}

static int lowest;

static void expect_lowest(void)
{
    int fd = dup(source.fd);
    cr_expect_eq(fd, lowest, "a number that the program would be given is taken");
    close(fd);
}

Test(arraydevices, no_number_is_taken_that_the_program_would_be_given)
{
    lowest = dup(source.fd);
    close(lowest);
    meanwhile = expect_lowest;
    cr_expect_eq(copy_devices(), N);
}

Test(arraydevices, what_may_not_be_written_to_is_not)
{
    struct file_pair pair = pair_of();
    int on = 1, off = 0;
    cr_assert_eq(ioctl(destination.fd, BLKROSET, &on), 0);
    cr_expect_eq(engine_array.refuses(&pair), REASON_NOT_WRITABLE);
    cr_expect_lt(copy_devices(), 0);
    cr_expect_eq(commands, 0);
    cr_assert_eq(ioctl(destination.fd, BLKROSET, &off), 0);
    cr_expect_eq(copy_devices(), N);
}

Test(arraydevices, a_lock_of_the_programs_own_stays)
{
    for (int i = 0; i < 2; i++) {
        int fd = i ? destination.fd : source.fd;
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
        struct file_pair pair = pair_of();
        cr_assert_eq(fcntl(fd, F_SETLK, &lock), 0);
        cr_expect_eq(engine_array.refuses(&pair), REASON_CLAIMED);
        cr_expect_lt(copy_devices(), 0);
        cr_expect_eq(fcntl(fd, F_OFD_GETLK, &lock), 0);
        cr_expect_eq(lock.l_type, F_WRLCK, "it is gone");
        lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
        cr_assert_eq(fcntl(fd, F_SETLK, &lock), 0);
    }
    cr_expect_eq(commands, 0);
}

static long pages_mapped(void)
{
    long pages = 0;
    FILE *in = fopen("/proc/self/statm", "re");
    cr_assert_not_null(in);
    cr_assert_eq(fscanf(in, "%ld", &pages), 1);
    fclose(in);
    return pages;
}

Test(arraydevices, no_memory_is_left_behind)
{
    copy_devices();
    long before = pages_mapped();
    for (int i = 0; i < 8; i++)
        copy_devices();
    cr_expect_lt(pages_mapped() - before, 64, "%ld pages", pages_mapped() - before);
}

Test(arraydevices, blocks_are_no_smaller_than_those_of_files)
{
    struct file_pair pair = pair_of();
    pair.block = 512;
    cr_expect_eq(engine_array.granule(&pair), 4096);
    pair.block = 65536;
    cr_expect_eq(engine_array.granule(&pair), 65536);
}

/* ---- devices that move ---- */

static int play_table(dev_t device, struct mapper_target targets[MAPPER_TARGETS])
{
    cr_assert_eq(device, volume);
    targets[0] = (struct mapper_target){.n = SIZE, .offset = volume_at, .device = VOLUME_DISK};
    return 1;
}

static void make_volume(const struct device *d)
{
    char number[32];
    snprintf(number, sizeof number, "%u:%u", major(d->number), minor(d->number));
    sysfstree_put(number, "dm/uuid", "LVM-1\n");
    volume = d->number;
    volume_at = 0;
    mapper_instead = play_table;
}

/* As pvmove(8) does: its table is another one. */
static void move(void)
{
    volume_at = 4096;
}

Test(arraydevices, a_volume_is_copied)
{
    struct file_pair pair = pair_of();
    make_volume(&destination);
    cr_expect_eq(engine_array.copy(&pair, FROM, TO, N), N);
    cr_expect_not(pair.array_failed);
    cr_expect(is_copied(destination.fd));
}

Test(arraydevices, a_volume_that_was_moved_meanwhile_is_found_out)
{
    for (int i = 0; i < 2; i++) {
        struct file_pair pair = pair_of();
        make_volume(i ? &destination : &source);
        meanwhile = move;
        cr_expect_eq(engine_array.copy(&pair, FROM, TO, N), N);
        cr_expect(pair.array_failed, "%d", i);
        cr_expect(is_copied(destination.fd));
        sysfstree_uproot();
        plant();
    }
}

/* What is taken for granted of a partition that is open: it cannot go, nor start elsewhere. */
Test(arraydevices, a_partition_that_is_open_stays)
{
    struct blkpg_partition part = {.start = MIB, .length = MIB, .pno = 1};
    struct blkpg_ioctl_arg arg = {.op = BLKPG_ADD_PARTITION, .datalen = sizeof part, .data = &part};
    char path[300], number[32] = "";
    unsigned first, second;
    if (ioctl(source.fd, BLKPG, &arg) < 0)
        cr_skip_test("no partitions on loop devices");
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/loop%up1/dev", major(source.number), minor(source.number),
             minor(source.number));
    FILE *in = fopen(path, "r");
    cr_assert(in && fgets(number, sizeof number, in) && sscanf(number, "%u:%u", &first, &second) == 2, "%s", path);
    fclose(in);
    snprintf(path, sizeof path, "%s.1", source.node);
    cr_assert_eq(mknod(path, S_IFBLK | 0600, makedev(first, second)), 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    cr_assert_geq(fd, 0);
    arg.op = BLKPG_DEL_PARTITION;
    cr_expect(ioctl(source.fd, BLKPG, &arg) < 0 && errno == EBUSY);
    arg.op = BLKPG_RESIZE_PARTITION;
    part.start += 4096;
    cr_expect(ioctl(source.fd, BLKPG, &arg) < 0 && errno == EINVAL);
    cr_expect(ioctl(source.fd, BLKRRPART) < 0);
    close(fd);
    arg.op = BLKPG_DEL_PARTITION;
    cr_expect_eq(ioctl(source.fd, BLKPG, &arg), 0);
}

/* ---- what the kernel does of its own ---- */

Test(arraydevices, a_range_that_the_kernel_would_refuse_is_not_copied)
{
    settings.engines = ~0U;
    struct copied_range asked = {.in = source.fd, .out = destination.fd, .n = N};
    cr_assert_eq(lseek(source.fd, FROM, SEEK_SET), FROM);
    cr_assert_eq(lseek(destination.fd, TO, SEEK_SET), TO);
    cr_expect(copy_file_range(source.fd, NULL, destination.fd, NULL, N, 0) < 0 && errno == EINVAL);
    cr_expect_eq(copy_range(&asked), 0);
    cr_expect_eq(commands, 0);
    /* What does not move the bytes through the program, and is allowed, is served. */
    size_t rest;
    cr_expect_eq(copy_between(destination.fd, source.fd, NULL, N, &rest), N);
    cr_expect(is_copied(destination.fd));
}

/* As a write of the bytes from `from` in the source to `to`. */
static enum reason write_exactly(char *bytes, off_t from, off_t to, size_t n)
{
    struct iovec piece = {bytes, n};
    struct program_write w = {.pieces = &piece, .count = 1, .n = n, .at = to};
    struct candidate c = {.source = source.fd, .destination = destination.fd, .from = from, .to = to, .n = n};
    struct session s = {0};
    settings.engines = ~0U;
    c.exact = REASON_PLACED;
    c.write = &w;
    cr_assert(guard_look(c.source, &c.source_state) && guard_look(c.destination, &c.destination_state));
    cr_assert_eq(pread(source.fd, bytes, n, from), (ssize_t)n);
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    s.window = s.engine->first_step;
    s.exact = true;
    enum reason why = exact_write(&s, &c);
    session_drop_proof(&s);
    return why;
}

Test(arraydevices, a_write_over_the_devices_end_is_the_programs)
{
    char *bytes = malloc(MIB);
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    struct stat st;
    futimens(destination.fd, old);
    cr_expect_eq(write_exactly(bytes, SIZE - MIB, SIZE - MIB / 2, MIB), REASON_SPACE);
    cr_expect_eq(write_exactly(bytes, 0, SIZE, MIB), REASON_SPACE);
    fstat(destination.fd, &st);
    cr_expect_eq(st.st_mtim.tv_sec, 2000, "nothing was written");
    cr_expect_eq(commands, 0);
    cr_expect_eq(write_exactly(bytes, 0, SIZE - MIB, MIB), REASON_NONE);
    cr_expect_eq(commands, 1);
    free(bytes);
}
