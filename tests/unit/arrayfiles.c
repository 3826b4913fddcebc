/*
 * The array engine on real files, of the file system that TMPDIR lies on, whose disk is played by this test: it copies
 * between places of the block device, past the page cache, as an array would. Needs root and a device of its own
 * (tests/unit.sh mounts one); skipped elsewhere.
 */
#include "engines/array/allocate.h"
#include "engines/array/disks.h"
#include "engines/array/extents.h"
#include "engines/array/lease.h"
#include "engines/array/placement.h"
#include "engines/array/suits.h"
#include "engines/array/sysfs.h"
#include "engines/engine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/session.h"
#include "files.h"
#include "sysfstree.h"

#define MIB ((size_t)1 << 20)
#define BLOCK ((size_t)4096)

/* ---- the disk ---- */

static char node[64];
static int device = -1;
static unsigned commands, failing; /* the command to fail, counted from 1 */
static bool half;                  /* it fails after it has copied */
static void (*meanwhile)(void);    /* what others do while it copies */
static int (*tells)(unsigned);     /* what it says of a command of so many ranges, which are all copied; NULL: that */
static struct disk_pair takes;     /* what open() says of it */
static int opened;

static enum reason play_open(struct disk_pair *pair, dev_t source, dev_t destination)
{
    *pair = takes;
    if (source != destination)
        return REASON_DISKS_APART;
    opened++;
    return REASON_NONE;
}

static int play_copy(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    commands++;
    if (meanwhile)
        meanwhile();
    if (commands == failing && !half)
        return -EIO;
    cr_assert_leq(count, pair->ranges);
    cr_assert_leq(pair->command_bytes, 64 * MIB, "who waits for a lease waits for too long");
    cr_assert_leq(3L * pair->timeout_ms, leases_last(), "a lost command could outlast the lease");
    char *bytes = aligned_alloc(BLOCK, MIB);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_leq(ranges[i].n, MIB);
        cr_assert_eq((ranges[i].from | ranges[i].to | ranges[i].n) % pair->block, 0);
        cr_assert_eq(pread(device, bytes, ranges[i].n, (off_t)ranges[i].from), (ssize_t)ranges[i].n);
        cr_assert_eq(pwrite(device, bytes, ranges[i].n, (off_t)ranges[i].to), (ssize_t)ranges[i].n);
    }
    free(bytes);
    if (tells)
        return tells(count);
    return commands == failing ? -EIO : (int)count;
}

static void play_close(struct disk_pair *pair)
{
    (void)pair;
    opened--;
}

static const struct disk_engine play = {.name = "play", .open = play_open, .copy = play_copy, .close = play_close};

static void begin(void)
{
    struct stat st;
    uint64_t bytes = 0;
    int probe = file_new();
    fstat(probe, &st);
    close(probe);
    snprintf(node, sizeof node, "/tmp/offload-unit-node.%d", getpid());
    if (getuid() || mknod(node, S_IFBLK | 0600, st.st_dev) < 0)
        cr_skip_test("not root");
    device = open(node, O_RDWR | O_DIRECT | O_CLOEXEC);
    unlink(node);
    if (device < 0 || ioctl(device, BLKGETSIZE64, &bytes) < 0)
        cr_skip_test("the file system for temporary files has no device of its own");
    sysfstree_plant();
    sysfstree_put_scsi(st.st_dev, bytes / 512);
    /* Which has one folder, as that of a process has with one thread. */
    suits_threads = sysfstree;
    disks_instead = &play;
    commands = failing = 0;
    half = false;
    meanwhile = NULL;
    tells = NULL;
    allocate_instead = NULL;
    takes = (struct disk_pair){
        .source = -1,
        .destination = -1,
        .block = 512,
        .sector = 512,
        .ranges = 1,
        .range_bytes = MIB,
        .command_bytes = MIB,
        .timeout_ms = 60000,
    };
}

static void end(void)
{
    cr_expect_eq(opened, 0, "the disks are still open");
    sysfstree_uproot();
    close(device);
}

TestSuite(arrayfiles, .init = begin, .fini = end);

/* ---- files ---- */

struct files {
    char source_path[300], destination_path[300];
    struct file_pair pair;
    size_t n;
};

static char *name(char path[300], const char *what)
{
    snprintf(path, 300, "%s/offload-unit-%s.%d", files_directory(), what, getpid());
    return path;
}

static void put_file(const char *path, size_t n, unsigned seed)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = file_byte(i, seed);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    free(bytes);
    close(fd);
}

/* Both open as a program has them that writes over a file. The destination's bytes are in the page cache. */
static struct files open_files(size_t n, size_t old)
{
    struct files f = {.n = n};
    struct statfs fs;
    struct stat st;
    put_file(name(f.source_path, "source"), n, 1);
    put_file(name(f.destination_path, "destination"), old, 2);
    f.pair.source = open(f.source_path, O_RDONLY | O_CLOEXEC);
    f.pair.destination = open(f.destination_path, O_WRONLY | O_CLOEXEC);
    cr_assert(f.pair.source >= 0 && f.pair.destination >= 0);
    fstat(f.pair.source, &st);
    fstatfs(f.pair.source, &fs);
    f.pair.source_device = f.pair.destination_device = st.st_dev;
    f.pair.source_fs = f.pair.destination_fs = (uint64_t)fs.f_type;
    f.pair.block = (unsigned)fs.f_bsize;
    f.pair.kernel = session_kernel();
    enum reason why = engine_array.refuses(&f.pair);
    if (why == REASON_NO_ARRAY_FS || why == REASON_KERNEL_TOO_OLD)
        cr_skip_test("not on this file system and kernel");
    cr_assert_eq(why, REASON_NONE, "refused: %s", reason_words(why));
    return f;
}

