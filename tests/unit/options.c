/* The options of the command: where they end, and what they become. What is refused, tests/command/offload.sh tells. */
#include "command/options.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#define READ(options, ...)                                                  \
    do {                                                                    \
        char *argv[] = {(char[]){"offload"}, __VA_ARGS__, NULL};            \
        options_read(options, (int)(sizeof argv / sizeof *argv) - 1, argv); \
    } while (0)
#define WORD(text) ((char[]){text})

Test(options, they_end_at_the_first_word)
{
    struct options o;
    READ(&o, WORD("-v"), WORD("dd"), WORD("--progress"));
    cr_expect(o.verbose && !o.progress && !o.ended);
    cr_expect_eq(o.words, 2);
    READ(&o, WORD("-"), WORD("-v"));
    cr_expect_eq(o.words, 1);
    READ(&o, WORD("-v"), WORD("--"), WORD("--progress"));
    cr_expect(o.ended && !o.progress);
    cr_expect_eq(o.words, 3);
    READ(&o, WORD("-v"));
    cr_expect_eq(o.words, 2);
}

Test(options, report_takes_its_value_with_the_equals_sign_only)
{
    struct options o;
    READ(&o, WORD("--report"), WORD("json"));
    cr_expect_eq(o.report, REPORT_TABLE);
    cr_expect_eq(o.words, 2);
    READ(&o, WORD("--report=json"));
    cr_expect_eq(o.report, REPORT_JSON);
    READ(&o, WORD("--report=json"), WORD("--report=table"));
    cr_expect_eq(o.report, REPORT_TABLE);
}

Test(options, letters_together_and_their_value)
{
    struct options o;
    /* The option's value stays where the argument is. */
    char together[] = "-vo/dev/null", apart[] = "/dev/null", whole[] = "--output=/dev/null";
    READ(&o, together, WORD("x"));
    cr_expect(o.verbose);
    cr_expect_str_eq(o.output, "/dev/null");
    cr_expect_eq(o.words, 2);
    READ(&o, WORD("-vo"), apart, WORD("x"));
    cr_expect_str_eq(o.output, "/dev/null");
    cr_expect_eq(o.words, 3);
    READ(&o, whole);
    cr_expect_str_eq(o.output, "/dev/null");
}

Test(options, the_last_policy_holds)
{
    struct options o;
    READ(&o, WORD("--policy=always"), WORD("--policy"), WORD("never"));
    cr_expect_not(o.always);
    cr_expect_str_eq(getenv("OFFLOAD_POLICY"), "never");
    READ(&o, WORD("--policy=never"), WORD("--policy=always"));
    cr_expect(o.always);
    cr_expect_str_eq(getenv("OFFLOAD_POLICY"), "always");
}

Test(options, patterns_are_joined)
{
    struct options o;
    setenv("OFFLOAD_INCLUDE", "of-before", 1);
    READ(&o, WORD("--include=*.iso"), WORD("--include"), WORD("a:b\\*\\"), WORD("--include=[!x]"));
    cr_expect_str_eq(getenv("OFFLOAD_INCLUDE"), "*.iso:a\\:b\\*\\\\:[!x]");
}

Test(options, only_what_was_asked_for_is_set)
{
    struct options o;
    unsetenv("OFFLOAD");
    READ(&o, WORD("-v"), WORD("x"));
    cr_expect_null(getenv("OFFLOAD"));
    READ(&o, WORD("--off"), WORD("x"));
    cr_expect_str_eq(getenv("OFFLOAD"), "off");
}
