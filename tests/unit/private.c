/* Where the library's own descriptors lie in the program's table. */
#include "core/private.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

static int opened(void)
{
    return open("/dev/null", O_RDONLY);
}

static void limit_to(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < most)
        cr_skip_test("so many descriptors are not to be had");
    limit.rlim_cur = most;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Moves one up; what it was is free again. */
static int moved_up(void)
{
    int low = opened(), high = private_descriptor(low);
    cr_expect_lt(fcntl(low, F_GETFD), 0, "the low number is still taken");
    if (high >= 0)
        cr_expect(fcntl(high, F_GETFD) & FD_CLOEXEC);
    return high;
}

Test(private, lie_above_what_programs_are_given)
{
    limit_to(4096);
    int first = moved_up(), second = moved_up();
    cr_expect_geq(first, 900);
    cr_expect_gt(second, first);
}

Test(private, lie_in_the_last_quarter_of_a_low_limit)
{
    static const rlim_t limits[] = {902, 256, 64};
    for (unsigned i = 0; i < 3; i++) {
        limit_to(limits[i]);
        int high = moved_up();
        cr_expect_geq(high, (int)(limits[i] - limits[i] / 4));
        cr_expect_lt(high, (int)limits[i]);
    }
}

Test(private, there_may_be_no_number_left)
{
    limit_to(64);
    int high = 0;
    for (int i = 0; i < 64 && high >= 0; i++)
        high = moved_up();
    cr_expect_eq(high, -EMFILE);
}

Test(private, an_error_stays_one)
{
    cr_expect_eq(private_descriptor(-ENOENT), -ENOENT);
}

Test(private, none_of_ours_is_any_number)
{
    cr_expect_not(private_is(-1));
    cr_expect_not(private_is(0));
    cr_expect_eq(private_next(0, 100), 101);
}

Test(private, is_found)
{
    int low = opened();
    cr_assert_eq(dup2(low, 905), 905);
    private_keep(PRIVATE_REPORT, 905);
    cr_expect(private_is(905));
    cr_expect_not(private_is(902));
    cr_expect_eq(private_next(0, INT_MAX), 905);
    cr_expect_eq(private_next(905, INT_MAX), 905);
    cr_expect_eq(private_next(906, INT_MAX), (unsigned)INT_MAX + 1);
    cr_expect_eq(private_next(0, 900), 901, "one beyond a range without any");
}

Test(private, a_number_that_the_program_has_taken_is_its_own)
{
    int low = opened();
    cr_assert_eq(dup2(low, 905), 905);
    private_keep(PRIVATE_REPORT, 905);
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[0], 905), 905);
    cr_expect_not(private_is(905));
    cr_expect_eq(private_next(0, INT_MAX), (unsigned)INT_MAX + 1);
}