static void close_files(struct files *f)
{
    close(f->pair.source);
    close(f->pair.destination);
    unlink(f->source_path);
    unlink(f->destination_path);
}

/* The first `copied` bytes are the source's, the rest is what was there, in memory and on the disk. */
static void expect_bytes(struct files *f, size_t copied, size_t all)
{
    for (int turn = 0; turn < 2; turn++) {
        int fd = open(f->destination_path, O_RDONLY | O_CLOEXEC);
        char *bytes = malloc(all + 1);
        cr_assert_eq(pread(fd, bytes, all + 1, 0), (ssize_t)all, "it has another length");
        size_t i = 0;
        while (i < all && bytes[i] == file_byte(i, i < copied ? 1 : 2))
            i++;
        cr_expect_eq(i, all, "turn %d: byte %zu of %zu is wrong", turn, i, all);
        free(bytes);
        fsync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

/* What the program can see of its descriptors is as it was. */
static void expect_untouched(const struct files *f)
{
    sigset_t pending;
    for (int i = 0; i < 2; i++) {
        int fd = i ? f->pair.destination : f->pair.source;
        struct f_owner_ex owner = {0};
        cr_expect_eq(fcntl(fd, F_GETLEASE), F_UNLCK);
        cr_expect_eq(fcntl(fd, F_GETSIG), 0);
        cr_expect_eq(fcntl(fd, F_GETOWN_EX, &owner), 0);
        cr_expect_eq(owner.pid, 0);
        cr_expect_not(fcntl(fd, F_GETFL) & O_ASYNC);
        cr_expect_eq(lseek(fd, 0, SEEK_CUR), 0);
    }
    sigpending(&pending);
    cr_expect_not(sigismember(&pending, SIGIO));
}

static int64_t copy(struct files *f, size_t from, size_t to, size_t n)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int64_t copied = engine_array.copy(&f->pair, (off_t)from, (off_t)to, n);
    expect_untouched(f);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return copied;
}

/* As the core does, goes on until all is there or nothing more comes. */
static size_t copy_all(struct files *f, size_t n)
{
    size_t done = 0;
    while (done < n) {
        int64_t copied = copy(f, done, done, n - done);
        if (copied <= 0)
            break;
        done += (size_t)copied;
    }
    return done;
}

Test(arrayfiles, a_file_is_written_over_in_place)
{
    struct files f = open_files(5 * MIB, 5 * MIB);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(commands, 5);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, several_ranges_go_with_a_command)
{
    takes.ranges = 8;
    takes.range_bytes = 8 * BLOCK;
    struct files f = open_files(64 * BLOCK, 64 * BLOCK);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_leq(commands, 2, "%u", commands);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, a_part_is_written_and_nothing_else)
{
    struct files f = open_files(2 * MIB, 3 * MIB);
    cr_expect_eq(copy(&f, 0, 0, MIB + 3 * BLOCK), MIB + 3 * BLOCK);
    expect_bytes(&f, MIB + 3 * BLOCK, 3 * MIB);
    close_files(&f);
}

Test(arrayfiles, a_last_part_of_a_block_leaves_what_is_behind_it)
{
    struct files f = open_files(MIB + 100, 2 * MIB);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    expect_bytes(&f, f.n, 2 * MIB);
    close_files(&f);
}

Test(arrayfiles, a_destination_that_ends_within_a_block_has_it_written_plainly)
{
    struct files f = open_files(MIB + 1000, MIB + 10);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, what_is_dirty_in_memory_is_copied_and_what_is_cached_is_forgotten)
{
    struct files f = open_files(MIB, MIB);
    int reader = open(f.destination_path, O_RDONLY | O_CLOEXEC);
    char byte;
    cr_assert_eq(pread(reader, &byte, 1, MIB / 2), 1);
    close(reader);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, a_hole_of_the_source_makes_zeros)
{
    struct files f = open_files(MIB, MIB);
    cr_assert_eq(truncate(f.source_path, 0), 0);
    cr_assert_eq(truncate(f.source_path, (off_t)MIB), 0);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(commands, 0);
    char *bytes = calloc(2, MIB);
    int fd = open(f.destination_path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, bytes, MIB), (ssize_t)MIB);
    cr_expect_arr_eq(bytes, bytes + MIB, MIB);
    close(fd);
    free(bytes);
    close_files(&f);
}

Test(arrayfiles, a_failed_command_is_made_good_and_no_other_follows)
{
    for (int turn = 0; turn < 2; turn++) {
        struct files f = open_files(4 * MIB, 4 * MIB);
        commands = 0;
        failing = 2;
        half = turn;
        size_t done = copy_all(&f, f.n);
        cr_expect_eq(done, 2 * MIB, "%zu", done);
        cr_expect_eq(commands, 2);
        cr_expect(f.pair.array_failed);
        expect_bytes(&f, done, f.n);
        close_files(&f);
    }
}

Test(arrayfiles, who_has_the_files_open_is_respected)
{
    struct files f = open_files(MIB, MIB);
    int other = open(f.destination_path, O_RDONLY | O_CLOEXEC);
    cr_expect_lt(copy(&f, 0, 0, MIB), 0);
    cr_expect_eq(f.pair.why, REASON_NO_LEASE);
    close(other);
    other = open(f.source_path, O_WRONLY | O_CLOEXEC);
    cr_expect_lt(copy(&f, 0, 0, MIB), 0);
    cr_expect_eq(f.pair.why, REASON_NO_LEASE);
    close(other);
    expect_bytes(&f, 0, f.n);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    close_files(&f);
}

