/* What the report tells the user. */
#include "core/reasons.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

Test(reasons, each_has_words)
{
    for (int i = 0; i < REASONS; i++) {
        const char *words = reason_words((enum reason)i);
        cr_assert_not_null(words);
        cr_expect_geq(strlen(words), 20, "reason %d: \"%s\"", i, words);
        cr_expect_not_null(strchr(words, ' '), "reason %d is one word", i);
    }
}

Test(reasons, each_is_one_clean_line_without_a_full_stop)
{
    for (int i = 0; i < REASONS; i++) {
        const char *words = reason_words((enum reason)i);
        size_t n = strlen(words);
        cr_expect_neq(words[n - 1], '.', "\"%s\"", words);
        cr_expect_not(isspace((unsigned char)words[0]) || isspace((unsigned char)words[n - 1]), "\"%s\"", words);
        cr_expect_null(strstr(words, "  "), "\"%s\"", words);
        cr_expect_null(strpbrk(words, "\n\t\"\\"), "\"%s\"", words);
    }
}

Test(reasons, each_has_a_cure_of_one_sentence)
{
    for (int i = 0; i < REASONS; i++) {
        const char *cure = reason_cure((enum reason)i);
        size_t n = strlen(cure);
        cr_assert_geq(n, 20, "reason %d: \"%s\"", i, cure);
        cr_expect_eq(cure[n - 1], '.', "\"%s\"", cure);
        cr_expect_null(strstr(cure, "  "), "\"%s\"", cure);
        cr_expect_null(strpbrk(cure, "\n\t\"\\"), "\"%s\"", cure);
    }
}

Test(reasons, each_has_a_name_in_capitals)
{
    for (int i = 0; i < REASONS; i++)
        for (const char *c = reason_name((enum reason)i); *c; c++)
            cr_expect(isupper((unsigned char)*c) || *c == '_', "%s", reason_name((enum reason)i));
}

Test(reasons, no_two_say_the_same)
{
    for (int i = 0; i < REASONS; i++)
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(reason_words((enum reason)i), reason_words((enum reason)j));
}

Test(reasons, none_is_the_first)
{
    cr_expect_eq(REASON_NONE, 0, "memory that is all zero gives no reason");
}
