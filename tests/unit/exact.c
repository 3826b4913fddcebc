/* One write, or one copy by the kernel, offloaded at its own place. */
#include "core/exact.h"
#include "core/cachestat.h"
#include "core/holes.h"
#include "core/settings.h"

#include "files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define N ((size_t)128 << 10)
#define SIZE ((size_t)1 << 20)

static char buffer[SIZE + 4096];
static struct iovec piece;
static struct program_write written;
static struct session s;
static struct candidate c;
static struct engine lying; /* the clone engine with something wrong */
static int64_t (*lie)(struct file_pair *pair, off_t from, off_t to, size_t n);

static void set_up(void)
{
    int from = file_filled(N, 1), to = file_new();
    bool shares = ioctl(to, FICLONE, from) == 0;
    close(from);
    close(to);
    if (!shares)
        cr_skip_test("the file system of TMPDIR cannot share extents");
}

TestSuite(exact, .init = set_up, .timeout = 60);

static int64_t lie_copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    return lie(pair, from, to, n);
}

/* The program writes n bytes, which it has read from `from` in the source, to `to` in the destination. */
static void candidate_of(size_t size, size_t held, off_t from, off_t to, size_t n)
{
    int source = file_filled(size, 1), destination = held ? file_filled(held, 2) : file_new();
    file_tick();
    c = (struct candidate){.source = source, .destination = destination, .from = from, .to = to, .n = n};
    c.exact = REASON_PLACED;
    c.write = &written;
    piece = (struct iovec){buffer, n};
    written = (struct program_write){.pieces = &piece, .count = 1, .n = n, .at = to};
    cr_assert_eq(pread(source, buffer, n, from), (ssize_t)n);
    memset(&s, 0, sizeof s);
}

static void ready(void)
{
    cr_assert(guard_look(c.source, &c.source_state));
    cr_assert(guard_look(c.destination, &c.destination_state));
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    s.window = s.engine->first_step;
    s.exact = true;
}

static enum reason write_it(void)
{
    ready();
    return exact_write(&s, &c);
}

static void expect_refused(enum reason why, off_t size)
{
    enum reason told = write_it();
    cr_expect_eq(told, why, "%s", reason_words(told));
    cr_expect_eq(file_size(c.destination), size);
    cr_expect_eq(s.tally.offloaded, 0);
}

static bool vacant(off_t from, off_t end)
{
    return !holes_has_blocks(c.destination, from, end);
}

static bool holds(off_t at, off_t from, size_t n)
{
    static char there[SIZE];
    cr_assert_eq(pread(c.destination, there, n, at), (ssize_t)n);
    for (size_t i = 0; i < n; i++)
        if (there[i] != file_byte((size_t)from + i, 1))
            return false;
    return true;
}

Test(exact, at_the_end)
{
    candidate_of(SIZE, 0, 0, 0, N);
    cr_expect_eq(write_it(), REASON_NONE);
    cr_expect_eq(file_size(c.destination), N, "nothing runs ahead");
    cr_expect(holds(0, 0, N));
    cr_expect_eq(s.tally.offloaded, N);
    cr_expect_eq(lseek(c.destination, 0, SEEK_CUR), 0);
    cr_expect_not(s.running);
}

Test(exact, beyond_the_end_and_from_elsewhere)
{
    candidate_of(SIZE, 0, (off_t)N, (off_t)(3 * N), N);
    cr_expect_eq(write_it(), REASON_NONE);
    cr_expect_eq(file_size(c.destination), 4 * N);
    cr_expect(holds((off_t)(3 * N), (off_t)N, N));
    cr_expect(vacant(0, (off_t)(3 * N)), "the gap is a hole");
}

Test(exact, into_a_hole)
{
    candidate_of(SIZE, 0, 0, (off_t)N, N);
    cr_assert_eq(ftruncate(c.destination, (off_t)SIZE), 0);
    cr_expect_eq(write_it(), REASON_NONE);
    cr_expect_eq(file_size(c.destination), SIZE);
    cr_expect(holds((off_t)N, 0, N));
}

Test(exact, the_sources_last_bytes)
{
    candidate_of(SIZE + 1234, 0, (off_t)(SIZE - N), 0, N + 1234);
    cr_expect_eq(write_it(), REASON_NONE);
    cr_expect_eq(file_size(c.destination), N + 1234);
    cr_expect(holds(0, (off_t)(SIZE - N), N + 1234));
}

