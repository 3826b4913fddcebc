/* A copy in progress, on a file system that shares extents. */
#include "core/mark.h"
#include "core/settings.h"

#include "files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)64 << 10)
#define SIZE ((size_t)1 << 20)
#define LARGE ((size_t)24 << 20) /* more than one window */

static char buffer[SIZE];
static struct iovec piece;
static struct program_write written;
static struct session s;
static struct candidate c;

static bool shares_extents(void)
{
    int from = file_filled(BLOCK, 1), to = file_new();
    bool shares = ioctl(to, FICLONE, from) == 0;
    close(from);
    close(to);
    return shares;
}

static void set_up(void)
{
    if (!shares_extents())
        cr_skip_test("the file system of TMPDIR cannot share extents");
}

TestSuite(session, .init = set_up, .timeout = 60);

/* The program writes n bytes from there to the descriptor's offset. */
static bool write_from(void *bytes, size_t n)
{
    piece = (struct iovec){bytes, n};
    written = (struct program_write){.pieces = &piece, .count = 1, .n = n, .at = -1};
    return mark_write(&s, &written);
}

/* As the recogniser leaves it at the first write of n bytes, which were read from the source's start. */
static void candidate_for(int source, int destination, size_t n)
{
    c = (struct candidate){.source = source, .destination = destination, .write = &written, .n = n};
    piece = (struct iovec){buffer, n};
    written = (struct program_write){.pieces = &piece, .count = 1, .n = n, .at = -1};
    c.to = lseek(destination, 0, SEEK_CUR);
    cr_assert_eq(pread(source, buffer, n, 0), (ssize_t)n);
    cr_assert(guard_look(source, &c.source_state));
    cr_assert(guard_look(destination, &c.destination_state));
    memset(&s, 0, sizeof s);
}

static void begin(size_t size)
{
    int source = file_filled(size, 1), destination = file_new();
    /* Old enough for any file system's stamps. */
    file_tick();
    candidate_for(source, destination, BLOCK);
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    session_start(&s, &c);
    cr_assert_eq(sessions_running, 1);
}

/* Writes the n bytes of the source that stand at the mark. */
static bool copy_on(size_t n)
{
    cr_assert_eq(pread(c.source, buffer, n, s.mark), (ssize_t)n);
    return write_from(buffer, n);
}

static void expect_settled(enum reason why)
{
    cr_expect_not(s.running);
    cr_expect_eq(sessions_running, 0);
    cr_expect_eq(s.tally.reason, why, "%s", reason_words(s.tally.reason));
    cr_expect_null(s.scratch.bytes);
}

static off_t offset(int fd)
{
    return lseek(fd, 0, SEEK_CUR);
}

