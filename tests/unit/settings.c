/* Each variable with values that are good and values that are not. */
#include "core/settings.h"

#include "files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *complaint;

static char none[] = "OFFLOAD_CONFIG=none";

static void with(const char *first, const char *second)
{
    static char text[2][256];
    char *environment[] = {none, text[0], NULL, NULL};
    strcpy(text[0], first);
    if (second) {
        strcpy(text[1], second);
        environment[2] = text[1];
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
    char *const nothing[] = {none, NULL};
    settings_read(nothing, false);
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
    cr_expect_eq(settings.engines, 8);
    is_good("OFFLOAD_ENGINES=kernel,clone");
    cr_expect_eq(settings.engines, 9);
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
    cr_expect_eq(settings.engines, 8);
}

Test(settings, a_long_value_is_told_in_part)
{
    static char entry[5000] = "OFFLOAD=";
    char *environment[] = {entry, none, NULL};
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

Test(settings, policy)
{
    is_good("OFFLOAD_POLICY=never");
    cr_expect_eq(settings.policy, POLICY_NEVER);
    cr_expect_eq(settings.min_size, 65536);
    is_good("OFFLOAD_POLICY=always");
    cr_expect_eq(settings.policy, POLICY_ALWAYS);
    cr_expect_eq(settings.min_size, 0, "whatever the size");
    with("OFFLOAD_POLICY=always", "OFFLOAD_MIN_SIZE=7");
    cr_expect_eq(settings.min_size, 7, "unless one is set");
    is_good("OFFLOAD_POLICY=");
    cr_expect_eq(settings.policy, POLICY_AUTO);
    is_bad("OFFLOAD_POLICY=sometimes");
    cr_expect_eq(settings.policy, POLICY_AUTO);
}

Test(settings, words)
{
    is_good("OFFLOAD_BUFFERS=compare");
    cr_expect_not(settings.lazy);
    is_good("OFFLOAD_BUFFERS=auto");
    cr_expect_not(settings.lazy, "what lazy buffers do not get right is not asked for by itself");
    is_good("OFFLOAD_BUFFERS=lazy");
    cr_expect(settings.lazy);
    is_bad("OFFLOAD_BUFFERS=eager");
    cr_expect_not(settings.lazy);
    is_good("OFFLOAD_PROGRESS=on");
    cr_expect(settings.progress);
    is_bad("OFFLOAD_PROGRESS=yes");
    cr_expect_not(settings.progress);
    cr_expect_not(settings.smb_alone);
    is_good("OFFLOAD_SMB_ALONE=on");
    cr_expect(settings.smb_alone);
    is_bad("OFFLOAD_SMB_ALONE=1");
    cr_expect_not(settings.smb_alone);
}

Test(settings, patterns_outlast_the_environment)
{
    is_good("OFFLOAD_EXCLUDE=*.bak");
    with("OFFLOAD_EXCLUDE=*.bak", "OFFLOAD_INCLUDE=*.img");
    const char *exclude = settings.exclude, *include = settings.include;
    with("title of a process that writes", "over its environment block, as many do");
    cr_expect_str_eq(exclude, "*.bak");
    cr_expect_str_eq(include, "*.img");
}

Test(settings, each_has_a_name)
{
    size_t n = 0;
    for (; settings_name(n); n++)
        cr_expect_eq(strncmp(settings_name(n), "OFFLOAD", 7), 0);
    cr_expect_geq(n, 11);
}

/* ---- files ---- */

static char folder[4096];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/offload-unit.XXXXXX", files_directory());
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(settings_files, .init = make_folder, .fini = remove_folder);

static void write_bytes(const char *bytes, size_t n, mode_t mode)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/offload.conf", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void write_file(const char *text, mode_t mode)
{
    write_bytes(text, strlen(text), mode);
}

/* Reads the settings as a process would whose user has the folder for configuration. */
static void read_with(const char *entry)
{
    static char config[4200], copy[4200];
    char *environment[] = {config, copy, NULL};
    snprintf(config, sizeof config, "XDG_CONFIG_HOME=%s", folder);
    strcpy(copy, entry);
    settings = (struct settings){.engines = ~0U, .min_size = 65536};
    stderr_catch();
    settings_read(environment, false);
    complaint = stderr_caught();
}

Test(settings_files, lines_are_as_in_the_environment)
{
    write_file("# ours\n\n  OFFLOAD_ENGINES=kernel \r\n\tOFFLOAD_EXCLUDE=*.tmp:/a b/*\nOFFLOAD_MIN_SIZE=5", 0644);
    read_with("A=b");
    cr_expect_str_eq(complaint, "");
    cr_expect_eq(settings.engines, 8);
    cr_expect_str_eq(settings.exclude, "*.tmp:/a b/*");
    cr_expect_eq(settings.min_size, 5);
}

Test(settings_files, the_environment_goes_before)
{
    write_file("OFFLOAD_ENGINES=kernel\nOFFLOAD=off\n", 0644);
    read_with("OFFLOAD_ENGINES=clone");
    cr_expect_eq(settings.engines, 1);
    cr_expect(settings.off);
    read_with("OFFLOAD=on");
    cr_expect_not(settings.off);
    read_with("OFFLOAD_ENGINES=");
    cr_expect_eq(settings.engines, ~0U, "an empty value is the default");
}

static void expect_ignored(const char *word)
{
    read_with("A=b");
    cr_expect_not(settings.off, "%s", word);
    const char *end = strchr(complaint, '\n');
    cr_expect(end && end[1] == 0 && strstr(complaint, word) && strstr(complaint, folder), "\"%s\"", complaint);
}

Test(settings_files, one_that_others_may_write_is_ignored)
{
    write_file("OFFLOAD=off\n", 0664);
    expect_ignored("others may write it");
    write_file("OFFLOAD=off\n", 0646);
    expect_ignored("others may write it");
}

Test(settings_files, what_is_no_file_is_ignored)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/offload.conf", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_ignored("not a regular file");
    rmdir(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_ignored("not a regular file");
}

Test(settings_files, a_stranger_s_is_ignored)
{
    char path[4200];
    write_file("OFFLOAD=off\n", 0644);
    snprintf(path, sizeof path, "%s/offload.conf", folder);
    if (chown(path, 12345, 12345) < 0)
        cr_skip_test("only root can give files away");
    read_with("A=b");
    cr_expect_not(settings.off);
    cr_expect_str_eq(complaint, "", "another's home is no fault of the user's");
    char asked[4300];
    snprintf(asked, sizeof asked, "OFFLOAD_CONFIG=%s", path);
    read_with(asked);
    cr_expect_not(settings.off);
    cr_expect_not_null(strstr(complaint, "neither to root nor to you"), "%s", complaint);
}

Test(settings_files, a_long_one_is_ignored)
{
    static char text[70000];
    memset(text, '#', sizeof text - 1);
    memcpy(text, "OFFLOAD=off\n", 12);
    write_file(text, 0644);
    expect_ignored("longer than 64 KiB");
}

/* A part of it must not count without a word for the rest. */
Test(settings_files, what_is_no_text_is_ignored)
{
    static const char text[] = "# ours\n\0\nOFFLOAD=off\n";
    write_bytes(text, sizeof text - 1, 0644);
    expect_ignored("zero byte");
    static const char set_before[] = "OFFLOAD=off\n\0";
    write_bytes(set_before, sizeof set_before - 1, 0644);
    expect_ignored("zero byte");
}

Test(settings_files, a_line_that_is_no_setting_is_told)
{
    write_file("OFFLOAD_ENGINE=clone\nOFFLOAD=off\n", 0644);
    read_with("A=b");
    cr_expect(settings.off, "the others hold");
    cr_expect_not_null(strstr(complaint, "OFFLOAD_ENGINE=clone: no setting"), "%s", complaint);
}

Test(settings_files, what_commands_a_terminal_is_not_passed_on)
{
    write_file("\x1b]0;title\x07\n", 0644);
    read_with("A=b");
    cr_expect_not_null(strstr(complaint, "?]0;title?: no setting"), "%s", complaint);
    cr_expect_null(strchr(complaint, 0x1b));
}

Test(settings_files, a_bad_value_is_told_with_its_file)
{
    write_file("OFFLOAD_MIN_SIZE=many\n", 0644);
    read_with("A=b");
    cr_expect(strstr(complaint, folder) && strstr(complaint, "OFFLOAD_MIN_SIZE=many"), "%s", complaint);
    cr_expect_eq(settings.min_size, 65536);
}

Test(settings_files, another_file_or_none)
{
    char entry[4300];
    write_file("OFFLOAD=off\n", 0644);
    read_with("OFFLOAD_CONFIG=none");
    cr_expect_not(settings.off);
    snprintf(entry, sizeof entry, "OFFLOAD_CONFIG=%s/missing", folder);
    read_with(entry);
    cr_expect_not(settings.off);
    cr_expect_not_null(strstr(complaint, "cannot be opened"), "%s", complaint);
    snprintf(entry, sizeof entry, "OFFLOAD_CONFIG=%s/offload.conf", folder);
    read_with(entry);
    cr_expect(settings.off);
}

Test(settings_files, none_is_no_news)
{
    read_with("A=b");
    cr_expect_str_eq(complaint, "");
}
