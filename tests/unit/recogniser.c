/* Which reads a write is taken to belong to, and which pairs are asked about no more. */
#include "core/recogniser.h"

#include "files.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <unistd.h>

static char buffer[NOTES + 2][256];

Test(recogniser, a_thread_that_has_read_nothing_matches_nothing)
{
    cr_expect_null(recogniser_match(buffer[0]));
    cr_expect_null(recogniser_match(NULL));
}

Test(recogniser, every_byte_of_a_read_matches_and_no_other)
{
    recogniser_note(5, buffer[1], 100);
    const struct read_note *note = recogniser_match(buffer[1]);
    cr_assert_not_null(note);
    cr_expect_eq(note->fd, 5);
    cr_expect_eq(note->length, 100);
    cr_expect_eq(recogniser_match(buffer[1] + 99), note);
    cr_expect_null(recogniser_match(buffer[1] + 100));
    cr_expect_null(recogniser_match(buffer[1] - 1));
}

Test(recogniser, the_newest_of_two_reads_into_one_place_wins)
{
    recogniser_note(5, buffer[0], 100);
    recogniser_note(6, buffer[0] + 50, 100);
    cr_expect_eq(recogniser_match(buffer[0] + 49)->fd, 5);
    cr_expect_eq(recogniser_match(buffer[0] + 50)->fd, 6);
    cr_expect_eq(recogniser_match(buffer[0] + 149)->fd, 6);
    recogniser_note(7, buffer[0], 256);
    cr_expect_eq(recogniser_match(buffer[0] + 50)->fd, 7);
}

Test(recogniser, the_last_reads_are_kept_and_older_ones_are_not)
{
    for (int i = 0; i < NOTES; i++)
        recogniser_note(10 + i, buffer[i], 256);
    for (int i = 0; i < NOTES; i++) {
        cr_assert_not_null(recogniser_match(buffer[i] + 255), "read %d is forgotten", i);
        cr_expect_eq(recogniser_match(buffer[i] + 255)->fd, 10 + i);
    }
    recogniser_note(10 + NOTES, buffer[NOTES], 256);
    cr_expect_null(recogniser_match(buffer[0]), "one more than is kept");
    cr_expect_not_null(recogniser_match(buffer[1]));
    cr_expect_not_null(recogniser_match(buffer[NOTES]));
}

Test(recogniser, the_notes_go_round_when_their_number_does)
{
    read_notes.next = UINT_MAX - 1;
    for (int i = 0; i < NOTES; i++)
        recogniser_note(10 + i, buffer[i], 256);
    for (int i = 0; i < NOTES; i++) {
        cr_assert_not_null(recogniser_match(buffer[i]));
        cr_expect_eq(recogniser_match(buffer[i])->fd, 10 + i);
    }
}

Test(recogniser, a_note_of_a_number_that_means_another_file_is_none)
{
    recogniser_note(5, buffer[0], 100);
    recogniser_forget(5);
    cr_expect_null(recogniser_match(buffer[0]));
}

static bool is_source(int fd)
{
    for (unsigned i = 0; i < SOURCES; i++)
        if (recogniser_source(i) == fd)
            return true;
    return false;
}

Test(recogniser, the_files_read_last_are_known_to_every_thread)
{
    cr_expect_not(recogniser_may_guess(GUESS_LEAST), "nothing was read");
    for (int fd = 5; fd < 5 + SOURCES; fd++)
        for (int i = 0; i < 3; i++)
            recogniser_note(fd, buffer[0], 100);
    for (int fd = 5; fd < 5 + SOURCES; fd++)
        cr_expect(is_source(fd));
    recogniser_note_at(40, buffer[0], 100, 7);
    cr_expect(is_source(40));
    cr_expect_not(is_source(5), "one more than is kept");
    cr_expect(recogniser_may_guess(GUESS_LEAST));
    cr_expect_not(recogniser_may_guess(GUESS_LEAST - 1), "a small write does not repay a wrong guess");
    recogniser_forget_sources();
    cr_expect_not(is_source(40));
    cr_expect_not(recogniser_may_guess(GUESS_LEAST));
}

Test(recogniser, a_source_goes_with_its_number)
{
    recogniser_note(5, buffer[0], 100);
    recogniser_forget(5);
    cr_expect_not(is_source(5));
    recogniser_note(5, buffer[0], 100);
    cr_expect(is_source(5));
    recogniser_found_irregular(6);
    recogniser_note(6, buffer[0], 100);
    cr_expect_not(is_source(6));
}

Test(recogniser, when_times_are_set_all_that_was_read_is_forgotten)
{
    recogniser_note(5, buffer[0], 100);
    recogniser_forget_every();
    cr_expect_null(recogniser_match(buffer[0]));
    cr_expect_not(is_source(5));
    cr_expect_not(recogniser_may_guess(GUESS_LEAST));
}

Test(recogniser, a_served_pair_is_asked_about_each_time_again)
{
    recogniser_refused(3, 4, false);
    recogniser_refused(3, 4, false);
    recogniser_served(3, 4);
    cr_expect(recogniser_worth(3, 4));
    recogniser_refused(3, 4, false);
    recogniser_served(4, 3);
    cr_expect_not(recogniser_worth(3, 4), "another pair");
}