Test(session, one_write_has_the_whole_file_cloned)
{
    begin(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_expect_eq(s.mark, BLOCK);
    cr_expect_eq(s.frontier, SIZE);
    cr_expect_eq(offset(c.destination), BLOCK);
    cr_expect_eq(offset(c.source), 0);
    cr_expect_eq(file_size(c.destination), SIZE);
    cr_expect(files_equal(c.source, c.destination, SIZE));
}

Test(session, a_whole_copy_writes_nothing)
{
    begin(SIZE + 1234);
    for (size_t done = 0; done < SIZE; done += BLOCK)
        cr_assert(copy_on(BLOCK));
    cr_assert(copy_on(1234));
    cr_expect_eq(s.tally.offloaded, SIZE + 1234);
    cr_expect_eq(s.tally.writes_elided, SIZE / BLOCK + 1);
    cr_expect_str_eq(s.tally.engine, "clone");
    mark_settle(&s, REASON_UNFINISHED);
    expect_settled(REASON_UNFINISHED);
    cr_expect_eq(file_size(c.destination), SIZE + 1234);
    cr_expect(files_equal(c.source, c.destination, SIZE + 1234));
}

Test(session, windows_grow_until_the_file_is_there)
{
    begin(LARGE);
    cr_assert(copy_on(BLOCK));
    cr_expect_gt(s.frontier, s.mark);
    for (size_t done = BLOCK; done < LARGE; done += SIZE / 2)
        cr_assert(copy_on(LARGE - done < SIZE / 2 ? LARGE - done : SIZE / 2));
    cr_expect_eq(s.mark, LARGE);
    cr_expect_eq(s.frontier, LARGE);
    cr_expect(files_equal(c.source, c.destination, LARGE));
}

Test(session, settling_half_way_cuts_back_to_what_was_written)
{
    begin(SIZE);
    cr_assert(copy_on(3000));
    mark_settle(&s, REASON_DESTINATION_USED);
    expect_settled(REASON_DESTINATION_USED);
    cr_expect_eq(file_size(c.destination), 3000);
    cr_expect(files_equal(c.source, c.destination, 3000));
    cr_expect_eq(offset(c.destination), 3000);
    mark_settle(&s, REASON_MOVED);
    expect_settled(REASON_DESTINATION_USED);
}

Test(session, after_each_cut_it_holds_back_longer)
{
    uint64_t before = 0;
    for (unsigned cuts = 1; cuts <= 3; cuts++) {
        begin(SIZE);
        s.cuts = cuts - 1;
        cr_assert(copy_on(BLOCK));
        mark_settle(&s, REASON_DESTINATION_USED);
        cr_expect_eq(s.cuts, cuts);
        cr_expect_gt(s.hold, before);
        before = s.hold;
    }
}

Test(session, the_time_of_modification_is_that_of_the_last_write)
{
    begin(SIZE);
    for (size_t done = 0; done < SIZE; done += BLOCK)
        cr_assert(copy_on(BLOCK));
    struct stat cloned, settled;
    fstat(c.destination, &cloned);
    file_tick();
    mark_settle(&s, REASON_UNFINISHED);
    fstat(c.destination, &settled);
    cr_expect(settled.st_mtim.tv_sec > cloned.st_mtim.tv_sec || settled.st_mtim.tv_nsec != cloned.st_mtim.tv_nsec);
    cr_expect_eq(settled.st_size, SIZE);
}

Test(session, other_bytes_settle_it_and_are_the_programs_to_write)
{
    begin(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_assert_eq(pread(c.source, buffer, BLOCK, s.mark), (ssize_t)BLOCK);
    buffer[BLOCK - 1] ^= 1;
    cr_expect_not(write_from(buffer, BLOCK));
    expect_settled(REASON_CHANGED_BYTES);
    cr_expect_eq(file_size(c.destination), BLOCK);
    cr_expect_eq(offset(c.destination), BLOCK, "a refused write must not move the offset");
}

Test(session, a_first_write_of_other_bytes_proves_nothing)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    file_tick();
    candidate_for(source, destination, BLOCK);
    buffer[0] ^= 1;
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_expect_eq(session_prove(&s, &c), REASON_CHANGED_BYTES);
    cr_expect_null(s.scratch.bytes);
    cr_expect_eq(file_size(destination), 0);
}

Test(session, a_buffer_that_is_gone)
{
    begin(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_expect_not(write_from(NULL, BLOCK));
    expect_settled(REASON_BUFFER_GONE);
}

static void change_and_expect(void (*change)(int fd), bool of_source, enum reason why, off_t size)
{
    begin(SIZE);
    cr_assert(copy_on(BLOCK));
    file_tick();
    cr_assert_eq(pread(c.source, buffer, BLOCK, s.mark), (ssize_t)BLOCK);
    change(of_source ? c.source : c.destination);
    cr_expect_not(write_from(buffer, BLOCK));
    expect_settled(why);
    cr_expect_eq(file_size(c.destination), size);
    cr_expect_eq(offset(c.destination), BLOCK);
}

static void write_behind(int fd)
{
    cr_assert_eq(pwrite(fd, "changed", 7, (off_t)SIZE / 2), 7);
}

static void write_behind_and_hide(int fd)
{
    struct stat st;
    fstat(fd, &st);
    write_behind(fd);
    cr_assert_eq(futimens(fd, (struct timespec[2]){st.st_atim, st.st_mtim}), 0);
}

static void grow(int fd)
{
    cr_assert_eq(ftruncate(fd, (off_t)SIZE + 1), 0);
}

static void shrink(int fd)
{
    cr_assert_eq(ftruncate(fd, (off_t)SIZE / 2), 0);
}

Test(session, a_source_that_was_written_to)
{
    change_and_expect(write_behind, true, REASON_SOURCE_CHANGED, BLOCK);
}

Test(session, a_source_that_was_written_to_with_its_time_put_back)
{
    change_and_expect(write_behind_and_hide, true, REASON_SOURCE_CHANGED, BLOCK);
}

Test(session, a_source_that_grew)
{
    change_and_expect(grow, true, REASON_SOURCE_CHANGED, BLOCK);
}

Test(session, a_source_that_shrank)
{
    change_and_expect(shrink, true, REASON_SOURCE_CHANGED, BLOCK);
}

/* What others have put into the destination must not be cut off. */

Test(session, a_destination_that_was_written_to)
{
    change_and_expect(write_behind, false, REASON_DESTINATION_CHANGED, SIZE);
    char bytes[7];
    cr_assert_eq(pread(c.destination, bytes, 7, (off_t)SIZE / 2), 7);
    cr_expect_eq(memcmp(bytes, "changed", 7), 0);
}

Test(session, a_destination_that_was_written_to_with_its_time_put_back)
{
    change_and_expect(write_behind_and_hide, false, REASON_DESTINATION_CHANGED, SIZE);
}

Test(session, a_destination_that_grew)
{
    change_and_expect(grow, false, REASON_DESTINATION_CHANGED, SIZE + 1);
}

Test(session, a_destination_that_shrank)
{
    change_and_expect(shrink, false, REASON_DESTINATION_CHANGED, SIZE / 2);
}

Test(session, a_change_of_the_destination_in_the_same_tick_is_seen)
{
    for (int i = 0; i < 20; i++) {
        begin(SIZE);
        cr_assert(copy_on(BLOCK));
        cr_assert_eq(pread(c.source, buffer, BLOCK, s.mark), (ssize_t)BLOCK);
        write_behind(c.destination);
        cr_expect_not(write_from(buffer, BLOCK));
        expect_settled(REASON_DESTINATION_CHANGED);
        close(c.source);
        close(c.destination);
    }
}

Test(session, a_write_position_that_was_moved)
{
    begin(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_assert_eq(pread(c.source, buffer, BLOCK, s.mark), (ssize_t)BLOCK);
    cr_assert_eq(lseek(c.destination, 100, SEEK_SET), 100);
    cr_expect_not(write_from(buffer, BLOCK));
    expect_settled(REASON_MOVED);
    cr_expect_eq(offset(c.destination), 100);
    cr_expect_eq(file_size(c.destination), BLOCK);
}

Test(session, bytes_beyond_the_end_of_the_source)
{
    begin(SIZE);
    cr_assert(copy_on(SIZE));
    cr_expect_not(write_from("more", 4));
    expect_settled(REASON_SOURCE_ENDED);
    cr_expect_eq(file_size(c.destination), SIZE);
}

/* ---- what does not fit ---- */

static enum reason fits(int source, int destination)
{
    candidate_for(source, destination, BLOCK);
    return session_fits(&s, &c);
}

Test(session, destinations_that_do_not_fit)
{
    int source = file_filled(SIZE, 1), full = file_filled(SIZE, 2), appending = file_new();
    file_tick();
    cr_expect_eq(fits(source, full), REASON_OVERWRITES);
    cr_expect_eq(fcntl(appending, F_SETFL, O_APPEND), 0);
    cr_expect_eq(fits(source, appending), REASON_APPENDS);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", full);
    int reading = open(path, O_RDONLY);
    cr_assert_geq(reading, 0);
    cr_expect_eq(fits(source, reading), REASON_NOT_WRITABLE);
    int shifted = file_filled(512, 3);
    lseek(shifted, 0, SEEK_END);
    cr_expect_eq(fits(source, shifted), REASON_SHIFTED);
}

Test(session, a_destination_that_ends_on_a_block_fits_behind_it)
{
    int source = file_filled(SIZE, 1), destination = file_filled(BLOCK, 2);
    lseek(destination, 0, SEEK_END);
    file_tick();
    candidate_for(source, destination, BLOCK);
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_expect_eq(s.shift, BLOCK);
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    session_start(&s, &c);
    cr_assert(write_from(buffer, BLOCK));
    cr_expect_eq(file_size(destination), SIZE + BLOCK);
    mark_settle(&s, REASON_UNFINISHED);
    cr_expect_eq(file_size(destination), 2 * BLOCK);
    char byte;
    cr_assert_eq(pread(destination, &byte, 1, BLOCK + 5), 1);
    cr_expect_eq(byte, file_byte(5, 1));
}

Test(session, a_young_source_waits_where_stamps_are_coarse)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    cr_assert_eq(pwrite(source, "x", 1, 0), 1);
    struct timespec far[2] = {{.tv_nsec = UTIME_OMIT}, {4000000000, 1}};
    cr_assert_eq(futimens(source, far), 0);
    enum reason why = fits(source, destination);
    cr_expect_eq(why, s.fine_stamps ? REASON_NONE : REASON_YOUNG);
}

Test(session, no_engine_is_allowed)
{
    settings.engines = 0;
    int source = file_filled(SIZE, 1), destination = file_new();
    cr_expect_eq(fits(source, destination), REASON_NO_ENGINE);
}

/* ---- limits ---- */

Test(session, a_file_size_limit_is_met_by_the_program)
{
    struct rlimit limit = {SIZE / 2, RLIM_INFINITY};
    begin(SIZE);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_LIMITED);
    cr_expect_eq(file_size(c.destination), 0);
}

Test(session, a_file_size_limit_that_is_not_met)
{
    struct rlimit limit = {SIZE, RLIM_INFINITY};
    begin(SIZE);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect(copy_on(BLOCK));
}

Test(session, a_copy_for_which_there_is_no_room)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    /* A hole takes no space, and a plain copy of it would. */
    if (ftruncate(source, (off_t)1 << 50) < 0)
        cr_skip_test("the file system has no files so large");
    file_tick();
    candidate_for(source, destination, BLOCK);
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    session_start(&s, &c);
    cr_expect_not(write_from(buffer, BLOCK));
    expect_settled(REASON_SPACE);
    cr_expect_eq(file_size(destination), 0);
}