Test(arrayfiles, a_program_that_uses_its_descriptor_s_signals_keeps_them)
{
    struct files f = open_files(MIB, MIB);
    struct f_owner_ex us = {F_OWNER_PID, getpid()}, still;
    cr_assert_eq(fcntl(f.pair.source, F_SETOWN_EX, &us), 0);
    cr_expect_lt(engine_array.copy(&f.pair, 0, 0, MIB), 0);
    cr_expect_eq(f.pair.why, REASON_NO_LEASE);
    cr_assert_eq(fcntl(f.pair.source, F_GETOWN_EX, &still), 0);
    cr_expect_eq(still.pid, getpid());
    cr_expect_eq(still.type, F_OWNER_PID);
    close_files(&f);
}

/* ---- what a disk may say ---- */

/* The files are as they were, and no command was sent. */
static void expect_refused(struct files *f, enum reason why)
{
    commands = 0;
    cr_expect_lt(engine_array.copy(&f->pair, 0, 0, f->n), 0);
    cr_expect_eq(f->pair.why, why, "%s", reason_words(f->pair.why));
    cr_expect_eq(commands, 0);
    cr_expect_not(f->pair.array_failed);
}

Test(arrayfiles, no_command_outlasts_the_lease_or_holds_others_up_for_long)
{
    /* play_copy() asks. */
    takes.command_bytes = takes.range_bytes = 1024 * MIB;
    struct files f = open_files(MIB, MIB);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    close_files(&f);
}

Test(arrayfiles, a_disk_that_takes_nothing_is_refused)
{
    struct files f = open_files(MIB, MIB);
    struct disk_pair usual = takes;
    for (int i = 0; i < 4; i++) {
        takes = usual;
        if (i == 0)
            takes.block = 0;
        else if (i == 1)
            takes.ranges = 0;
        else if (i == 2)
            takes.range_bytes = 511;
        else
            takes.command_bytes = 511;
        cr_expect_eq(engine_array.refuses(&f.pair), REASON_DISK_CANNOT, "%d", i);
        expect_refused(&f, REASON_DISK_CANNOT);
    }
    close_files(&f);
}

static int tells_one(unsigned count)
{
    (void)count;
    return 1;
}

static int tells_more(unsigned count)
{
    return (int)count + 1;
}

static int tells_none(unsigned count)
{
    (void)count;
    return 0;
}

Test(arrayfiles, fewer_ranges_than_were_sent_are_taken_for_fewer)
{
    takes.ranges = 8;
    takes.range_bytes = 8 * BLOCK;
    tells = tells_one;
    struct files f = open_files(64 * BLOCK, 64 * BLOCK);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_geq(commands, 8, "each range was to be sent again until it is said to be copied");
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, what_cannot_be_is_a_failure)
{
    int (*const answers[])(unsigned) = {tells_more, tells_none};
    for (size_t i = 0; i < 2; i++) {
        struct files f = open_files(2 * MIB, 2 * MIB);
        commands = 0;
        tells = answers[i];
        cr_expect_eq(copy_all(&f, f.n), MIB);
        cr_expect_eq(commands, 1);
        cr_expect(f.pair.array_failed);
        expect_bytes(&f, MIB, f.n);
        close_files(&f);
    }
}

static void fill_the_quota(void)
{
    struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    if (commands == failing)
        setrlimit(RLIMIT_FSIZE, &none);
}

/* The program's own call is to find it out: what is not there is not said to be. */
Test(arrayfiles, what_plain_calls_cannot_make_good_is_no_copy)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    for (failing = 1; failing <= 2; failing++) {
        struct files f = open_files(2 * MIB, 2 * MIB);
        commands = 0;
        meanwhile = fill_the_quota;
        int64_t copied = copy(&f, 0, 0, f.n);
        setrlimit(RLIMIT_FSIZE, &all);
        cr_expect_eq(copied, -EIO, "%ld", (long)copied);
        cr_expect_eq(commands, failing);
        cr_expect(f.pair.array_failed);
        cr_expect_lt(copy(&f, MIB, MIB, MIB), 0, "it is not asked again");
        cr_expect_eq(commands, failing);
        expect_bytes(&f, (failing - 1) * MIB, f.n);
        close_files(&f);
    }
}

static void takes_long(void)
{
    usleep(300000);
}

Test(arrayfiles, a_slow_disk_is_given_one_command_in_a_call)
{
    struct files f = open_files(4 * MIB, 4 * MIB);
    meanwhile = takes_long;
    cr_expect_eq(copy(&f, 0, 0, f.n), MIB);
    cr_expect_eq(commands, 1);
    expect_bytes(&f, MIB, f.n);
    close_files(&f);
}

/* ---- shapes ---- */

/* The destination's last block, which has other bytes behind its end than the source has. */
Test(arrayfiles, a_block_in_which_the_destination_ends_is_not_the_disks)
{
    struct files f = open_files(2 * MIB, MIB + 10);
    cr_expect_eq(copy(&f, 0, 0, MIB + BLOCK), MIB + BLOCK);
    cr_expect_eq(commands, 1);
    expect_bytes(&f, MIB + BLOCK, MIB + BLOCK);
    close_files(&f);
}

Test(arrayfiles, a_hole_at_the_sources_end_makes_the_destination_as_long)
{
    struct files f = open_files(MIB, MIB);
    struct stat st;
    cr_assert_eq(truncate(f.source_path, (off_t)(2 * MIB)), 0);
    cr_expect_eq(copy_all(&f, 2 * MIB), 2 * MIB);
    fstat(f.pair.destination, &st);
    cr_expect_eq(st.st_size, (off_t)(2 * MIB));
    close_files(&f);
}

