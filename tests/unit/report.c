/* The report's line: what is in it, and how names of any bytes are written as JSON (RFC 8259). */
#include "core/report.h"
#include "core/private.h"
#include "core/settings.h"

#include "files.h"

#include "config.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[4096], report[4200], line[200000];

static void set_up(void)
{
    snprintf(directory, sizeof directory, "%s/offload-unit.XXXXXX", files_directory());
    cr_assert_not_null(mkdtemp(directory));
    snprintf(report, sizeof report, "%s/report", directory);
    settings.report = report;
}

static void tear_down(void)
{
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

TestSuite(report, .init = set_up, .fini = tear_down);

static int named(const char *name)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    return fd;
}

static void read_line(void)
{
    int fd = open(report, O_RDONLY);
    ssize_t n = read(fd, line, sizeof line - 1);
    cr_assert_geq(n, 0);
    line[n] = 0;
    close(fd);
}

/* Writes a line for a session between two files of these names and reads it. */
static void report_on(struct session *s, const char *source, const char *destination)
{
    s->pair.source = named(source);
    s->pair.destination = named(destination);
    report_keep_names(s);
    close(s->pair.source);
    close(s->pair.destination);
    report_copy(s);
    cr_expect_null(s->names);
    read_line();
}

static bool have_jq(void)
{
    return system("command -v jq >/dev/null") == 0;
}

/* Every line is one object by another program's word, if that is there. */
static void expect_json(void)
{
    char command[4400];
    snprintf(command, sizeof command, "jq -se 'all(type == \"object\")' '%s' >/dev/null", report);
    if (have_jq())
        cr_expect_eq(system(command), 0, "jq does not take %s", line);
    for (const char *c = line; *c; c++)
        cr_expect((unsigned char)*c >= 0x20 || (*c == '\n' && c[1] == 0), "a raw control character");
}

/* `hex`: the bytes of the name in hexadecimal, if they are to be there. */
static void expect_name_and_bytes(const char *name, const char *written, const char *hex)
{
    struct session s = {.mark = 0};
    char wanted[9000];
    cr_assert_eq(truncate(report, 0), 0);
    report_on(&s, name, "to");
    snprintf(wanted, sizeof wanted, "\"source\": \"%s/%s\", ", directory, written);
    cr_expect_not_null(strstr(line, wanted), "wanted %s in %s", wanted, line);
    snprintf(wanted, sizeof wanted, "2f%s\", \"destination\"", hex ? hex : "");
    cr_expect_eq(strstr(line, wanted) != NULL, hex != NULL, "wanted %s in %s", wanted, line);
    cr_expect_eq(strstr(line, "source_hex") != NULL, hex != NULL, "%s", line);
    expect_json();
}

static void expect_name(const char *name, const char *written)
{
    expect_name_and_bytes(name, written, NULL);
}

Test(report, a_line_has_every_field)
{
    struct session s = {
        .pair = {.compares = true},
        .source = {.size = 1000000},
        .mark = 1000000,
        .tally = {.offloaded = 18446744073709551615U, .engine = "clone", .reads_elided = 3, .writes_elided = 4},
    };
    report_open();
    cr_assert(report_wanted());
    report_on(&s, "from", "to");
    char wanted[10000];
    snprintf(wanted, sizeof wanted,
             ", \"pid\": %d, \"source\": \"%s/from\", \"destination\": \"%s/to\", \"size\": 1000000, "
             "\"offloaded\": 18446744073709551615, \"written\": 0, \"engine\": \"clone\", \"buffers\": \"lazy\", "
             "\"reads_elided\": 3, "
             "\"writes_elided\": 4, \"cause\": \"none\", \"reason\": \"%s\"}\n",
             (int)getpid(), directory, directory, reason_words(REASON_NONE));
    static const char beginning[] = "{\"event\": \"copy\", \"version\": \"" PACKAGE_VERSION "\", \"program\": \"/";
    cr_expect_eq(strncmp(line, beginning, sizeof beginning - 1), 0, "%s", line);
    cr_expect_not_null(strstr(line, wanted), "wanted %s in %s", wanted, line);
    expect_json();
}

