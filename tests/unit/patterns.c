/* Patterns of names, compared with what fnmatch(3) says where both have a word for it. */
#include "core/patterns.h"
#include "core/settings.h"

#include <criterion/criterion.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

Test(patterns, one_without_a_slash_is_for_the_last_component)
{
    cr_expect(patterns_match("*.img", "/srv/vm/disk.img"));
    cr_expect(patterns_match("disk.img", "/srv/vm/disk.img"));
    cr_expect_not(patterns_match("vm", "/srv/vm/disk.img"));
    cr_expect_not(patterns_match("*.im", "/srv/vm/disk.img"));
    cr_expect_not(patterns_match("*.img", "/srv/vm.img/disk"));
}

Test(patterns, one_with_a_slash_is_for_the_whole_path)
{
    cr_expect(patterns_match("/srv/*", "/srv/vm/disk.img"));
    cr_expect(patterns_match("*/vm/*", "/srv/vm/disk.img"));
    cr_expect_not(patterns_match("vm/*", "/srv/vm/disk.img"));
    cr_expect_not(patterns_match("/srv/vm", "/srv/vm/disk.img"));
}

Test(patterns, a_list_matches_if_one_of_it_does)
{
    cr_expect(patterns_match("*.a:*.b", "/x/y.b"));
    cr_expect(patterns_match("*.a:*.b", "/x/y.a"));
    cr_expect_not(patterns_match("*.a:*.b", "/x/y.c"));
    cr_expect_not(patterns_match("", "/x/y"));
    cr_expect_not(patterns_match("::", "/x/y"));
    cr_expect(patterns_match("::y:", "/x/y"));
}

Test(patterns, a_backslash_takes_the_next_byte_as_it_is)
{
    cr_expect(patterns_match("a\\:b", "/x/a:b"));
    cr_expect_not(patterns_match("a\\:b", "/x/a"));
    cr_expect(patterns_match("\\*", "/x/*"));
    cr_expect_not(patterns_match("\\*", "/x/y"));
    cr_expect(patterns_match("\\\\", "/x/\\"));
    cr_expect(patterns_match("a\\", "/x/a\\"), "the last one stands for itself");
}

Test(patterns, sets)
{
    cr_expect(patterns_match("[a-c]x", "/bx"));
    cr_expect_not(patterns_match("[a-c]x", "/dx"));
    cr_expect(patterns_match("[!a-c]x", "/dx"));
    cr_expect_not(patterns_match("[!a-c]x", "/bx"));
    cr_expect(patterns_match("[]]", "/]"));
    cr_expect(patterns_match("[!]]", "/x"));
    cr_expect(patterns_match("[a-]", "/-"));
    cr_expect(patterns_match("[x", "/[x"), "one that nobody closes stands for itself");
    cr_expect(patterns_match("[\x80-\xff]", "/\xe9"));
}

Test(patterns, stars)
{
    cr_expect(patterns_match("*", "/"));
    cr_expect(patterns_match("a*b*c", "/aXbXbXc"));
    cr_expect_not(patterns_match("a*b*c", "/aXbXbX"));
    cr_expect(patterns_match("***", "/anything"));
    cr_expect(patterns_match("?*", "/x"));
    cr_expect_not(patterns_match("?*", "/"));
}

/* Short random patterns and names of few letters, where fnmatch(3) means the same. */
Test(patterns, as_fnmatch_has_it)
{
    static const char letters[] = "ab*?[]!-";
    char pattern[8], name[8] = "/";
    srand(7);
    for (int turn = 0; turn < 200000; turn++) {
        size_t n = (size_t)rand() % 7, m = (size_t)rand() % 6;
        for (size_t i = 0; i < n; i++)
            pattern[i] = letters[(size_t)rand() % (sizeof letters - 1)];
        for (size_t i = 0; i < m; i++)
            name[1 + i] = letters[rand() % 2];
        pattern[n] = name[1 + m] = 0;
        /* A range in the wrong order, and one that ends in a bracket: POSIX leaves them open. */
        bool same_meaning = n > 0 && !strchr(pattern, '-');
        if (same_meaning)
            cr_assert_eq(patterns_match(pattern, name), fnmatch(pattern, name + 1, 0) == 0, "%s %s", pattern, name);
    }
}

Test(patterns, a_hard_pattern_takes_no_time)
{
    static char name[4000];
    memset(name, 'a', sizeof name - 1);
    name[0] = '/';
    cr_expect_not(patterns_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static bool allowed(const char *include, const char *exclude)
{
    settings.include = include;
    settings.exclude = exclude;
    return patterns_allow("/from/a.txt", "/to/b.txt");
}

Test(patterns, either_file_excludes_and_either_includes)
{
    cr_expect(allowed(NULL, NULL));
    cr_expect_not(patterns_wanted());
    cr_expect_not(allowed(NULL, "/from/*"));
    cr_expect(patterns_wanted());
    cr_expect_not(allowed(NULL, "b.txt"));
    cr_expect(allowed(NULL, "c.txt"));
    cr_expect(allowed("/from/*", NULL));
    cr_expect(allowed("/to/*", NULL));
    cr_expect_not(allowed("/other/*", NULL));
    cr_expect_not(allowed("/from/*", "/to/*"), "an exclusion goes before");
    settings.include = NULL;
    settings.exclude = "*.bak";
    cr_expect(patterns_allow("/from/a.txt", "/to/b.txt"));
    cr_expect_not(patterns_allow("", "/to/b.txt"), "a name that is not known may be one that is excluded");
    cr_expect_not(patterns_allow("/from/a.txt", ""));
    settings.include = settings.exclude = NULL;
    cr_expect(patterns_allow("", ""));
}