/* Of twice as many pieces as one answer of the kernel has, with a hole behind each. */
Test(arrayfiles, a_source_of_many_pieces)
{
    size_t n = (size_t)4 * EXTENTS * BLOCK, i = 0;
    struct files f = open_files(n, n);
    int fd = open(f.source_path, O_RDWR | O_CLOEXEC);
    for (size_t at = BLOCK; at < n; at += 2 * BLOCK)
        cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, BLOCK), 0);
    close(fd);
    cr_expect_eq(copy_all(&f, n), n);
    cr_expect_gt(commands, 0);
    char *bytes = malloc(n);
    fd = open(f.destination_path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, bytes, n), (ssize_t)n);
    while (i < n && bytes[i] == (i / BLOCK % 2 ? 0 : file_byte(i, 1)))
        i++;
    cr_expect_eq(i, n, "byte %zu is wrong", i);
    free(bytes);
    close(fd);
    close_files(&f);
}

/* The file's blocks lie in the opposite order. False where the file system does not share extents. */
static bool turn_around(const char *path, size_t n)
{
    char donor[400];
    snprintf(donor, sizeof donor, "%s.donor", path);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(donor, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char block[BLOCK];
    bool shares = true;
    for (size_t at = 0; at < n; at += BLOCK) {
        cr_assert_eq(pread(from, block, BLOCK, (off_t)(n - BLOCK - at)), (ssize_t)BLOCK);
        cr_assert_eq(pwrite(to, block, BLOCK, (off_t)at), (ssize_t)BLOCK);
    }
    close(from);
    fsync(to);
    from = open(path, O_WRONLY | O_CLOEXEC);
    for (size_t at = 0; at < n && shares; at += BLOCK) {
        struct file_clone_range range = {to, n - BLOCK - at, BLOCK, at};
        shares = ioctl(from, FICLONERANGE, &range) == 0;
    }
    close(from);
    /* What is unlinked has its blocks for some time yet. */
    cr_assert_eq(ftruncate(to, 0), 0);
    close(to);
    unlink(donor);
    return shares;
}

Test(arrayfiles, both_of_many_pieces)
{
    size_t n = (size_t)3 * EXTENTS * BLOCK;
    struct files f = open_files(n, n);
    if (!turn_around(f.destination_path, n) || !turn_around(f.source_path, n)) {
        close_files(&f);
        cr_skip_test("the file system does not share extents");
    }
    cr_expect_eq(copy_all(&f, n), n);
    cr_expect_gt(commands, EXTENTS);
    expect_bytes(&f, n, n);
    close_files(&f);
}

Test(arrayfiles, what_is_not_of_whole_blocks_is_left_alone)
{
    struct files f = open_files(MIB, MIB);
    cr_expect_lt(engine_array.copy(&f.pair, 512, 0, BLOCK), 0);
    cr_expect_eq(f.pair.why, REASON_UNALIGNED);
    cr_expect_lt(engine_array.copy(&f.pair, 0, 512, BLOCK), 0);
    cr_expect_eq(f.pair.why, REASON_UNALIGNED);
    unsigned block = f.pair.block;
    f.pair.block = 512;
    cr_expect_eq(engine_array.granule(&f.pair), block, "the source's blocks count too");
    cr_expect_eq(commands, 0);
    expect_bytes(&f, 0, f.n);
    close_files(&f);
}

/* At one of two places at least, source and destination do not both lie on such blocks. */
Test(arrayfiles, what_does_not_lie_on_the_disks_blocks_is_left_alone)
{
    takes.block = 65536;
    struct files f = open_files(MIB, MIB);
    int refused = 0;
    for (size_t from = 0; from < 2 * BLOCK; from += BLOCK) {
        int64_t copied = copy(&f, from, 0, 2 * BLOCK);
        refused += copied < 0 && f.pair.why == REASON_DISK_FORMAT;
    }
    cr_expect_gt(refused, 0);
    close_files(&f);
}

/* ---- who asks, and for what ---- */

static void without(unsigned capability)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    cr_assert_eq(syscall(SYS_capget, &head, data), 0);
    data[0].effective &= ~(1U << capability);
    cr_assert_eq(syscall(SYS_capset, &head, data), 0);
}

static void with_all(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    cr_assert_eq(syscall(SYS_capget, &head, data), 0);
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    cr_assert_eq(syscall(SYS_capset, &head, data), 0);
}

Test(arrayfiles, a_process_without_one_of_the_rights_is_refused)
{
    static const unsigned needed[] = {CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_LEASE, CAP_FOWNER};
    struct files f = open_files(MIB, MIB);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        without(needed[i]);
        cr_expect_eq(engine_array.refuses(&f.pair), REASON_DISK_FORBIDDEN, "capability %u", needed[i]);
        expect_refused(&f, REASON_DISK_FORBIDDEN);
        with_all();
    }
    close_files(&f);
}

/* Another thread may have begun since the copy was found to be one. */
Test(arrayfiles, a_process_with_threads_is_refused)
{
    struct files f = open_files(MIB, MIB);
    char another[300];
    snprintf(another, sizeof another, "%s/another", sysfstree);
    cr_assert_eq(mkdir(another, 0700), 0);
    cr_expect_eq(engine_array.refuses(&f.pair), REASON_THREADS);
    expect_refused(&f, REASON_THREADS);
    close_files(&f);
}

static struct files *in_handler;

static void refuse_in_handler(int number)
{
    (void)number;
    cr_expect_eq(engine_array.refuses(&in_handler->pair), REASON_NO_MEMORY);
    expect_refused(in_handler, REASON_NO_MEMORY);
}

