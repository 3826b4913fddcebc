/* What two disks have answered, for a moment. */
#include "engines/array/answers.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static struct disk_pair opened(void)
{
    return (struct disk_pair){.disks = {1, 2}, .nodes = {{3, 4}, {5, 6}}};
}

static void note(void)
{
    struct disk_pair pair = opened();
    pair.sector = 4096;
    pair.sizes[1] = 7;
    memset(pair.names[0], 'a', sizeof pair.names[0]);
    memset(pair.names[1], 'b', sizeof pair.names[1]);
    answers_note(&pair);
}

Test(answers, what_was_answered_is_known)
{
    struct disk_pair pair = opened();
    cr_expect_not(answers_known(&pair));
    note();
    cr_assert(answers_known(&pair));
    cr_expect_eq(pair.sector, 4096);
    cr_expect_eq(pair.sizes[1], 7);
    cr_expect_eq(pair.names[0][31], 'a');
    cr_expect_eq(pair.names[1][31], 'b');
}

Test(answers, another_disk_or_another_node_has_not_answered)
{
    struct disk_pair pair[6];
    for (int i = 0; i < 6; i++)
        pair[i] = opened();
    pair[0].disks[0]++;
    pair[1].disks[1]++;
    pair[2].nodes[0].device++;
    pair[3].nodes[1].device++;
    pair[4].nodes[0].file++;
    pair[5].nodes[1].file++;
    note();
    for (int i = 0; i < 6; i++)
        cr_expect_not(answers_known(&pair[i]), "%d", i);
}

Test(answers, they_are_asked_again_after_a_moment_and_when_a_copy_failed)
{
    struct disk_pair pair = opened();
    note();
    answers_forget();
    cr_expect_not(answers_known(&pair));
    note();
    usleep(1010000);
    cr_expect_not(answers_known(&pair));
}