Test(report, a_copy_without_an_engine_has_none)
{
    struct session s = {.tally = {.engine = "clone", .written = 10, .reason = REASON_FS_CANNOT}};
    report_open();
    report_on(&s, "from", "to");
    cr_expect_not_null(strstr(line, "\"engine\": null, "));
    cr_expect_not_null(strstr(line, "\"cause\": \"fs_cannot\", "));
    cr_expect_not_null(strstr(line, reason_words(REASON_FS_CANNOT)));
    expect_json();
}

Test(report, buffers_are_told_of_where_they_were_proven)
{
    struct session by_kernel = {.tally = {.offloaded = 10, .writes_elided = 1}};
    struct session nothing_left_out = {.pair = {.compares = true}, .tally = {.written = 10}};
    report_open();
    report_on(&by_kernel, "from", "to");
    cr_expect_not_null(strstr(line, ", \"buffers\": null, "), "%s", line);
    cr_assert_eq(truncate(report, 0), 0);
    report_on(&nothing_left_out, "from", "to");
    cr_expect_not_null(strstr(line, ", \"buffers\": null, "), "%s", line);
    expect_json();
}

Test(report, lazy_buffers_are_told_of_with_their_faults)
{
    struct session lazy = {.pair = {.compares = true}, .tally = {.reads_elided = 9, .writes_elided = 10}};
    struct session looked = {.pair = {.compares = true}, .tally = {.reads_elided = 1, .writes_elided = 10}};
    lazy.lazy.faults = 1;
    looked.lazy.refused = REASON_LAZY_LOOKED;
    settings.lazy = true;
    report_open();
    report_on(&lazy, "from", "to");
    cr_expect_not_null(strstr(line, ", \"buffers\": \"lazy\", \"reads_elided\": 9, "), "%s", line);
    cr_expect_not_null(strstr(line, ", \"buffers_reason\": null, \"faults\": 1, "), "%s", line);
    cr_assert_eq(truncate(report, 0), 0);
    report_on(&looked, "from", "to");
    cr_expect_not_null(strstr(line, reason_words(REASON_LAZY_LOOKED)), "%s", line);
    expect_json();
}

static const char *outcome(struct session s)
{
    cr_assert_eq(truncate(report, 0), 0);
    report_on(&s, "from", "to");
    return strstr(line, "\"reason\": ");
}

static void expect_outcome(struct session s, enum reason why)
{
    const char *is = outcome(s);
    cr_assert_not_null(is);
    cr_expect_not_null(strstr(is, reason_words(why)), "%s", is);
}

Test(report, the_reason_is_seen_from_the_end)
{
    struct session whole = {
        .source = {.size = 100},
        .shift = 50,
        .mark = 150,
        .tally = {.offloaded = 100, .reason = REASON_DESTINATION_USED},
    };
    struct session part = whole, written = whole, quiet = whole;
    report_open();
    expect_outcome(whole, REASON_NONE);
    part.mark = 149;
    expect_outcome(part, REASON_DESTINATION_USED);
    written.tally.written = 1;
    expect_outcome(written, REASON_DESTINATION_USED);
    quiet.mark = 149;
    quiet.tally.reason = REASON_NONE;
    expect_outcome(quiet, REASON_UNFINISHED);
}

Test(report, names_of_plain_and_of_other_characters)
{
    report_open();
    expect_name("plain", "plain");
    expect_name("a \"quoted\" name", "a \\u0022quoted\\u0022 name");
    expect_name("back\\slash", "back\\u005cslash");
    expect_name("'$(x)`", "'$(x)`");
}

Test(report, control_characters_are_escaped)
{
    report_open();
    expect_name("two\nlines", "two\\u000alines");
    expect_name("\t\r\b\f", "\\u0009\\u000d\\u0008\\u000c");
    expect_name("\x01\x1f\x7f", "\\u0001\\u001f\\u007f");
}

Test(report, characters_of_every_length_stay_as_they_are)
{
    report_open();
    expect_name("\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf");
    expect_name("\xe0\xa0\x80 \xef\xbf\xbf \xed\x9f\xbf \xee\x80\x80",
                "\xe0\xa0\x80 \xef\xbf\xbf \xed\x9f\xbf \xee\x80\x80");
    expect_name("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf");
}