/* ---- engines that do not do as they say ---- */

static const struct engine *real;
static int64_t result;
static off_t short_by;

static enum reason never_refuses(const struct file_pair *pair)
{
    (void)pair;
    return REASON_NONE;
}

static unsigned real_granule(const struct file_pair *pair)
{
    return real->granule(pair);
}

static int64_t odd_copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    int64_t copied = real->copy(pair, from, to, n);
    cr_assert_eq(copied, (int64_t)n);
    if (short_by)
        cr_assert_eq(ftruncate(pair->destination, to + (off_t)n - short_by), 0);
    return result ? result : copied;
}

static const struct engine odd = {
    .name = "odd",
    .refuses = never_refuses,
    .copy = odd_copy,
    .failure = REASON_ENGINE_FAILED,
    .first_step = (size_t)4 << 20,
    .granule = real_granule,
    .freezes_source = true,
};

static void begin_odd(void)
{
    begin(SIZE);
    real = s.engine;
    s.engine = &odd;
}

Test(session, a_clone_that_is_shorter_than_it_says)
{
    begin_odd();
    short_by = 4096;
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_ENGINE_FAILED);
    cr_expect_eq(file_size(c.destination), 0, "what came of it was left in the file");
}

Test(session, a_clone_that_fails_and_leaves_bytes)
{
    begin_odd();
    result = -5;
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_ENGINE_FAILED);
    cr_expect_eq(file_size(c.destination), 0);
}