Test(arrayfiles, a_handler_with_a_stack_of_its_own_is_refused)
{
    struct files f = open_files(MIB, MIB);
    stack_t stack = {.ss_sp = malloc(MIB), .ss_size = MIB};
    struct sigaction action = {.sa_handler = refuse_in_handler, .sa_flags = SA_ONSTACK};
    in_handler = &f;
    cr_assert(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    raise(SIGUSR2);
    cr_expect_eq(engine_array.refuses(&f.pair), REASON_NONE);
    close_files(&f);
}

Test(arrayfiles, other_file_systems_and_older_kernels_are_refused)
{
    struct files f = open_files(MIB, MIB);
    struct file_pair is = f.pair;
    f.pair.source_fs = 0x1234;
    cr_expect_eq(engine_array.refuses(&f.pair), REASON_NO_ARRAY_FS);
    f.pair = is;
    f.pair.destination_fs = 0x1234;
    cr_expect_eq(engine_array.refuses(&f.pair), REASON_NO_ARRAY_FS);
    f.pair = is;
    f.pair.kernel = 6 << 16;
    cr_expect_eq(engine_array.refuses(&f.pair), REASON_KERNEL_TOO_OLD);
    close_files(&f);
}

static bool set_flag(int fd, long flag)
{
    return ioctl(fd, FS_IOC_SETFLAGS, &flag) == 0;
}

Test(arrayfiles, files_with_flags_are_not_plain)
{
    static const long flags[] = {FS_IMMUTABLE_FL, FS_APPEND_FL, FS_JOURNAL_DATA_FL};
    struct files f = open_files(MIB, MIB);
    for (size_t i = 0; i < 2 * sizeof flags / sizeof *flags; i++) {
        int fd = i % 2 ? f.pair.source : f.pair.destination;
        /* Not every file system has the last one. */
        if (!set_flag(fd, flags[i / 2]))
            continue;
        cr_expect_eq(engine_array.refuses(&f.pair), REASON_NOT_PLAIN, "flag %lx, %zu", flags[i / 2], i);
        expect_refused(&f, REASON_NOT_PLAIN);
        cr_assert(set_flag(fd, 0));
    }
    close_files(&f);
}

Test(arrayfiles, a_write_that_takes_rights_from_the_file_is_the_programs)
{
    /* CAP_NET_RAW, in the form of VFS_CAP_REVISION_2 (linux/capability.h). */
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20};
    struct files f = open_files(MIB, MIB);
    static const mode_t modes[] = {S_ISUID | 0700, S_ISGID | 0710};
    for (int i = 0; i < 2; i++) {
        fchmod(f.pair.destination, modes[i]);
        cr_expect_eq(engine_array.refuses(&f.pair), REASON_SET_ID);
        expect_refused(&f, REASON_SET_ID);
    }
    fchmod(f.pair.destination, 0700);
    cr_assert_eq(fsetxattr(f.pair.destination, "security.capability", capability, sizeof capability, 0), 0);
    expect_refused(&f, REASON_SET_ID);
    cr_assert_eq(fremovexattr(f.pair.destination, "security.capability"), 0);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    close_files(&f);
}

Test(arrayfiles, a_lease_or_a_signal_of_the_programs_own_stays)
{
    struct files f = open_files(MIB, MIB);
    cr_assert_eq(fcntl(f.pair.source, F_SETLEASE, F_RDLCK), 0);
    struct f_owner_ex nobody = {F_OWNER_PID, 0};
    cr_assert_eq(fcntl(f.pair.source, F_SETOWN_EX, &nobody), 0);
    expect_refused(&f, REASON_NO_LEASE);
    cr_expect_eq(fcntl(f.pair.source, F_GETLEASE), F_RDLCK);
    cr_assert_eq(fcntl(f.pair.source, F_SETLEASE, F_UNLCK), 0);
    cr_assert_eq(fcntl(f.pair.destination, F_SETSIG, SIGUSR1), 0);
    expect_refused(&f, REASON_NO_LEASE);
    cr_expect_eq(fcntl(f.pair.destination, F_GETSIG), SIGUSR1);
    cr_assert_eq(fcntl(f.pair.destination, F_SETSIG, 0), 0);
    cr_expect_eq(fcntl(f.pair.source, F_GETLEASE), F_UNLCK, "the source's was given back");
    close_files(&f);
}

Test(arrayfiles, a_signal_that_waits_for_the_program_stays)
{
    struct files f = open_files(MIB, MIB);
    sigset_t io, pending;
    sigemptyset(&io);
    sigaddset(&io, SIGIO);
    sigprocmask(SIG_BLOCK, &io, NULL);
    raise(SIGIO);
    expect_refused(&f, REASON_NO_LEASE);
    sigpending(&pending);
    cr_expect(sigismember(&pending, SIGIO));
    close_files(&f);
}

/* ---- others, while the disk copies ---- */

static struct files *theirs;
static pid_t child;

static void other_opens(void)
{
    if (child)
        return;
    child = fork();
    if (child == 0) {
        char bytes[16];
        int fd = open(theirs->destination_path, O_RDONLY | O_CLOEXEC);
        _exit(fd < 0 || read(fd, bytes, sizeof bytes) != sizeof bytes || bytes[5] != file_byte(5, 1));
    }
    usleep(200000);
    int status;
    cr_expect_eq(waitpid(child, &status, WNOHANG), 0, "it was not held up");
}

