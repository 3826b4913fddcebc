/* What lies in a pipe of the process's own, and what makes it no longer so. */
#include "core/piped.h"
#include "core/copy.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { N = 5000 };

static int ends[2];
static struct piped note;

static void set_up(void)
{
    cr_assert_eq(copy_made_pipe(ends, pipe2(ends, 0)), 0);
    note = (struct piped){.n = N, .source = 3, .end = ends[1], .at = 0};
}

static void put(size_t n)
{
    static char bytes[4 * N];
    memset(bytes, 'b', sizeof bytes);
    cr_assert_eq(write(ends[1], bytes, n), (ssize_t)n);
}

TestSuite(piped, .init = set_up);

Test(piped, as_many_bytes_as_were_noted)
{
    put(N - 1);
    cr_expect_not(piped_fills(&note, ends[0]));
    put(1);
    cr_expect(piped_fills(&note, ends[0]));
    put(1);
    cr_expect_not(piped_fills(&note, ends[0]));
}

Test(piped, another_pipe)
{
    int others[2];
    put(N);
    cr_assert_eq(copy_made_pipe(others, pipe2(others, 0)), 0);
    cr_assert_eq(write(others[1], "x", 1), 1);
    cr_expect_not(piped_fills(&note, others[0]));
    note.n = 1;
    cr_expect_not(piped_fills(&note, others[0]), "its end for writing is not the note's");
}

Test(piped, the_note_is_not_of_the_end_for_reading)
{
    put(N);
    note.end = ends[0];
    cr_expect_not(piped_fills(&note, ends[0]), "what is left could not be put back");
}

Test(piped, is_not_emptied_by_the_end_for_writing)
{
    put(N);
    cr_expect_not(piped_fills(&note, ends[1]), "vmsplice(2) would write to it");
}

Test(piped, packets_would_come_back_in_other_pieces)
{
    put(N);
    cr_assert_eq(fcntl(ends[1], F_SETFL, O_DIRECT), 0);
    cr_expect_not(piped_fills(&note, ends[0]));
}

Test(piped, an_end_that_has_another_number)
{
    put(N);
    cr_expect(copy_duplicated(ends[1], dup(ends[1])) >= 0);
    cr_expect_not(piped_fills(&note, ends[0]));
}

Test(piped, an_end_that_a_child_may_have)
{
    put(N);
    owned_forget_all();
    cr_expect_not(piped_fills(&note, ends[0]));
}

Test(piped, a_number_that_is_closed_or_a_file_is_no_pipes)
{
    put(N);
    cr_expect(owned_holds_pipe(ends[0]));
    cr_expect_not(owned_holds(ends[0]), "nobody's destination");
    copy_closing(ends[0], ends[0]);
    cr_expect_not(owned_holds_pipe(ends[0]));
    cr_expect_not(owned_holds_pipe(-1));
    cr_expect_not(owned_holds_pipe(OWNED_RANGE));
}

Test(piped, is_empty_afterwards)
{
    struct iovec bytes = {NULL, N};
    char one;
    put(N);
    cr_assert(piped_drain(ends[0], &bytes));
    cr_expect_eq(bytes.iov_len, N);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(((char *)bytes.iov_base)[i], 'b');
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    cr_expect_eq(read(ends[0], &one, 1), -1);
}