Test(exact, the_sources_last_bytes_in_the_middle_are_no_whole_block)
{
    candidate_of(SIZE + 1234, 0, (off_t)(SIZE - N), 0, N + 1234);
    cr_assert_eq(ftruncate(c.destination, (off_t)SIZE), 0);
    expect_refused(REASON_UNALIGNED, (off_t)SIZE);
}

Test(exact, blocks_that_are_there_stay)
{
    candidate_of(SIZE, SIZE, 0, 0, N);
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
    candidate_of(SIZE, SIZE, 0, (off_t)N, N);
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
}

Test(exact, one_block_in_the_place_is_enough)
{
    candidate_of(SIZE, 0, 0, 0, N);
    cr_assert_eq(pwrite(c.destination, "x", 1, (off_t)N - 1), 1);
    expect_refused(REASON_OVERWRITES, (off_t)N);
}

Test(exact, space_that_was_promised_stays)
{
    candidate_of(SIZE, 0, 0, 0, N);
    cr_assert_eq(posix_fallocate(c.destination, 0, (off_t)SIZE), 0);
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
}

Test(exact, space_that_was_promised_behind_the_end_stays)
{
    candidate_of(SIZE, 0, 0, 0, N);
    cr_assert_eq(fallocate(c.destination, FALLOC_FL_KEEP_SIZE, 0, (off_t)SIZE), 0);
    expect_refused(REASON_OVERWRITES, 0);
    candidate_of(SIZE, 0, 0, 0, N);
    cr_assert_eq(fallocate(c.destination, FALLOC_FL_KEEP_SIZE, (off_t)(8 * SIZE), (off_t)N), 0);
    expect_refused(REASON_OVERWRITES, 0);
}

/* The destination has a hint as qemu-img sets it: with its first byte XFS gives it all blocks up to SIZE. */
static void with_large_extents(void)
{
    struct fsxattr attributes;
    struct cache_state pages;
    candidate_of(SIZE, 0, 0, (off_t)N, N);
    cr_assert_eq(ioctl(c.destination, FS_IOC_FSGETXATTR, &attributes), 0);
    attributes.fsx_xflags |= FS_XFLAG_EXTSIZE;
    attributes.fsx_extsize = SIZE;
    if (ioctl(c.destination, FS_IOC_FSSETXATTR, &attributes) < 0 || cachestat_of(c.destination, 0, 1, &pages) < 0)
        cr_skip_test("XFS and Linux 6.5 are needed");
    cr_assert_eq(ftruncate(c.destination, (off_t)SIZE), 0);
    cr_assert_eq(pwrite(c.destination, "x", 1, 0), 1);
    cr_assert_not(vacant((off_t)N, (off_t)(2 * N)));
}

Test(exact, blocks_that_nobody_asked_for_are_no_data)
{
    with_large_extents();
    cr_expect_eq(write_it(), REASON_NONE);
    cr_expect(holds((off_t)N, 0, N));
    cr_expect_eq(file_size(c.destination), SIZE);
}

/* Whose filter was written before cachestat(2) was there might be ended for it. */
Test(exact, nobody_who_is_filtered_asks_the_page_cache)
{
    with_large_extents();
    settings.filtered = true;
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
}

Test(exact, what_is_in_the_page_cache_alone_is_data)
{
    with_large_extents();
    cr_assert_eq(pwrite(c.destination, "x", 1, (off_t)(2 * N) - 1), 1);
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
}

Test(exact, what_has_left_the_page_cache_is_data)
{
    with_large_extents();
    cr_assert_eq(pwrite(c.destination, "x", 1, (off_t)N + 4096), 1);
    cr_assert_eq(fsync(c.destination), 0);
    cr_assert_eq(posix_fadvise(c.destination, 0, 0, POSIX_FADV_DONTNEED), 0);
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
}

Test(exact, blocks_that_were_asked_for_as_well_stay)
{
    with_large_extents();
    cr_assert_eq(posix_fallocate(c.destination, 0, (off_t)SIZE), 0);
    expect_refused(REASON_OVERWRITES, (off_t)SIZE);
}