Test(session, a_clone_that_says_nothing_was_done)
{
    begin_odd();
    short_by = SIZE;
    result = -95;
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_ENGINE_FAILED);
    cr_expect_eq(file_size(c.destination), 0);
    cr_expect_eq(offset(c.destination), 0);
}

/* ---- a copy that the kernel is asked for ---- */

Test(session, a_copy_by_the_kernel_moves_the_destinations_offset)
{
    begin(SIZE);
    cr_assert_eq(mark_copy(&s, 0, BLOCK), BLOCK);
    cr_expect_eq(offset(c.destination), BLOCK);
    cr_expect_eq(offset(c.source), 0, "the source's is the caller's to move");
    cr_assert_eq(mark_copy(&s, BLOCK, 2 * SIZE), SIZE - BLOCK);
    cr_expect_eq(s.mark, SIZE);
    cr_expect_eq(mark_copy(&s, SIZE, 10), 0, "nothing is left");
    cr_expect(files_equal(c.source, c.destination, SIZE));
}

Test(session, a_copy_by_the_kernel_from_another_place)
{
    begin(SIZE);
    cr_assert_eq(mark_copy(&s, 0, BLOCK), BLOCK);
    cr_expect_eq(mark_copy(&s, BLOCK + 1, BLOCK), 0);
    expect_settled(REASON_MOVED);
    cr_expect_eq(file_size(c.destination), BLOCK);
}

