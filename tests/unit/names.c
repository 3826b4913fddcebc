/* File names as text: for a shell and a terminal, for JSON, and back. */
#include "command/names.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static void expect_printable(const char *name, const char *shown)
{
    char *text = name_printable(name);
    cr_expect_str_eq(text, shown);
    free(text);
}

static bool in_utf8(void)
{
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL;
}

Test(names, plain_names_stay_as_they_are)
{
    expect_printable("/usr/share/doc/a-b_c.d,e+f=g:h@i%j", "/usr/share/doc/a-b_c.d,e+f=g:h@i%j");
    expect_printable("a#b~c", "a#b~c");
}

Test(names, what_a_shell_would_take_is_quoted)
{
    expect_printable("", "''");
    expect_printable("a b", "'a b'");
    expect_printable("a\\b", "'a\\b'");
    expect_printable("$HOME", "'$HOME'");
    expect_printable("#a", "'#a'");
    expect_printable("~a", "'~a'");
    expect_printable("a\"b", "'a\"b'");
}

Test(names, what_cannot_be_printed_is_escaped)
{
    expect_printable("it's", "$'it\\'s'");
    expect_printable("a\nb\tc\033[m\\", "$'a\\nb\\tc\\e[m\\\\'");
    expect_printable("\001\177\a\b\v\f\r", "$'\\001\\177\\a\\b\\v\\f\\r'");
    expect_printable("\xff", "$'\\377'");
}

Test(names, characters_are_those_of_the_locale)
{
    expect_printable("\xc3\xa4", "$'\\303\\244'");
    if (!in_utf8())
        cr_skip_test("there is no C.UTF-8");
    expect_printable("\xc3\xa4", "\xc3\xa4");
    expect_printable("\xc3\xa4\xc3", "$'\xc3\xa4\\303'");
    expect_printable("\xe2\x80\xae", "$'\\342\\200\\256'");
    expect_printable("\xc2\x9b", "$'\\302\\233'");
}

Test(names, other_text_is_not_quoted)
{
    char *text = text_printable("a 'b' \033[m\xff");
    cr_expect_str_eq(text, "a 'b' ?[m?");
    free(text);
}

Test(names, utf8_and_back_by_hexadecimal)
{
    static const char *const names[] = {"plain", "\xc3\xa4\xf0\x9d\x84\x9e", "a\xff\xc3", "\xed\xa0\x80", "\xc0\xaf",
                                        ""};
    static const char *const texts[] = {"plain",
                                        "\xc3\xa4\xf0\x9d\x84\x9e",
                                        "a\xef\xbf\xbd\xef\xbf\xbd",
                                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
                                        "\xef\xbf\xbd\xef\xbf\xbd",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = name_utf8(names[i]), *hex = name_hex(names[i]);
        char *name = name_from_hex(hex);
        cr_expect_str_eq(text, texts[i]);
        cr_expect_eq(name_is_utf8(names[i]), strcmp(texts[i], names[i]) == 0);
        cr_expect_str_eq(name, names[i]);
        free(text);
        free(hex);
        free(name);
    }
}

Test(names, digits_that_are_none)
{
    static const char *const digits[] = {"f", "0g", "g0", "00", "6100", " 61", "-1", "6\xff"};
    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
        cr_expect_null(name_from_hex(digits[i]), "%s", digits[i]);
}

Test(names, columns)
{
    if (!in_utf8())
        cr_skip_test("there is no C.UTF-8");
    char text[] = "a\xe6\x9c\xac"
                  "b\xcc\x81\xff";
    cr_expect_eq(text_width(text), 5);
    text_cut(text, 5);
    cr_expect_eq(strlen(text), 8);
    text_cut(text, 4);
    cr_expect_eq(strlen(text), 7);
    text_cut(text, 2);
    cr_expect_str_eq(text, "a");
    text_cut(text, 0);
    cr_expect_str_eq(text, "");
}