Test(report, bytes_that_are_no_character_can_be_had_back)
{
    report_open();
    expect_name_and_bytes("\x80x\xbf", "\\ufffdx\\ufffd", "8078bf");
    expect_name_and_bytes("\xff\xfe", "\\ufffd\\ufffd", "fffe");
    expect_name_and_bytes("end\xc3", "end\\ufffd", "656e64c3");
    expect_name_and_bytes("\xe2\x82", "\\ufffd\\ufffd", "e282");
    expect_name_and_bytes("\xe2\x82x", "\\ufffd\\ufffdx", "e28278");
    expect_name_and_bytes("\xf0\x9f\x92", "\\ufffd\\ufffd\\ufffd", "f09f92");
    expect_name_and_bytes("\xc3\"", "\\ufffd\\u0022", "c322");
}

Test(report, overlong_forms_are_no_characters)
{
    report_open();
    expect_name_and_bytes("\xc0\xaf", "\\ufffd\\ufffd", "c0af");
    expect_name_and_bytes("\xc1\xbf", "\\ufffd\\ufffd", "c1bf");
    expect_name_and_bytes("\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd", "e09fbf");
    expect_name_and_bytes("\xf0\x8f\xbf\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd", "f08fbfbf");
}

Test(report, surrogates_and_what_lies_beyond_unicode_are_no_characters)
{
    report_open();
    expect_name_and_bytes("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", "eda080");
    expect_name_and_bytes("\xed\xbf\xbf", "\\ufffd\\ufffd\\ufffd", "edbfbf");
    expect_name_and_bytes("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "f4908080");
    expect_name_and_bytes("\xf5\x80\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "f5808080");
}

/* The lines of progress that a copy of this size gives when it comes on by steps of so many bytes. */
static unsigned progress_lines(off_t size, uint64_t step)
{
    struct session s = {.source = {.size = size}, .tally = {.engine = "clone"}};
    cr_assert_eq(truncate(report, 0), 0);
    s.pair.source = named("from");
    s.pair.destination = named("to");
    report_keep_names(&s);
    report_progress(&s, true);
    while (s.tally.offloaded < (uint64_t)size) {
        s.tally.offloaded += step;
        report_progress(&s, false);
    }
    read_line();
    report_forget(&s);
    unsigned lines = 0;
    for (const char *c = line; *c; c++)
        lines += *c == '\n';
    return lines;
}

Test(report, progress_is_told_of_large_copies_and_not_too_often)
{
    settings.progress = true;
    report_open();
    cr_expect_eq(progress_lines((off_t)31 << 20, 1 << 20), 0);
    cr_expect_eq(progress_lines((off_t)32 << 20, 1 << 20), 3);
    cr_expect_not_null(strstr(line, "{\"event\": \"progress\", "), "%s", line);
    cr_expect_not_null(strstr(line, "\"size\": 33554432, \"done\": 0, \"engine\": null}\n"), "%s", line);
    cr_expect_not_null(strstr(line, "\"size\": 33554432, \"done\": 33554432, \"engine\": \"clone\"}\n"), "%s", line);
    cr_expect_eq(progress_lines((off_t)1 << 40, (uint64_t)1 << 30), 129);
}

Test(report, no_progress_unless_asked)
{
    report_open();
    cr_expect_eq(progress_lines((off_t)1 << 40, (uint64_t)1 << 30), 0);
}

Test(report, lines_are_added_to_what_is_there)
{
    int fd = open(report, O_WRONLY | O_CREAT, 0600);
    cr_assert_eq(write(fd, "{}\n", 3), 3);
    report_open();
    struct session s = {0};
    report_on(&s, "from", "to");
    cr_expect_eq(strncmp(line, "{}\n{\"event\"", 11), 0, "%s", line);
}

/* As every record is written: with all signals blocked. */
static void report_blocked(struct session *s)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    report_copy(s);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

Test(report, a_record_that_cannot_be_written_sends_the_program_no_signal)
{
    struct session s = {0};
    report_open();
    s.pair.source = named("from");
    s.pair.destination = named("to");
    report_keep_names(&s);
    struct rlimit none = {0, RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    report_blocked(&s);
    none.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &none);
}

Test(report, nor_does_a_pipe_that_nobody_reads)
{
    struct session s = {0};
    int ends[2];
    char path[40];
    cr_assert_eq(pipe(ends), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    settings.report = path;
    report_open();
    cr_assert(report_wanted());
    close(ends[0]);
    s.pair.source = s.pair.destination = named("from");
    report_keep_names(&s);
    report_blocked(&s);
    settings.report = report;
}

Test(report, a_fifo_that_nobody_reads_is_told_and_not_waited_for)
{
    cr_assert_eq(mkfifo(report, 0600), 0);
    stderr_catch();
    report_open();
    cr_expect_not_null(strstr(stderr_caught(), "OFFLOAD_REPORT"));
    cr_expect_not(report_wanted());
}

Test(report, nobody_asked)
{
    struct session s = {0};
    settings.report = NULL;
    report_open();
    cr_expect_not(report_wanted());
    report_keep_names(&s);
    report_copy(&s);
    cr_expect_null(s.names);
    settings.report = report;
    settings.off = true;
    report_open();
    cr_expect_not(report_wanted());
    cr_expect_neq(access(report, F_OK), 0, "a library that is off makes no file");
}

Test(report, the_commands_own_file_goes_before_and_is_not_made)
{
    char collect[4400];
    snprintf(collect, sizeof collect, "%s/collect", directory);
    settings.collect = collect;
    stderr_catch();
    report_open();
    cr_expect_str_eq(stderr_caught(), "");
    cr_expect_neq(access(collect, F_OK), 0, "a file that the command has removed is not made again");
    struct session s = {0};
    report_on(&s, "from", "to");
    cr_expect_not_null(strstr(line, "/from"), "without it the user's own report is written");
    int made = named("collect");
    cr_assert_eq(fchmod(made, 0644), 0);
    report_open();
    report_on(&s, "again", "to");
    cr_expect_not_null(strstr(line, "/again"), "one that others may read is not the command's");
    cr_assert_eq(unlink(collect), 0);
    cr_assert_eq(mkfifo(collect, 0600), 0);
    report_open();
    report_on(&s, "once more", "to");
    cr_expect_not_null(strstr(line, "/once more"), "and so is a FIFO, which is not waited for");
    cr_assert_eq(unlink(collect), 0);
    close(named("collect"));
    report_open();
    report_on(&s, "other", "to");
    cr_expect_null(strstr(line, "/other"));
    settings.report = collect;
}

Test(report, a_file_that_cannot_be_opened_is_told_once)
{
    settings.report = "/proc/no/such/place";
    stderr_catch();
    report_open();
    const char *said = stderr_caught();
    cr_expect_not(report_wanted());
    cr_expect_eq(strncmp(said, "liboffload: OFFLOAD_REPORT", 26), 0, "%s", said);
    cr_expect_eq(strchr(said, '\n'), said + strlen(said) - 1, "%s", said);
}

Test(report, the_descriptor_is_high_and_ends_with_exec)
{
    int next = dup(0);
    close(next);
    report_open();
    cr_expect_geq(private_descriptors[PRIVATE_REPORT], 900);
    cr_expect(fcntl(private_descriptors[PRIVATE_REPORT], F_GETFD) & FD_CLOEXEC);
    cr_expect_eq(dup(0), next, "the next number that the program is given is the same");
}

Test(report, a_number_that_leads_elsewhere_by_now_is_not_written_to)
{
    struct session s = {0};
    report_open();
    int elsewhere = named("elsewhere");
    cr_assert_eq(dup2(elsewhere, private_descriptors[PRIVATE_REPORT]), private_descriptors[PRIVATE_REPORT]);
    s.pair.source = s.pair.destination = elsewhere;
    report_keep_names(&s);
    report_copy(&s);
    cr_expect_eq(file_size(elsewhere), 0);
    cr_expect_null(s.names);
}

Test(report, there_is_a_report_where_high_numbers_are_not_to_be_had)
{
    struct rlimit few;
    getrlimit(RLIMIT_NOFILE, &few);
    few.rlim_cur = 256;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    stderr_catch();
    report_open();
    const char *said = stderr_caught();
    cr_expect_str_eq(said, "");
    cr_expect(report_wanted());
}