Test(arrayfiles, a_reader_waits_for_one_command_and_sees_the_source)
{
    struct files f = open_files(4 * MIB, 4 * MIB);
    int status;
    theirs = &f;
    child = 0;
    meanwhile = other_opens;
    cr_expect_eq(copy(&f, 0, 0, f.n), MIB);
    cr_expect_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "the reader did not see what was copied");
    meanwhile = NULL;
    expect_bytes(&f, MIB, f.n);
    close_files(&f);
}

static void other_truncates(void)
{
    if (child)
        return;
    child = fork();
    if (child == 0)
        _exit(truncate(theirs->source_path, 0) != 0);
    usleep(200000);
    int status;
    cr_expect_eq(waitpid(child, &status, WNOHANG), 0, "it was not held up");
}

Test(arrayfiles, a_truncation_of_the_source_waits)
{
    struct files f = open_files(4 * MIB, 4 * MIB);
    int status;
    theirs = &f;
    child = 0;
    meanwhile = other_truncates;
    cr_expect_eq(copy(&f, 0, 0, f.n), MIB);
    cr_expect_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    meanwhile = NULL;
    expect_bytes(&f, MIB, f.n);
    close_files(&f);
}

/* Pages that were read by the program's own other thread, as it were, while the disk copied: old ones, and new. */
static void someone_reads(void)
{
    char *bytes = malloc(MIB);
    int fd = theirs->pair.destination;
    for (size_t at = 0; at < theirs->n; at += MIB)
        if (pread(fd, bytes, MIB, (off_t)at) < 0)
            break;
    free(bytes);
}

Test(arrayfiles, what_is_read_while_the_disk_copies_does_not_stay)
{
    struct files f = open_files(4 * MIB, 4 * MIB);
    close(f.pair.destination);
    f.pair.destination = open(f.destination_path, O_RDWR | O_CLOEXEC);
    theirs = &f;
    meanwhile = someone_reads;
    cr_expect_eq(copy_all(&f, f.n), f.n);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, a_mapping_of_the_destination_keeps_its_pages_and_the_disk_out)
{
    struct files f = open_files(MIB, MIB);
    close(f.pair.destination);
    f.pair.destination = open(f.destination_path, O_RDWR | O_CLOEXEC);
    char *mapped = mmap(NULL, MIB, PROT_READ, MAP_SHARED, f.pair.destination, 0);
    volatile char sum = 0;
    for (size_t i = 0; i < MIB; i += BLOCK)
        sum = (char)(sum + mapped[i]);
    cr_expect_lt(copy(&f, 0, 0, MIB), 0);
    cr_expect_eq(f.pair.why, REASON_STILL_CACHED);
    cr_expect_eq(commands, 0);
    munmap(mapped, MIB);
    expect_bytes(&f, 0, f.n);
    close_files(&f);
}

Test(arrayfiles, the_time_of_change_moves)
{
    struct files f = open_files(MIB, MIB);
    struct stat before, after;
    fstat(f.pair.destination, &before);
    file_tick();
    cr_expect_eq(copy_all(&f, f.n), f.n);
    fstat(f.pair.destination, &after);
    cr_expect(before.st_mtim.tv_sec != after.st_mtim.tv_sec || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
    close_files(&f);
}

/* As the kernel takes one away from who does not give it back in time. */
static int leased;

static void lose_lease(void)
{
    cr_assert_eq(fcntl(leased, F_SETLEASE, F_UNLCK), 0);
}

Test(arrayfiles, what_was_copied_without_a_lease_is_not_copied)
{
    for (int turn = 0; turn < 2; turn++) {
        struct files f = open_files(2 * MIB, 2 * MIB);
        leased = turn ? f.pair.source : f.pair.destination;
        meanwhile = lose_lease;
        commands = 0;
        cr_expect_lt(copy(&f, 0, 0, f.n), 0, "%d", turn);
        cr_expect_eq(f.pair.why, REASON_LEASED_AWAY);
        cr_expect_eq(commands, 1);
        cr_expect(f.pair.array_failed, "and no other is tried");
        meanwhile = NULL;
        close_files(&f);
    }
}

/* Written by the disk or not, what is no block of the file's any more is written again. */
static void punch(void)
{
    if (commands == 1)
        cr_assert_eq(fallocate(theirs->pair.destination, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)MIB), 0);
}

/* The file's bytes lie elsewhere, and what it had before is some other file's. */
static void exchange(void)
{
    if (commands != 1)
        return;
    char *bytes = malloc(MIB);
    for (size_t i = 0; i < MIB; i++)
        bytes[i] = file_byte(i, 9);
    punch();
    cr_assert_eq(pwrite(theirs->pair.destination, bytes, MIB, 0), (ssize_t)MIB);
    fsync(theirs->pair.destination);
    free(bytes);
}

Test(arrayfiles, blocks_of_the_destination_that_are_gone_are_found_out)
{
    void (*const ways[])(void) = {punch, exchange};
    for (int i = 0; i < 2; i++) {
        struct files f = open_files(2 * MIB, 2 * MIB);
        theirs = &f;
        commands = 0;
        meanwhile = ways[i];
        /* On a slow machine the call's time may be up after the first command. */
        int64_t copied = copy(&f, 0, 0, f.n);
        cr_expect(copied == (int64_t)f.n || copied == (int64_t)MIB, "%ld", (long)copied);
        cr_expect(f.pair.array_failed);
        expect_bytes(&f, (size_t)copied, f.n);
        close_files(&f);
    }
}

static void punch_and_fill(void)
{
    failing = 1;
    punch();
    fill_the_quota();
}

