/* The sets of descriptors that are used behind the library's back. */
#include "core/unseen.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>

static struct unseen_use set;

static unsigned held(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < UNSEEN_RANGE; fd++)
        count += unseen_holds(&set, fd);
    return count;
}

Test(unseen, holds_what_was_added)
{
    static const int some[] = {0, 1, 7, 8, 9, 1023, UNSEEN_RANGE - 1};
    cr_expect_eq(held(), 0);
    for (unsigned i = 0; i < 7; i++) {
        unseen_add(&set, some[i]);
        unseen_add(&set, some[i]);
        cr_expect(unseen_holds(&set, some[i]));
        cr_expect_eq(held(), i + 1);
    }
    cr_expect_not(set.beyond);
}

Test(unseen, removes_a_range_with_both_its_ends)
{
    for (int fd = 0; fd < 32; fd++)
        unseen_add(&set, fd);
    unseen_remove_range(&set, 5, 9);
    cr_expect(unseen_holds(&set, 4));
    cr_expect_not(unseen_holds(&set, 5));
    cr_expect_not(unseen_holds(&set, 9));
    cr_expect(unseen_holds(&set, 10));
    unseen_remove_range(&set, 10, 10);
    cr_expect_not(unseen_holds(&set, 10));
    unseen_remove_range(&set, 20, 19);
    cr_expect(unseen_holds(&set, 20), "an empty range");
    unseen_remove_range(&set, INT_MIN, INT_MAX);
    cr_expect_eq(held(), 0);
}

Test(unseen, numbers_beyond_the_range_are_one)
{
    cr_expect_not(unseen_holds(&set, UNSEEN_RANGE));
    unseen_add(&set, INT_MAX);
    cr_expect(unseen_holds(&set, UNSEEN_RANGE));
    cr_expect(unseen_holds(&set, INT_MAX));
    cr_expect_eq(held(), 0);
    unseen_remove_range(&set, 0, INT_MAX);
    cr_expect(unseen_holds(&set, UNSEEN_RANGE), "it is not known which they were");
}

Test(unseen, no_descriptor_is_in_no_set)
{
    unseen_add(&set, -1);
    cr_expect_eq(held(), 0);
    cr_expect_not(set.beyond);
    cr_expect_not(unseen_holds(&set, -1));
}

static void *add_every_other(void *first)
{
    for (int fd = (int)(intptr_t)first; fd < UNSEEN_RANGE; fd += 2)
        unseen_add(&set, fd);
    return NULL;
}

Test(unseen, threads_do_not_undo_each_other)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, add_every_other, (void *)1), 0);
    add_every_other((void *)0);
    pthread_join(thread, NULL);
    cr_expect_eq(held(), UNSEEN_RANGE);
}

Test(unseen, remembers_files_that_were_mapped)
{
    cr_expect_not(unseen_any_file);
    cr_expect_not(unseen_may_be_mapped(131));
    unseen_add_file(131);
    cr_expect(unseen_any_file);
    cr_expect(unseen_may_be_mapped(131));
    cr_expect_not(unseen_may_be_mapped(132));
}

Test(unseen, a_file_without_a_number_may_be_any)
{
    cr_expect(unseen_may_be_mapped(0), "it may be one that was mapped");
    unseen_add_file(0);
    cr_expect(unseen_any_file);
    cr_expect(unseen_may_be_mapped(131));
}
