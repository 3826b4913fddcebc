/*
 * The array engine on real files, of the file system that TMPDIR lies on, whose disk is played by this test: it copies
 * between places of the block device, past the page cache, as an array would. Needs root and a device of its own
 * (tests/unit.sh mounts one); skipped elsewhere.
 */
#include "engines/array/disks.h"
#include "engines/array/placement.h"
#include "engines/array/suits.h"
#include "engines/array/sysfs.h"
#include "engines/engine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
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
static unsigned ranges_a_command = 1;

static enum reason play_open(struct disk_pair *pair, dev_t source, dev_t destination)
{
    *pair = (struct disk_pair){
        .source = -1,
        .destination = -1,
        .block = 512,
        .sector = 512,
        .ranges = ranges_a_command,
        .range_bytes = MIB,
        .command_bytes = MIB,
        .timeout_ms = 5000,
    };
    return source == destination ? REASON_NONE : REASON_DISKS_APART;
}

static int play_copy(const struct disk_pair *pair, const struct disk_range *ranges, unsigned count)
{
    commands++;
    if (meanwhile)
        meanwhile();
    if (commands == failing && !half)
        return -EIO;
    cr_assert_leq(count, pair->ranges);
    char *bytes = aligned_alloc(BLOCK, MIB);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_leq(ranges[i].n, MIB);
        cr_assert_eq(pread(device, bytes, ranges[i].n, (off_t)ranges[i].from), (ssize_t)ranges[i].n);
        cr_assert_eq(pwrite(device, bytes, ranges[i].n, (off_t)ranges[i].to), (ssize_t)ranges[i].n);
    }
    free(bytes);
    return commands == failing ? -EIO : (int)count;
}

static void play_close(struct disk_pair *pair)
{
    (void)pair;
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
}

static void end(void)
{
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
    ranges_a_command = 8;
    struct files f = open_files(64 * BLOCK, 64 * BLOCK);
    cr_expect_eq(copy_all(&f, f.n), f.n);
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