Test(arrayfiles, what_is_found_out_and_cannot_be_made_good_is_no_copy)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct files f = open_files(MIB, MIB);
    theirs = &f;
    half = true;
    tells = tells_one;
    signal(SIGXFSZ, SIG_IGN);
    meanwhile = punch_and_fill;
    cr_expect_eq(copy(&f, 0, 0, f.n), -EIO);
    setrlimit(RLIMIT_FSIZE, &all);
    cr_expect(f.pair.array_failed);
    close_files(&f);
}

/*
 * FIDEDUPERANGE needs no descriptor that writes, of root (allow_file_dedupe() in fs/remap_range.c), so that no lease holds
 * it off: the source's bytes stay, and its blocks are other files'.
 */
static bool deduplicated;
static char donor_path[300];

static void deduplicate(void)
{
    struct {
        struct file_dedupe_range head;
        struct file_dedupe_range_info info;
    } ask = {.head = {.src_length = MIB, .dest_count = 1}, .info = {.dest_fd = theirs->pair.source}};
    if (commands > 1)
        return;
    int donor = open(donor_path, O_RDONLY | O_CLOEXEC);
    deduplicated = ioctl(donor, FIDEDUPERANGE, &ask) == 0 && ask.info.status == FILE_DEDUPE_RANGE_SAME &&
                   ask.info.bytes_deduped == MIB;
    close(donor);
}

Test(arrayfiles, blocks_of_the_source_that_are_gone_are_found_out)
{
    struct files f = open_files(2 * MIB, 2 * MIB);
    put_file(name(donor_path, "donor"), 2 * MIB, 1);
    theirs = &f;
    meanwhile = deduplicate;
    size_t copied = (size_t)copy(&f, 0, 0, f.n);
    unlink(donor_path);
    if (!deduplicated) {
        close_files(&f);
        cr_skip_test("the file system does not share extents");
    }
    cr_expect_eq(copied, f.n);
    cr_expect(f.pair.array_failed, "the disk may have read what is another file's");
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

/* ---- new blocks, which are played too: zeros that are written and flushed ---- */

static size_t allocated, most_at_once;
static bool unwritten; /* those that are made are */

static bool play_zeroes(int fd, uint64_t at, uint64_t n)
{
    allocated += n;
    most_at_once = n > most_at_once ? n : most_at_once;
    cr_expect_eq((at | n) % BLOCK, 0);
    if (unwritten)
        return fallocate(fd, 0, (off_t)at, (off_t)n) == 0;
    char *zeros = calloc(1, n);
    bool made = pwrite(fd, zeros, n, (off_t)at) == (ssize_t)n && fdatasync(fd) == 0;
    free(zeros);
    return made;
}

static bool play_no_space(int fd, uint64_t at, uint64_t n)
{
    (void)fd, (void)at, (void)n;
    return false;
}

/* What the disk says of itself is the kernel's word for it, in sysfs. */
static void disk_fills(const char *bytes)
{
    struct stat st;
    char number[32];
    cr_assert_eq(stat(files_directory(), &st), 0);
    snprintf(number, sizeof number, "%u:%u", major(st.st_dev), minor(st.st_dev));
    sysfstree_put(number, "queue/write_zeroes_unmap_max_bytes", bytes);
}

/* A destination that has the first `old` bytes; for the rest it is given blocks. */
static struct files open_growing(size_t n, size_t old)
{
    disk_fills("1073741824\n");
    allocate_instead = play_zeroes;
    allocated = most_at_once = 0;
    unwritten = false;
    return open_files(n, old);
}

/* A hole, in which the file may end. */
static void make_hole(const char *path, size_t at, size_t n)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n), 0);
    cr_assert_eq(fsync(fd), 0);
    close(fd);
}

static bool is_hole(const char *path, size_t at, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t hole = lseek(fd, (off_t)at, SEEK_HOLE), data = lseek(fd, (off_t)at, SEEK_DATA);
    close(fd);
    return hole == (off_t)at && (data < 0 || data >= (off_t)(at + n));
}

static off_t length(const struct files *f)
{
    struct stat st;
    cr_assert_eq(fstat(f->pair.destination, &st), 0);
    return st.st_size;
}

Test(arrayfiles, a_new_file_is_given_blocks)
{
    struct files f = open_growing(9 * MIB + 100, 0);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(commands, 9);
    cr_expect_eq(allocated, 9 * MIB);
    cr_expect_eq(most_at_once, 4 * MIB, "%zu", most_at_once);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, blocks_are_given_for_what_a_command_copies)
{
    static const size_t commands_of[] = {6 * MIB + 512, 64 * MIB}, blocks_of[] = {6 * MIB, 16 * MIB};
    for (int i = 0; i < 2; i++) {
        takes.command_bytes = commands_of[i];
        takes.ranges = 64;
        struct files f = open_growing(18 * MIB, 0);
        cr_expect_eq(copy_all(&f, f.n), f.n);
        cr_expect_eq(most_at_once, blocks_of[i], "%zu", most_at_once);
        expect_bytes(&f, f.n, f.n);
        close_files(&f);
    }
}

Test(arrayfiles, a_disk_that_does_not_fill_blocks_gets_no_new_file)
{
    struct files f = open_growing(MIB, 0);
    disk_fills("0\n");
    cr_expect_eq(engine_array.refuses(&f.pair), REASON_UNWRITTEN);
    expect_refused(&f, REASON_UNWRITTEN);
    cr_expect_eq(allocated, 0);
    cr_expect_eq(length(&f), 0);
    close_files(&f);
}

Test(arrayfiles, a_partition_has_its_disks_word)
{
    struct file_pair pair = {.destination_device = makedev(8, 1)};
    sysfstree_put("8:1", "partition", "1\n");
    cr_expect_not(allocate_may_work(&pair));
    sysfstree_put("8:1", "../queue/write_zeroes_unmap_max_bytes", "4096\n");
    cr_expect(allocate_may_work(&pair));
}