Test(exact, an_engine_in_place_takes_what_is_there)
{
    candidate_of(SIZE, SIZE, 0, (off_t)N, N);
    ready();
    lying = *s.engine;
    lying.in_place = true;
    s.engine = &lying;
    cr_expect_eq(exact_write(&s, &c), REASON_NONE);
    cr_expect(holds((off_t)N, 0, N));
    cr_expect_eq(file_size(c.destination), SIZE);
}

Test(exact, places_that_are_not_whole_blocks)
{
    candidate_of(SIZE, 0, 0, 0, N - 1);
    expect_refused(REASON_UNALIGNED, 0);
    candidate_of(SIZE, 0, 4096, 4096, N + 512);
    expect_refused(REASON_UNALIGNED, 0);
}

Test(exact, a_small_one)
{
    candidate_of(SIZE, 0, 0, 0, EXACT_LEAST - 4096);
    expect_refused(REASON_PLACED, 0);
}

/* What differs shows when it is too late: the place is as it was before, for the program's own call. */
Test(exact, other_bytes_in_the_middle)
{
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    buffer[N / 2] ^= 1;
    cr_expect_eq(exact_write(&s, &c), REASON_CHANGED_BYTES);
    cr_expect_eq(file_size(c.destination), 0);
    candidate_of(SIZE, 0, 0, (off_t)N, N);
    cr_assert_eq(ftruncate(c.destination, (off_t)SIZE), 0);
    ready();
    buffer[N / 2] ^= 1;
    cr_expect_eq(exact_write(&s, &c), REASON_CHANGED_BYTES);
    cr_expect_eq(file_size(c.destination), SIZE);
    cr_expect(vacant(0, (off_t)SIZE));
}

Test(exact, other_bytes_at_the_ends_cost_no_clone)
{
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    lying = *s.engine;
    lying.copy = NULL;
    s.engine = &lying;
    buffer[0] ^= 1;
    cr_expect_eq(exact_write(&s, &c), REASON_CHANGED_BYTES);
    buffer[0] ^= 1;
    buffer[N - 1] ^= 1;
    cr_expect_eq(exact_write(&s, &c), REASON_CHANGED_BYTES);
}

static int64_t change_source(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    file_tick();
    cr_assert_eq(pwrite(c.source, "changed", 7, 5000), 7);
    return engine_clone.copy(pair, from, to, n);
}

static int64_t change_and_change_back(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    char byte = file_byte(5000, 1);
    int64_t copied = change_source(pair, from, to, n);
    for (off_t at = 5000; at < 5007; at++) {
        byte = file_byte((size_t)at, 1);
        cr_assert_eq(pwrite(c.source, &byte, 1, at), 1);
    }
    return copied;
}

static int64_t fail_half_way(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    engine_clone.copy(pair, from, to, n / 2);
    return -5;
}

static void expect_lie_found(int64_t (*told)(struct file_pair *, off_t, off_t, size_t), enum reason why)
{
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    lying = *s.engine;
    lying.copy = lie_copy;
    lie = told;
    s.engine = &lying;
    enum reason was = exact_write(&s, &c);
    cr_expect_eq(was, why, "%s", reason_words(was));
    cr_expect_eq(file_size(c.destination), 0, "the place is as it was");
}

/* Another file comes to be behind the destination's number, and the engine fails. */
static int other_file;

static int64_t exchange_destination(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    (void)from, (void)to, (void)n;
    return dup2(other_file, pair->destination) < 0 ? -errno : -EIO;
}

Test(exact, what_is_not_the_destination_any_more_is_left_alone)
{
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    other_file = file_filled(N, 3);
    lying = *s.engine;
    lying.copy = lie_copy;
    lie = exchange_destination;
    s.engine = &lying;
    cr_expect_neq(exact_write(&s, &c), REASON_NONE);
    cr_expect_eq(file_size(other_file), N, "it was cut off");
    cr_expect(holes_has_blocks(other_file, 0, (off_t)N), "it was punched");
}

Test(exact, a_source_that_changes_under_the_engine)
{
    expect_lie_found(change_source, REASON_CHANGED_BYTES);
}

Test(exact, a_source_that_changes_and_changes_back)
{
    expect_lie_found(change_and_change_back, REASON_SOURCE_CHANGED);
}

Test(exact, an_engine_that_fails_half_way)
{
    expect_lie_found(fail_half_way, REASON_ENGINE_FAILED);
}