Test(session, a_copy_by_the_kernel_of_a_source_that_was_changed)
{
    begin(SIZE);
    cr_assert_eq(mark_copy(&s, 0, BLOCK), BLOCK);
    file_tick();
    write_behind(c.source);
    cr_expect_eq(mark_copy(&s, BLOCK, BLOCK), 0);
    expect_settled(REASON_SOURCE_CHANGED);
    cr_expect_eq(file_size(c.destination), BLOCK);
}

/* An engine in whose call someone stores into the source through a page that is dirty already: no time moves. */
static char *stored_into;

static int64_t copy_after_a_store(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    stored_into[100] = (char)~stored_into[100];
    return engine_clone.copy(pair, from, to, n);
}

Test(session, a_store_between_comparing_and_cloning_is_seen)
{
    struct engine late = engine_clone;
    late.copy = copy_after_a_store;
    int source = file_filled(SIZE, 1), destination = file_new();
    stored_into = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, source, 0);
    cr_assert_neq(stored_into, MAP_FAILED);
    *(volatile char *)stored_into = *stored_into;
    file_tick();
    candidate_for(source, destination, BLOCK);
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    s.engine = &late;
    session_start(&s, &c);
    cr_expect_not(write_from(buffer, BLOCK), "the destination has other bytes than the program wrote");
    expect_settled(REASON_CHANGED_BYTES);
    cr_expect_eq(file_size(destination), 0);
}