Test(arrayfiles, where_there_are_no_blocks_nothing_is_done)
{
    struct files f = open_growing(2 * MIB, MIB);
    allocate_instead = play_no_space;
    cr_expect_eq(copy_all(&f, f.n), MIB, "only what has blocks");
    cr_expect_eq(f.pair.why, REASON_UNWRITTEN);
    cr_expect_eq(length(&f), MIB);
    expect_bytes(&f, MIB, MIB);
    close_files(&f);
}

/* What a disk puts there would not be seen, or be another file's old bytes. */
Test(arrayfiles, blocks_that_are_not_written_are_not_the_disks)
{
    struct files f = open_growing(6 * MIB, 0);
    unwritten = true;
    cr_expect_eq(copy(&f, 0, 0, f.n), 4 * MIB, "what has been made is filled by plain calls");
    cr_expect_eq(commands, 0);
    expect_bytes(&f, 4 * MIB, 4 * MIB);
    close_files(&f);
}

Test(arrayfiles, new_blocks_are_filled_when_a_command_fails)
{
    for (int turn = 0; turn < 2; turn++) {
        struct files f = open_growing(6 * MIB, 0);
        commands = 0;
        failing = 2;
        half = turn;
        cr_expect_eq(copy(&f, 0, 0, f.n), 4 * MIB);
        cr_expect_eq(commands, 2);
        cr_expect(f.pair.array_failed);
        expect_bytes(&f, 4 * MIB, 4 * MIB);
        close_files(&f);
    }
}

Test(arrayfiles, new_blocks_that_cannot_be_filled_are_no_copy)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct files f = open_growing(2 * MIB, 0);
    signal(SIGXFSZ, SIG_IGN);
    failing = 1;
    meanwhile = fill_the_quota;
    cr_expect_eq(copy(&f, 0, 0, f.n), -EIO);
    setrlimit(RLIMIT_FSIZE, &all);
    cr_expect(f.pair.array_failed);
    close_files(&f);
}

/* Whoever cuts the copy off then finds what was to be there, and no zeros in its place. */
Test(arrayfiles, a_slow_disk_fills_what_it_was_given)
{
    struct files f = open_growing(6 * MIB, 0);
    meanwhile = takes_long;
    cr_expect_eq(copy(&f, 0, 0, f.n), 4 * MIB);
    cr_expect_eq(commands, 4);
    expect_bytes(&f, 4 * MIB, 4 * MIB);
    close_files(&f);
}

Test(arrayfiles, who_wants_the_lease_waits_for_the_new_blocks_alone)
{
    struct files f = open_growing(6 * MIB, 0);
    int status;
    theirs = &f;
    child = 0;
    meanwhile = other_opens;
    cr_expect_eq(copy(&f, 0, 0, f.n), 4 * MIB);
    cr_expect_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "the reader did not see what was copied");
    meanwhile = NULL;
    expect_bytes(&f, 4 * MIB, 4 * MIB);
    close_files(&f);
}

Test(arrayfiles, no_more_blocks_are_made_than_are_asked_for)
{
    struct files f = open_growing(3 * MIB, 0);
    cr_expect_eq(copy(&f, 0, 0, MIB), MIB);
    cr_expect_eq(allocated, MIB);
    cr_expect_eq(length(&f), MIB);
    cr_expect_eq(copy(&f, MIB, MIB, 2 * MIB), 2 * MIB);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, a_hole_of_a_new_file_stays_one)
{
    struct files f = open_growing(4 * MIB, 0);
    make_hole(f.source_path, MIB, MIB);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(allocated, 3 * MIB);
    cr_expect(is_hole(f.destination_path, MIB, MIB));
    cr_expect_eq(length(&f), (off_t)f.n);
    close_files(&f);
}

Test(arrayfiles, a_new_file_ends_with_the_sources_hole)
{
    struct files f = open_growing(2 * MIB, 0);
    make_hole(f.source_path, MIB, MIB);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(allocated, MIB);
    cr_expect_eq(length(&f), (off_t)f.n);
    close_files(&f);
}

/* Also where the file ends in it. */
Test(arrayfiles, a_hole_of_both_stays_one)
{
    struct files f = open_growing(4 * MIB, 4 * MIB);
    struct stat before, after;
    make_hole(f.source_path, 3 * MIB, MIB);
    make_hole(f.destination_path, 3 * MIB, MIB);
    fstat(f.pair.destination, &before);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    fstat(f.pair.destination, &after);
    cr_expect_eq(allocated, 0);
    cr_expect_eq(after.st_blocks, before.st_blocks);
    cr_expect(is_hole(f.destination_path, 3 * MIB, MIB));
    cr_expect_eq(length(&f), (off_t)f.n);
    close_files(&f);
}

/* Between what the destination has, whose blocks stay where they are. */
Test(arrayfiles, a_hole_of_the_destination_alone_is_given_blocks)
{
    struct files f = open_growing(4 * MIB, 4 * MIB);
    make_hole(f.destination_path, MIB, MIB);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(allocated, MIB);
    cr_expect_eq(commands, 4);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}

Test(arrayfiles, a_file_that_grows_is_written_over_first)
{
    struct files f = open_growing(3 * MIB, MIB + 10);
    cr_expect_eq(copy_all(&f, f.n), f.n);
    cr_expect_eq(allocated, 2 * MIB - BLOCK);
    expect_bytes(&f, f.n, f.n);
    close_files(&f);
}