Test(exact, limits_are_the_programs_to_meet)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    limit.rlim_cur = N - 1;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(exact_write(&s, &c), REASON_LIMITED);
    limit.rlim_cur = N;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(exact_write(&s, &c), REASON_NONE);
}

Test(exact, a_descriptor_that_appends_by_now)
{
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    cr_assert_eq(fcntl(c.destination, F_SETFL, O_APPEND), 0);
    cr_expect_eq(exact_write(&s, &c), REASON_APPENDS);
}

static size_t copy_it(size_t n, enum reason *why)
{
    c.write = NULL;
    c.n = n;
    ready();
    return exact_copy(&s, &c, why);
}

Test(exact, a_copy_by_the_kernel_comes_as_far_as_whole_blocks)
{
    enum reason why;
    candidate_of(SIZE, 0, 0, 0, N);
    cr_expect_eq(copy_it(N + 5000, &why), N + 4096);
    cr_expect_eq(file_size(c.destination), N + 4096);
    candidate_of(SIZE + 100, 0, (off_t)N, 0, N);
    cr_expect_eq(copy_it(2 * SIZE, &why), SIZE + 100 - N);
    cr_expect_eq(file_size(c.destination), SIZE + 100 - N);
    cr_expect(holds(0, (off_t)N, SIZE + 100 - N));
}

static int64_t fail_half_way_later(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    return to ? fail_half_way(pair, from, to, n) : engine_clone.copy(pair, from, to, n);
}

Test(exact, a_copy_by_the_kernel_whose_second_step_fails)
{
    enum reason why;
    candidate_of(SIZE, 0, 0, 0, N);
    c.write = NULL;
    c.n = SIZE;
    ready();
    lying = *s.engine;
    lying.copy = lie_copy;
    lie = fail_half_way_later;
    s.engine = &lying;
    s.window = N;
    cr_expect_eq(exact_copy(&s, &c, &why), N);
    cr_expect_eq(file_size(c.destination), N, "no more than is told");
}

Test(exact, a_write_that_goes_elsewhere_after_all)
{
    candidate_of(SIZE, 0, 0, 0, N);
    cr_assert_eq(write_it(), REASON_NONE);
    exact_take_back(&s, &c);
    cr_expect_eq(file_size(c.destination), 0);
    cr_expect_eq(s.tally.writes_elided, 0);
    candidate_of(SIZE, 4096, 0, (off_t)(3 * N), N);
    cr_assert_eq(write_it(), REASON_NONE);
    exact_take_back(&s, &c);
    cr_expect_eq(file_size(c.destination), 4096, "it ends where it did");
    cr_expect_eq(s.tally.offloaded, 0);
    cr_expect_eq(s.tally.writes_elided, 0);
}

Test(exact, a_copy_by_the_kernel_from_behind_the_end)
{
    enum reason why;
    candidate_of(SIZE, 0, 0, 0, N);
    c.from = (off_t)SIZE;
    cr_expect_eq(copy_it(N, &why), 0);
    c.from = (off_t)(SIZE + N);
    cr_expect_eq(copy_it(N, &why), 0);
    cr_expect_eq(file_size(c.destination), 0);
}

Test(exact, what_is_ready_is_so_for_the_same_files)
{
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    cr_expect(exact_renew(&s, &c));
    struct candidate other = c;
    other.source_state.inode++;
    cr_expect_not(exact_renew(&s, &other));
    other = c;
    other.destination_state.inode++;
    cr_expect_not(exact_renew(&s, &other));
    other = c;
    other.write = NULL;
    cr_expect_not(exact_renew(&s, &other), "another engine may be the one for it");
    session_drop_proof(&s);
    cr_expect_not(exact_renew(&s, &c));
}

/* To ask a server takes longer than a write; a copy must be a large one. */
Test(exact, a_server_is_asked_for_large_copies_only)
{
    enum reason why;
    candidate_of(SIZE, 0, 0, 0, N);
    ready();
    lying = *s.engine;
    lying.remote = true;
    s.engine = &lying;
    cr_expect_eq(exact_write(&s, &c), REASON_SLOWER);
    c.write = NULL;
    cr_expect_eq(exact_copy(&s, &c, &why), 0);
    cr_expect_eq(why, REASON_SLOWER);
    c.n = SIZE;
    cr_expect_eq(exact_copy(&s, &c, &why), SIZE);
}
