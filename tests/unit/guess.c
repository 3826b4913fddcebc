/* Where the bytes of a write are looked for. */
#include "core/guess.h"
#include "core/exact.h"
#include "core/recogniser.h"

#include "files.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE ((size_t)256 << 10)
#define N ((size_t)8192)

static char buffer[SIZE], elsewhere[N];
static struct iovec piece;
static struct program_write written;
static struct candidate c;

/* The program is about to write what stands at `from` in a file, out of memory to which nothing was read. */
static void about_to_write(int source, off_t from, int destination, size_t n)
{
    cr_assert_eq(pread(source, elsewhere, n, from), (ssize_t)n);
    piece = (struct iovec){elsewhere, n};
    written = (struct program_write){.pieces = &piece, .count = 1, .n = n, .at = -1};
    c = (struct candidate){.destination = destination, .write = &written, .n = n, .to = -1};
}

static void reads(int fd, size_t n)
{
    ssize_t got = read(fd, buffer, n);
    cr_assert_gt(got, 0);
    recogniser_note(fd, buffer, (size_t)got);
}

static void expect_found(int source, off_t from)
{
    cr_assert(guess_source(&c));
    cr_expect_eq(c.source, source);
    cr_expect_eq(c.from, from, "found at %ld", (long)c.from);
}

Test(guess, in_the_same_place_of_another_file)
{
    int source = file_filled(SIZE, 1), other = file_filled(SIZE, 2), destination = file_filled(N, 3);
    reads(source, N);
    reads(other, N);
    cr_assert_eq(lseek(destination, (off_t)N, SEEK_SET), (off_t)N);
    about_to_write(source, (off_t)N, destination, N);
    expect_found(source, (off_t)N);
    cr_expect_eq(c.to, (off_t)N);
}

Test(guess, where_the_thread_has_read_to)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    cr_assert_eq(lseek(source, 40960, SEEK_SET), 40960);
    reads(source, N);
    about_to_write(source, 40960, destination, N);
    expect_found(source, 40960);
    reads(source, N);
    about_to_write(source, 40960, destination, N);
    expect_found(source, 40960);
    about_to_write(source, 40960 + 4096, destination, N);
    cr_expect_not(guess_source(&c), "not a place that it would be at");
}

Test(guess, joined_reads)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    cr_assert_eq(lseek(source, 40960, SEEK_SET), 40960);
    for (int i = 0; i < 4; i++)
        reads(source, N / 4);
    about_to_write(source, 40960, destination, N);
    expect_found(source, 40960);
}

Test(guess, in_a_mapping)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    char *at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, source, 0);
    cr_assert_neq(at, MAP_FAILED);
    guess_note_mapping(source, at + 4096, SIZE - 4096, 4096);
    about_to_write(source, 0, destination, N);
    piece.iov_base = at + 65536;
    expect_found(source, 65536);
    piece.iov_base = at;
    cr_expect_not(guess_source(&c), "before the mapping");
    piece.iov_base = at + 65536;
    recogniser_forget(source);
    cr_expect_not(guess_source(&c), "the number means another file by now");
}

Test(guess, other_bytes_are_not_found)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    reads(source, N);
    about_to_write(source, 0, destination, N);
    elsewhere[0] ^= 1;
    cr_expect_not(guess_source(&c));
    elsewhere[0] ^= 1;
    elsewhere[N - 1] ^= 1;
    cr_expect_not(guess_source(&c));
}

Test(guess, the_destination_itself_is_no_source)
{
    int source = file_filled(SIZE, 1);
    reads(source, N);
    cr_assert_eq(lseek(source, 0, SEEK_SET), 0);
    about_to_write(source, 0, source, N);
    cr_expect_not(guess_source(&c));
}

Test(guess, memory_that_is_not_there)
{
    int source = file_filled(SIZE, 1), destination = file_new();
    reads(source, N);
    about_to_write(source, 0, destination, N);
    piece.iov_base = (void *)UINTPTR_MAX;
    cr_expect_not(guess_source(&c));
    piece.iov_base = NULL;
    cr_expect_not(guess_source(&c));
}

/* How many writes of n bytes are let pass before the next guess. */
static unsigned let_pass(size_t n)
{
    unsigned passed = 0;
    while (!guess_is_due(n))
        passed++;
    return passed;
}

Test(guess, wrong_ones_make_further_ones_rarer_and_wait_for_a_read)
{
    int source = file_filled(SIZE, 1);
    for (unsigned wait = 1; wait <= 1024; wait *= 2) {
        reads(source, 100);
        cr_expect(recogniser_may_guess(N));
        guess_was(N, false);
        cr_expect_not(recogniser_may_guess(N), "nothing was read since");
        cr_expect_eq(let_pass(N), wait);
    }
    guess_was(N, false);
    cr_expect_eq(let_pass(N), 1024);
    guess_was(N, true);
    guess_was(N, false);
    cr_expect_eq(let_pass(N), 1);
}

Test(guess, wrong_ones_of_short_writes_do_not_hold_up_those_of_long_ones)
{
    for (unsigned turn = 0; turn < 10; turn++)
        guess_was(EXACT_LEAST - 1, false);
    cr_expect(guess_is_due(EXACT_LEAST));
    guess_was(EXACT_LEAST, false);
    cr_expect_eq(let_pass(EXACT_LEAST), 1);
    cr_expect_eq(let_pass(EXACT_LEAST - 1), 512);
}