static void read_and_note(int fd, char *into, size_t n)
{
    cr_assert_eq(read(fd, into, n), (ssize_t)n);
    recogniser_note(fd, into, n);
}

static off_t offset_of(const char *at)
{
    const struct read_note *note = recogniser_match(at);
    cr_assert_not_null(note);
    return recogniser_source_offset(note, at);
}

Test(recogniser, a_read_with_an_offset_of_its_own_says_where_it_was)
{
    int fd = file_filled(4096, 1);
    read_and_note(fd, buffer[0], 100);
    recogniser_note_at(fd, buffer[1], 100, 2000);
    cr_expect_eq(offset_of(buffer[1] + 5), 2005);
    cr_expect_eq(offset_of(buffer[0] + 5), 5, "it has not moved the descriptor's");
    read_and_note(fd, buffer[2], 100);
    cr_expect_eq(offset_of(buffer[2]), 100);
    cr_expect_eq(offset_of(buffer[0]), 0);
}

Test(recogniser, a_source_offset_counts_later_reads_of_the_descriptor)
{
    int fd = file_filled(4096, 1), other = file_filled(4096, 2);
    cr_assert_eq(lseek(fd, 1000, SEEK_SET), 1000);
    read_and_note(fd, buffer[0], 100);
    cr_expect_eq(offset_of(buffer[0]), 1000);
    cr_expect_eq(offset_of(buffer[0] + 40), 1040, "a part of a buffer");
    read_and_note(other, buffer[1], 250);
    cr_expect_eq(offset_of(buffer[0]), 1000, "another descriptor's reads do not count");
    read_and_note(fd, buffer[2], 200);
    cr_expect_eq(offset_of(buffer[0]), 1000);
    cr_expect_eq(offset_of(buffer[2] + 7), 1107);
    cr_expect_eq(offset_of(buffer[1]), 0);
}

Test(recogniser, the_offset_is_the_descriptors_own)
{
    int fd = file_filled(4096, 1), ends[2];
    read_and_note(fd, buffer[0], 100);
    cr_assert_eq(lseek(fd, 300, SEEK_SET), 300);
    cr_expect_eq(offset_of(buffer[0]), 200, "a guess that comparing the bytes puts right");
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], buffer[0], 10), 10);
    read_and_note(ends[0], buffer[1], 10);
    cr_expect_eq(offset_of(buffer[1]), -1, "a pipe has none");
    close(fd);
    cr_expect_eq(offset_of(buffer[0]), -1, "a descriptor that was closed has none");
}

static unsigned matches_until_worth(int in, int out)
{
    unsigned matches = 0;
    while (!recogniser_worth(in, out) && matches < 1000)
        matches++;
    return matches;
}

Test(recogniser, a_pair_without_refusals_is_always_worth_it)
{
    for (int i = 0; i < 10; i++)
        cr_expect(recogniser_worth(3, 4));
}

Test(recogniser, a_refused_pair_is_asked_about_ever_more_rarely)
{
    for (unsigned delay = 1; delay <= 64; delay *= 2) {
        recogniser_refused(3, 4, false);
        cr_expect_eq(matches_until_worth(3, 4), delay);
        cr_expect(recogniser_worth(3, 4), "once it is worth it, it stays so until refused again");
    }
    cr_expect(recogniser_worth(4, 3), "the other way round is another pair");
    cr_expect(recogniser_worth(3, 5));
}

Test(recogniser, the_delay_does_not_wrap_round)
{
    for (int i = 0; i < 40; i++)
        recogniser_refused(3, 4, false);
    cr_expect_not(recogniser_worth(3, 4));
}

Test(recogniser, a_pair_may_be_refused_for_good)
{
    cr_expect_not(recogniser_gave_up(3, 4));
    recogniser_refused(3, 4, false);
    cr_expect_not(recogniser_gave_up(3, 4));
    recogniser_refused(3, 4, true);
    cr_expect(recogniser_gave_up(3, 4));
    cr_expect_eq(matches_until_worth(3, 4), 1000);
    cr_expect(recogniser_gave_up(3, 4), "matches do not wear it out");
}

Test(recogniser, a_number_that_means_another_file_is_asked_about_again)
{
    recogniser_refused(3, 4, true);
    recogniser_forget(5);
    cr_expect_not(recogniser_worth(3, 4), "another number says nothing");
    recogniser_forget(3);
    cr_expect(recogniser_worth(3, 4), "the source was closed or opened");
    cr_expect_not(recogniser_gave_up(3, 4));

    recogniser_refused(3, 4, true);
    cr_expect_not(recogniser_worth(3, 4));
    recogniser_forget(4);
    cr_expect(recogniser_worth(3, 4), "the destination was");

    recogniser_refused(3, 4, false);
    cr_expect_eq(matches_until_worth(3, 4), 1, "what came before is no part of the count");
}

Test(recogniser, pairs_that_share_a_place_do_not_mistake_each_other)
{
    recogniser_refused(3, 4, true);
    for (int in = 0; in < 40; in++)
        for (int out = 0; out < 40; out++)
            if (in != 3 || out != 4)
                cr_expect(recogniser_worth(in, out), "%d and %d", in, out);
}
