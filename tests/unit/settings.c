/* Each variable with values that are good and values that are not. */
#include "core/settings.h"

#include "files.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *complaint;

static void with(const char *first, const char *second)
{
    static char text[2][256];
    char *environment[] = {NULL, NULL, NULL};
    strcpy(text[0], first);
    environment[0] = text[0];
    if (second) {
        strcpy(text[1], second);
        environment[1] = text[1];
    }
    settings = (struct settings){.engines = ~0U, .min_size = 65536};
    stderr_catch();
    settings_read(environment, false);
    complaint = stderr_caught();
}

static void is_good(const char *entry)
{
    with(entry, NULL);
    cr_expect_str_eq(complaint, "", "%s: %s", entry, complaint);
}

/* One line, which names the variable and the value. */
static void is_bad(const char *entry)
{
    with(entry, NULL);
    const char *end = strchr(complaint, '\n');
    cr_expect(end && end[1] == 0, "%s: no line, or several: \"%s\"", entry, complaint);
    cr_expect(strncmp(complaint, "liboffload: ", 12) == 0 && strstr(complaint, entry), "%s: %s", entry, complaint);
}

Test(settings, the_defaults)
{
    cr_expect_not(settings.off);
    cr_expect_eq(settings.engines, ~0U);
    cr_expect_eq(settings.min_size, 65536);
    cr_expect_null(settings.report);
    is_good("PATH=/bin");
    cr_expect_not(settings.off);
}

Test(settings, no_environment_at_all)
{
    char *const nothing[] = {NULL};
    settings_read(nothing, false);
    settings_read(NULL, false);
    cr_expect_not(settings.off);
}

Test(settings, off)
{
    is_good("OFFLOAD=off");
    cr_expect(settings.off);
    is_good("OFFLOAD=on");
    cr_expect_not(settings.off);
    is_good("OFFLOAD=");
    cr_expect_not(settings.off);
    static const char *const bad[] = {"OFFLOAD=Off", "OFFLOAD=0", "OFFLOAD=off ", "OFFLOAD=of"};
    for (size_t i = 0; i < 4; i++) {
        is_bad(bad[i]);
        cr_expect_not(settings.off);
    }
}

Test(settings, engines)
{
    is_good("OFFLOAD_ENGINES=clone");
    cr_expect_eq(settings.engines, 1);
    is_good("OFFLOAD_ENGINES=kernel");
    cr_expect_eq(settings.engines, 2);
    is_good("OFFLOAD_ENGINES=kernel,clone");
    cr_expect_eq(settings.engines, 3);
    is_good("OFFLOAD_ENGINES=clone,clone");
    cr_expect_eq(settings.engines, 1);
    is_good("OFFLOAD_ENGINES=");
    cr_expect_eq(settings.engines, ~0U);
    static const char *const bad[] = {
        "OFFLOAD_ENGINES=clon",          "OFFLOAD_ENGINES=clones",       "OFFLOAD_ENGINES=,",
        "OFFLOAD_ENGINES=clone,,kernel", "OFFLOAD_ENGINES=clone;kernel", "OFFLOAD_ENGINES=clone,warp"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        is_bad(bad[i]);
        cr_expect_eq(settings.engines, ~0U, "%s", bad[i]);
    }
}

Test(settings, min_size)
{
    is_good("OFFLOAD_MIN_SIZE=0");
    cr_expect_eq(settings.min_size, 0);
    is_good("OFFLOAD_MIN_SIZE=1");
    cr_expect_eq(settings.min_size, 1);
    is_good("OFFLOAD_MIN_SIZE=0004096");
    cr_expect_eq(settings.min_size, 4096);
    is_good("OFFLOAD_MIN_SIZE=1099511627776");
    cr_expect_eq(settings.min_size, (off_t)1 << 40);
    static const char *const bad[] = {"OFFLOAD_MIN_SIZE=64K",
                                      "OFFLOAD_MIN_SIZE=-1",
                                      "OFFLOAD_MIN_SIZE=+1",
                                      "OFFLOAD_MIN_SIZE= 1",
                                      "OFFLOAD_MIN_SIZE=0x10",
                                      "OFFLOAD_MIN_SIZE=1.5",
                                      "OFFLOAD_MIN_SIZE=18446744073709551617"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        is_bad(bad[i]);
        cr_expect_eq(settings.min_size, 65536, "%s", bad[i]);
    }
}

Test(settings, report)
{
    is_good("OFFLOAD_REPORT=/some/where");
    cr_expect_str_eq(settings.report, "/some/where");
    is_good("OFFLOAD_REPORT=");
    cr_expect_null(settings.report);
}

Test(settings, names_are_taken_whole)
{
    is_good("OFFLOADS=off");
    cr_expect_not(settings.off);
    is_good("OFFLOAD_MIN_SIZES=none");
    is_good("XOFFLOAD=off");
    cr_expect_not(settings.off);
    is_good("OFFLOAD");
    cr_expect_not(settings.off);
}

Test(settings, one_bad_value_spoils_no_other)
{
    with("OFFLOAD_MIN_SIZE=many", "OFFLOAD_ENGINES=kernel");
    cr_expect_eq(settings.min_size, 65536);
    cr_expect_eq(settings.engines, 2);
}

Test(settings, a_long_value_is_told_in_part)
{
    static char entry[5000] = "OFFLOAD=";
    char *environment[] = {entry, NULL};
    memset(entry + 8, 'x', sizeof entry - 9);
    stderr_catch();
    settings_read(environment, false);
    complaint = stderr_caught();
    cr_expect_leq(strlen(complaint), 512);
    cr_expect_eq(complaint[strlen(complaint) - 1], '\n');
}

Test(settings, more_rights_than_the_caller_switch_everything_off)
{
    char report[] = "OFFLOAD_REPORT=/some/where", on[] = "OFFLOAD=on", bad[] = "OFFLOAD_MIN_SIZE=bad";
    char *environment[] = {report, on, bad, NULL};
    stderr_catch();
    settings_read(environment, true);
    complaint = stderr_caught();
    cr_expect(settings.off);
    cr_expect_null(settings.report, "a caller must not name a file for another user to write");
    cr_expect_str_eq(complaint, "");
}
