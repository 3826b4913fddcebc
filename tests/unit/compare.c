/* Whether a buffer of the program's holds what the source holds. */
#include "buffers/compare.h"

#include "files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (3 * COMPARE_SCRATCH + 1234)
#define START ((size_t)777) /* of the buffer's bytes in the file */

static char *pages(size_t n, int protection)
{
    char *at = mmap(NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(at, MAP_FAILED);
    return at;
}

static int source;
static char *buffer;
static struct compare_scratch scratch;

static void set_up(void)
{
    source = file_filled(START + SIZE, 1);
    buffer = pages(SIZE, PROT_READ | PROT_WRITE);
    scratch = (struct compare_scratch){0};
    cr_assert(compare_take(&scratch, 0));
    for (size_t i = 0; i < SIZE; i++)
        buffer[i] = file_byte(START + i, 1);
}

static enum reason compare_with(const void *bytes, size_t n, int file, off_t from)
{
    compare_forget(&scratch);
    return compare_buffer(bytes, n, file, from, &scratch);
}

static enum reason compare(size_t n)
{
    return compare_with(buffer, n, source, START);
}

TestSuite(compare, .init = set_up);

Test(compare, equal)
{
    static const size_t lengths[] = {1, 4096, COMPARE_SCRATCH - 1, COMPARE_SCRATCH, COMPARE_SCRATCH + 1, SIZE};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        cr_expect_eq(compare(lengths[i]), REASON_NONE, "%zu bytes", lengths[i]);
    cr_expect_eq(lseek(source, 0, SEEK_CUR), 0, "the source's offset has moved");
}

Test(compare, each_place_counts)
{
    static const size_t places[] = {0, 1, 4095, 4096, COMPARE_SCRATCH - 1, COMPARE_SCRATCH, SIZE - 2, SIZE - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        buffer[places[i]] ^= 1;
        cr_expect_eq(compare(SIZE), REASON_CHANGED_BYTES, "byte %zu", places[i]);
        buffer[places[i]] ^= 1;
    }
    buffer[1000] ^= 1;
    cr_expect_eq(compare(1000), REASON_NONE, "a byte behind the end does not count");
}

Test(compare, an_offset_further_is_other_bytes)
{
    cr_expect_eq(compare_with(buffer, SIZE - 1, source, START + 1), REASON_CHANGED_BYTES);
}

Test(compare, a_source_that_ends_before)
{
    cr_assert_eq(ftruncate(source, START + SIZE - 1), 0);
    cr_expect_eq(compare(SIZE), REASON_CHANGED_BYTES);
    cr_expect_eq(compare(SIZE - 1), REASON_NONE);
    cr_assert_eq(ftruncate(source, 0), 0);
    cr_expect_eq(compare(1), REASON_CHANGED_BYTES);
}

Test(compare, what_an_earlier_comparison_left_is_no_proof)
{
    cr_expect_eq(compare(1000), REASON_NONE);
    cr_assert_eq(ftruncate(source, START + 999), 0);
    cr_expect_eq(compare(1000), REASON_CHANGED_BYTES);
}

Test(compare, a_source_that_cannot_be_read)
{
    cr_expect_eq(compare_with(buffer, 10, -1, 0), REASON_CHANGED_BYTES);
}

/* Each of these would end the test by a signal if the bytes were loaded. */

/* As the hook of mprotect(2) does. */
static void forbid(char *at, size_t n)
{
    compare_what_may_be_forbidden();
    cr_assert_eq(mprotect(at, n, PROT_NONE), 0);
}

Test(compare, a_buffer_that_may_not_be_read)
{
    forbid(buffer, SIZE);
    cr_expect_eq(compare(SIZE), REASON_BUFFER_GONE);
    cr_expect_eq(compare(1), REASON_BUFFER_GONE);
}

Test(compare, one_page_in_the_middle)
{
    forbid(buffer + 5 * 4096, 4096);
    cr_expect_eq(compare(5 * 4096), REASON_NONE);
    cr_expect_eq(compare(5 * 4096 + 1), REASON_BUFFER_GONE);
}

Test(compare, the_last_page_of_a_later_part)
{
    size_t last = SIZE / 4096 * 4096;
    forbid(buffer + last, 4096);
    cr_expect_eq(compare(SIZE), REASON_BUFFER_GONE);
    cr_expect_eq(compare(last), REASON_NONE);
}

Test(compare, no_memory_at_all)
{
    cr_assert_eq(munmap(buffer, SIZE), 0);
    cr_expect_eq(compare(SIZE), REASON_BUFFER_GONE);
    cr_expect_eq(compare_with(NULL, 100, source, START), REASON_BUFFER_GONE);
    cr_expect_eq(compare_with((char *)UINTPTR_MAX - 10000, 100, source, START), REASON_BUFFER_GONE);
}

Test(compare, memory_that_wraps_around)
{
    cr_expect_not(compare_readable(buffer, SIZE_MAX));
    cr_expect_not(compare_readable((char *)UINTPTR_MAX - 100, 4096));
    cr_expect_not(compare_readable((char *)UINTPTR_MAX - 4095, 4096));
    cr_expect_not(compare_readable(buffer, SIZE_MAX - (size_t)(uintptr_t)buffer + 2));
    cr_expect_not(compare_readable((char *)UINTPTR_MAX - 100, 0), "the kernel looks at that address as well");
    cr_expect(compare_readable(NULL, 0));
    cr_expect(compare_readable(buffer, SIZE));
}

Test(compare, pieces_are_one_after_the_other)
{
    struct iovec pieces[] = {{buffer, 0}, {buffer, 100}, {NULL, 0}, {buffer + 100, SIZE - 100}};
    struct compare_scratch held = {0};
    cr_assert(compare_take(&held, 0));
    cr_expect_eq(compare_pieces(pieces, 0, SIZE, source, START, &held, false), REASON_NONE);
    compare_forget(&held);
    cr_expect_eq(compare_pieces(pieces, 50, 1000, source, START + 50, &held, false), REASON_NONE);
    cr_expect_eq(compare_pieces(pieces, 50, 1000, source, START + 51, &held, false), REASON_CHANGED_BYTES);
    cr_expect_eq(compare_pieces(pieces, 0, 0, source, START, &held, false), REASON_NONE);
    pieces[3].iov_base = (char *)UINTPTR_MAX - 10;
    cr_expect_eq(compare_pieces(pieces, 0, 100, source, START, &held, false), REASON_NONE);
    cr_expect_eq(compare_pieces(pieces, 0, 101, source, START, &held, false), REASON_BUFFER_GONE);
    compare_drop(&held);
}

/* Another process truncates the mapped file while it is compared: a load would end this one. */
Test(compare, a_mapping_that_goes_meanwhile)
{
    int file = file_filled(SIZE, 1);
    char *mapping = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
    pid_t child;
    cr_assert_neq(mapping, MAP_FAILED);
    compare_what_may_go();
    cr_expect_eq(compare_with(mapping, SIZE, file, 0), REASON_NONE);
    cr_assert_neq(child = fork(), -1);
    for (int turn = 0; child == 0; turn++)
        if (ftruncate(file, turn % 2 ? (off_t)SIZE : 4096) != 0)
            _exit(1);
    for (int turn = 0; turn < 3000; turn++)
        compare_with(mapping, SIZE, source, START);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

Test(compare, a_mapping_beyond_the_end_of_its_file)
{
    int file = file_filled(4096, 2);
    char *mapping = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, file, 0);
    cr_assert_neq(mapping, MAP_FAILED);
    cr_expect_eq(compare_with(mapping + 4096, 4096, source, 0), REASON_BUFFER_GONE);
    cr_expect_eq(compare_with(mapping, 4096, source, 0), REASON_CHANGED_BYTES);
    cr_expect_eq(compare_with(mapping, 4096, file, 0), REASON_NONE);
}

Test(compare, memory_that_may_only_be_read)
{
    cr_assert_eq(mprotect(buffer, SIZE, PROT_READ), 0);
    cr_expect_eq(compare(SIZE), REASON_NONE);
}

static long bytes_read(void)
{
    /* What is read of this file counts as well: the same each time, however many digits it has. */
    char text[32] = "";
    int io = open("/proc/self/io", O_RDONLY);
    cr_assert_eq(read(io, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(io);
    return strtol(text + strlen("rchar: "), NULL, 10);
}

Test(compare, the_source_is_read_once_for_many_small_writes)
{
    static const size_t lengths[] = {1, 500, 512, 4096, 40000, 65535, 65536, 131072, 100000};
    long asking = bytes_read();
    asking = bytes_read() - asking;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        long before = bytes_read();
        size_t done = 0;
        compare_forget(&scratch);
        for (; done + lengths[i] <= SIZE; done += lengths[i])
            cr_assert_eq(compare_buffer(buffer + done, lengths[i], source, (off_t)(START + done), &scratch),
                         REASON_NONE);
        cr_expect_leq(bytes_read() - before - asking, (long)SIZE, "writes of %zu bytes", lengths[i]);
    }
}

Test(compare, of_a_small_source_less_is_read_at_once)
{
    static const off_t wholes[] = {-1, 0, 1, 1 << 20, 8 << 20, (off_t)1 << 40};
    static const size_t steps[] = {COMPARE_LEAST, COMPARE_LEAST,     COMPARE_LEAST,
                                   COMPARE_LEAST, 2 * COMPARE_LEAST, COMPARE_SCRATCH};
    long asking = bytes_read();
    asking = bytes_read() - asking;
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        compare_forget(&scratch);
        compare_expect(&scratch, wholes[i]);
        cr_expect_eq(scratch.step, steps[i], "of %ld bytes", (long)wholes[i]);
        long before = bytes_read();
        cr_assert_eq(compare_buffer(buffer, 1, source, START, &scratch), REASON_NONE);
        cr_expect_leq(bytes_read() - before - asking, (long)steps[i]);
        cr_expect_eq(compare(SIZE), REASON_NONE);
    }
}

Test(compare, what_is_held_is_used_until_it_is_forgotten)
{
    cr_assert_eq(compare(1000), REASON_NONE);
    cr_assert_eq(ftruncate(source, 0), 0);
    cr_expect_eq(compare_buffer(buffer, 1000, source, START, &scratch), REASON_NONE);
    cr_expect_eq(compare_buffer(buffer + 1, 999, source, START + 1, &scratch), REASON_NONE);
    cr_expect_eq(compare_buffer(buffer, 999, source, START + 1, &scratch), REASON_CHANGED_BYTES);
    compare_forget(&scratch);
    cr_expect_eq(compare_buffer(buffer, 1000, source, START, &scratch), REASON_CHANGED_BYTES);
}