/* As stdio does behind descriptor 1: the offset has moved, and the file is as long as before. */
static void write_unseen(void)
{
    begin(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_assert_eq(s.frontier, SIZE);
    cr_assert_eq(write(c.destination, "unseen", 6), 6);
}

Test(session, what_lies_behind_an_unseen_write_is_cut_off)
{
    write_unseen();
    mark_settle(&s, REASON_UNFINISHED);
    expect_settled(REASON_DESTINATION_CHANGED);
    cr_expect_eq(file_size(c.destination), BLOCK + 6);
}

Test(session, what_somebody_wrote_behind_an_unseen_write_stays)
{
    write_unseen();
    cr_assert_eq(pwrite(c.destination, "more", 4, SIZE - 4), 4);
    mark_settle(&s, REASON_UNFINISHED);
    expect_settled(REASON_DESTINATION_CHANGED);
    cr_expect_eq(file_size(c.destination), SIZE);
}

/* As write_unseen(), by a stream; and the source has other bytes and blocks when it is found out. */
static void write_unseen_by_stream(void)
{
    begin(SIZE);
    s.stream = true;
    cr_assert(write_from(buffer, BLOCK));
    cr_assert_gt(s.frontier, s.mark + (off_t)BLOCK);
    cr_assert_eq(write(c.destination, "unseen", 6), 6);
}

static void write_source_anew(void)
{
    memset(buffer, 'n', SIZE);
    cr_assert_eq(pwrite(c.source, buffer, SIZE, 0), SIZE);
    cr_assert_eq(fsync(c.source), 0);
}

Test(session, what_lies_behind_a_streams_unseen_write_is_cut_off_though_the_source_is_another)
{
    write_unseen_by_stream();
    write_source_anew();
    mark_settle(&s, REASON_DESTINATION_USED);
    cr_expect_eq(file_size(c.destination), BLOCK + 6);
}

Test(session, what_somebody_wrote_behind_a_streams_unseen_write_stays)
{
    write_unseen_by_stream();
    cr_assert_eq(pwrite(c.destination, "somebody's", 10, s.frontier - 100), 10);
    write_source_anew();
    mark_settle(&s, REASON_DESTINATION_USED);
    cr_expect_eq(file_size(c.destination), s.frontier);
}

/* ---- files on a server ---- */

/* A server is only a local file system here that is asked as one. `in_the_call`: what another does meanwhile. */
static void (*in_the_call)(void);
static size_t most_in_a_call = SIZE_MAX;

static int64_t copy_by_server(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    if (n > most_in_a_call)
        n = most_in_a_call;
    int64_t copied = engine_clone.copy(pair, from, to, n) < 0 ? -1 : (int64_t)n;
    if (in_the_call)
        in_the_call();
    return copied;
}

static struct engine server;

static void begin_on_server(size_t size)
{
    server = engine_clone;
    server.name = "a server";
    server.copy = copy_by_server;
    server.failure = REASON_SERVER_FAILED;
    server.first_step = 4 * BLOCK;
    server.freezes_source = false;
    server.remote = true;
    int source = file_filled(size, 1), destination = file_new();
    file_tick();
    candidate_for(source, destination, BLOCK);
    cr_assert_eq(session_fits(&s, &c), REASON_NONE);
    s.engine = &server;
    cr_assert_eq(session_prove(&s, &c), REASON_NONE);
    session_start(&s, &c);
    cr_assert_eq(sessions_remote, 1);
}

/* Stores into the source through a page that is dirty already: no time moves. */
static void store(void)
{
    stored_into[5] = (char)~stored_into[5];
}

static void map_source(size_t n)
{
    stored_into = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, c.source, 0);
    cr_assert_neq(stored_into, MAP_FAILED);
}

Test(session, on_a_server_a_copy_is_served)
{
    begin_on_server(LARGE + 1234);
    for (size_t done = 0; done < LARGE; done += BLOCK)
        cr_assert(copy_on(BLOCK));
    cr_assert(copy_on(1234));
    cr_expect_leq(s.scratch.room, (size_t)4 << 20);
    mark_settle(&s, REASON_NONE);
    expect_settled(REASON_NONE);
    cr_expect_eq(sessions_remote, 0);
    cr_expect(files_equal(c.source, c.destination, LARGE + 1234));
}

Test(session, on_a_server_a_write_may_be_longer_than_what_is_held)
{
    begin_on_server(LARGE);
    server.first_step = s.window = BLOCK;
    cr_assert(copy_on(SIZE));
    cr_expect_eq(s.mark, SIZE);
    cr_expect(files_equal(c.source, c.destination, SIZE));
}

Test(session, on_a_server_a_source_that_was_changed_since_the_copy_is_written_by_the_program)
{
    begin_on_server(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_assert_eq(s.frontier, 4 * BLOCK);
    /* Behind every time stamp. */
    write_behind_and_hide(c.source);
    map_source(SIZE);
    stored_into[BLOCK + 5] = 'x';
    cr_expect_not(copy_on(BLOCK), "the destination has what stood there before");
    expect_settled(REASON_CHANGED_BYTES);
    cr_expect_eq(file_size(c.destination), BLOCK);
}

Test(session, on_a_server_a_source_that_is_changed_during_the_copy)
{
    begin_on_server(SIZE);
    map_source(SIZE);
    in_the_call = store;
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_SOURCE_CHANGED);
    cr_expect_eq(file_size(c.destination), 0);
}

/* The server's word, where this machine's pages are older than what it copied. */
static void change_time(void)
{
    file_tick();
    cr_assert_eq(futimens(c.source, NULL), 0);
}

Test(session, on_a_server_a_source_that_has_another_time_after_the_copy)
{
    begin_on_server(SIZE);
    in_the_call = change_time;
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_SOURCE_CHANGED);
    cr_expect_eq(file_size(c.destination), 0);
}

/* That the two share blocks where a client asks is no proof of what others have written on the server. */
Test(session, on_a_server_what_lies_behind_an_unseen_write_stays)
{
    begin_on_server(SIZE);
    cr_assert(copy_on(BLOCK));
    off_t frontier = s.frontier;
    cr_assert_gt(frontier, s.mark);
    cr_assert_eq(write(c.destination, "unseen", 6), 6);
    file_tick();
    mark_settle(&s, REASON_UNFINISHED);
    cr_expect_neq(s.tally.reason, REASON_UNFINISHED);
    cr_expect_eq(file_size(c.destination), frontier);
}

/* The client is wrong about the source from the first call on. */
static bool denied;

static bool denies(const struct file_pair *pair, const struct file_state *source)
{
    cr_expect_eq(pair->source, c.source);
    cr_expect_eq(source->size, SIZE);
    return !denied;
}

static void deny(void)
{
    denied = true;
}

Test(session, on_a_server_that_knows_better_than_its_client_of_the_source)
{
    begin_on_server(SIZE);
    server.confirms = denies;
    cr_assert(copy_on(BLOCK));
    s.frontier = s.mark;
    cr_assert_eq(ftruncate(c.destination, s.mark), 0);
    cr_assert(guard_look(c.destination, &s.left));
    in_the_call = deny;
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_SOURCE_CHANGED);
    cr_expect_eq(file_size(c.destination), BLOCK);
}

static void ask_to_settle(void)
{
    s.asked = 1;
}

Test(session, on_a_server_each_call_is_looked_up_from)
{
    begin_on_server(LARGE);
    most_in_a_call = SIZE;
    s.window = LARGE;
    in_the_call = ask_to_settle;
    cr_expect_eq(mark_copy(&s, 0, LARGE), SIZE, "another thread has asked for the session meanwhile");
    cr_expect_leq(s.window, 16 * SIZE, "what a call has done is what the next is measured by");
}

Test(session, on_a_server_the_kernel_copies_what_the_source_holds_now)
{
    begin_on_server(LARGE);
    cr_assert_eq(mark_copy(&s, 0, SIZE), SIZE);
    cr_expect_eq(s.frontier, SIZE, "nothing runs ahead");
    cr_assert(copy_on(BLOCK));
    cr_assert_gt(s.frontier, s.mark);
    cr_expect_eq(mark_copy(&s, (off_t)(SIZE + BLOCK), SIZE), 0);
    expect_settled(REASON_DESTINATION_USED);
    cr_expect_eq(file_size(c.destination), SIZE + BLOCK);
}

Test(session, a_server_is_not_asked_for_every_small_piece)
{
    begin_on_server(LARGE);
    cr_expect_eq(mark_copy(&s, 0, BLOCK), 0);
    expect_settled(REASON_SLOWER);
}

Test(session, a_process_with_little_address_space_keeps_it)
{
    struct rlimit limit = {(rlim_t)1 << 40, (rlim_t)1 << 40};
    begin_on_server(LARGE);
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    for (size_t done = 0; done < LARGE; done += BLOCK)
        cr_assert(copy_on(BLOCK));
    cr_expect_eq(s.scratch.room, 4 * BLOCK);
}

Test(session, on_a_server_a_change_of_the_destination_that_is_known_here_stays)
{
    begin_on_server(SIZE);
    cr_assert(copy_on(BLOCK));
    cr_assert(copy_on(BLOCK));
    file_tick();
    cr_assert_eq(pwrite(c.destination, "of another process", 18, BLOCK + 7), 18);
    mark_settle(&s, REASON_UNFINISHED);
    expect_settled(REASON_DESTINATION_CHANGED);
    char found[18];
    cr_assert_eq(pread(c.destination, found, 18, BLOCK + 7), 18);
    cr_expect_eq(memcmp(found, "of another process", 18), 0);
}

Test(session, what_was_begun_for_the_kernel_is_not_gone_on_with_for_a_buffer)
{
    begin_on_server(LARGE);
    s.pair.compares = false;
    cr_assert_eq(mark_copy(&s, 0, SIZE), SIZE);
    cr_expect_not(copy_on(BLOCK));
    expect_settled(REASON_DESTINATION_USED);
    cr_expect_eq(file_size(c.destination), SIZE);
}
