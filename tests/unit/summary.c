/* What records come to: which of them count, what they add up to, and how it is printed. */
#include "command/summary.h"
#include "command/progress.h"
#include "command/record.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define START \
    "{\"version\": \"0\", \"program\": \"/p\", \"source\": \"/s\", \"destination\": \"/d\", \"pid\": 7, \"size\": 9, "
#define COPY START "\"event\": \"copy\", \"reads_elided\": 1, \"writes_elided\": 2, \"reason\": \"the words\", "

static bool reads(const char *line)
{
    struct record record;
    bool read = record_read(&record, line, strlen(line));
    if (read)
        record_free(&record);
    return read;
}

static void add(struct summary *summary, const char *line)
{
    struct record record;
    cr_assert(record_read(&record, line, strlen(line)), "%s", line);
    summary_add(summary, &record);
    record_free(&record);
}

/* What is printed, to be freed. */
static char *printed(struct summary *summary, void (*print)(struct summary *, FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    print(summary, memory);
    fclose(memory);
    return text;
}

Test(record, one_with_all_fields)
{
    cr_expect(reads(COPY "\"offloaded\": 9, \"written\": 0, \"engine\": \"clone\", \"cause\": \"none\"}"));
    cr_expect(reads(COPY "\"offloaded\": 0, \"written\": 9, \"engine\": null, \"cause\": \"young\", \"new\": []}"));
    cr_expect(reads(START "\"event\": \"progress\", \"done\": 0, \"engine\": null}"));
}

Test(record, one_without)
{
    cr_expect_not(reads(""));
    cr_expect_not(reads("[]"));
    cr_expect_not(reads("{}"));
    cr_expect_not(reads(COPY "\"written\": 0, \"engine\": \"clone\", \"cause\": \"none\"}"));
    cr_expect_not(reads(COPY "\"offloaded\": -1, \"written\": 0, \"engine\": null, \"cause\": \"none\"}"));
    cr_expect_not(reads(COPY "\"offloaded\": 1.0, \"written\": 0, \"engine\": null, \"cause\": \"none\"}"));
    cr_expect_not(reads(COPY "\"offloaded\": 1, \"written\": 0, \"engine\": 1, \"cause\": \"none\"}"));
    cr_expect_not(reads(START "\"event\": \"copied\", \"done\": 0, \"engine\": null}"));
    cr_expect_not(reads(START "\"event\": \"progress\", \"done\": 0, \"engine\": null, \"source_hex\": \"0\"}"));
    cr_expect_not(reads(START "\"event\": \"progress\", \"done\": 0, \"engine\": null} {}"));
}

Test(record, the_bytes_of_a_name)
{
    static const char line[] =
        START "\"event\": \"progress\", \"done\": 0, \"engine\": null, \"source_hex\": \"2fff\"}";
    struct record record;
    cr_assert(record_read(&record, line, strlen(line)));
    cr_expect_str_eq(record.source, "/\xff");
    cr_expect_str_eq(record.destination, "/d");
    record_free(&record);
}

Test(record, whole_or_not)
{
    struct record whole = {.offloaded = 5, .cause = "unfinished"},
                  part = {.offloaded = 5, .written = 1, .cause = "none"};
    struct record none = {.cause = "young"}, empty = {.cause = "none"};
    cr_expect(record_is_whole(&whole));
    cr_expect_not(record_is_whole(&part));
    cr_expect_not(record_is_whole(&none));
    cr_expect(record_is_whole(&empty));
}

Test(summary, totals)
{
    struct summary s = {0};
    add(&s, COPY "\"offloaded\": 1048576, \"written\": 0, \"engine\": \"clone\", \"cause\": \"none\"}");
    add(&s, COPY "\"offloaded\": 1048576, \"written\": 2, \"engine\": \"kernel\", \"cause\": \"moved\"}");
    add(&s, COPY "\"offloaded\": 0, \"written\": 1048574, \"engine\": null, \"cause\": \"young\"}");
    cr_expect_eq(s.copies, 3);
    cr_expect_eq(s.bytes, 3145728);
    cr_expect_eq(s.saved, 1048576);
    cr_expect_eq(s.other_version, 3);
    char *text = printed(&s, summary_table);
    cr_expect_not_null(strstr(text, "3 files, 3.0 MiB, 66.6% offloaded; saved 1.0 MiB"), "%s", text);
    cr_expect_not_null(strstr(text, "clone               1      1.0 MiB    33.3%"), "%s", text);
    cr_expect_lt(strstr(text, "changed so lately"), strstr(text, "moved the write position"), "more bytes come first");
    free(text);
    summary_free(&s);
}

Test(summary, what_a_server_saved_is_not_known)
{
    struct summary s = {0};
    add(&s, COPY "\"offloaded\": 1048576, \"written\": 0, \"engine\": \"clone\", \"cause\": \"none\"}");
    char *text = printed(&s, summary_table);
    cr_expect_null(strstr(text, "server"), "%s", text);
    free(text);
    add(&s, COPY "\"offloaded\": 1048576, \"written\": 0, \"engine\": \"server\", \"cause\": \"none\"}");
    cr_expect_eq(s.saved, 1048576);
    text = printed(&s, summary_table);
    cr_expect_not_null(strstr(text, "; saved 1.0 MiB of disk; what the server saved is not known\n"), "%s", text);
    cr_expect_not_null(strstr(text, "server              1      1.0 MiB    50.0%"), "%s", text);
    free(text);
    summary_free(&s);
}

Test(summary, greater_than_any_number)
{
    struct summary s = {0};
    for (int i = 0; i < 5; i++)
        add(&s, COPY "\"offloaded\": 9223372036854775807, \"written\": 9223372036854775807, \"engine\": \"clone\", "
                     "\"cause\": \"moved\"}");
    cr_expect_eq(s.bytes, UINT64_MAX);
    char *text = printed(&s, summary_table);
    cr_expect_not_null(strstr(text, "5 files, 16.0 EiB, 100.0% offloaded"), "%s", text);
    free(text);
    summary_free(&s);
}

Test(summary, nothing)
{
    struct summary s = {.list = memfd_create("list", 0), .nothing = "it is static", .unusable = 1};
    char *text = printed(&s, summary_table);
    cr_expect_str_eq(text, "offload: no copy was recognised: it is static\noffload: 1 line of the records could not be "
                           "read: they were cut or damaged, and are not counted\n");
    free(text);
    text = printed(&s, summary_json);
    json_t *document = json_loads(text, 0, NULL);
    cr_expect_str_eq(json_string_value(json_object_get(document, "nothing")), "it is static");
    json_decref(document);
    free(text);
    summary_free(&s);
}

Test(summary, names_of_any_bytes_are_valid_json)
{
    struct summary s = {.list = memfd_create("list", 0)};
    add(&s, COPY "\"offloaded\": 1, \"written\": 0, \"engine\": \"clone\", \"cause\": \"none\", \"source_hex\": "
                 "\"0a22ff\"}");
    char *text = printed(&s, summary_json);
    json_t *document = json_loads(text, 0, NULL);
    cr_assert_not_null(document, "%s", text);
    json_t *copy = json_array_get(json_object_get(document, "copies"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(copy, "source")), "\n\"\xef\xbf\xbd");
    cr_expect_str_eq(json_string_value(json_object_get(copy, "source_hex")), "0a22ff");
    cr_expect_null(json_object_get(copy, "destination_hex"));
    json_decref(document);
    free(text);
    summary_free(&s);
}

Test(summary, the_list_has_every_copy)
{
    struct summary s = {.list = memfd_create("list", 0)};
    const json_int_t copies = 1000;
    for (json_int_t i = 0; i < copies; i++)
        add(&s, COPY "\"offloaded\": 1, \"written\": 0, \"engine\": \"clone\", \"cause\": \"none\"}");
    char *text = printed(&s, summary_json);
    json_t *document = json_loads(text, 0, NULL);
    cr_assert_not_null(document, "%s", text);
    cr_expect_eq(json_array_size(json_object_get(document, "copies")), copies);
    cr_expect_not(s.list_is_cut);
    json_decref(document);
    free(text);
    close(s.list);
    summary_free(&s);
}

/* What does not fit is left out whole, and known to be missing; the document stays one. */
Test(summary, a_list_without_room_is_cut_between_copies)
{
    struct summary s = {.list = memfd_create("list", MFD_ALLOW_SEALING)};
    cr_assert_eq(ftruncate(s.list, 500), 0);
    cr_assert_eq(fcntl(s.list, F_ADD_SEALS, F_SEAL_GROW), 0);
    for (int i = 0; i < 5; i++)
        add(&s, COPY "\"offloaded\": 1, \"written\": 0, \"engine\": \"clone\", \"cause\": \"none\"}");
    cr_expect(s.list_is_cut);
    cr_expect_eq(s.copies, 5);
    char *text = printed(&s, summary_json);
    json_t *document = json_loads(text, 0, NULL);
    cr_assert_not_null(document, "%s", text);
    size_t listed = json_array_size(json_object_get(document, "copies"));
    cr_expect(listed > 0 && listed < 5, "%zu", listed);
    json_decref(document);
    free(text);
    close(s.list);
    summary_free(&s);
}

Test(summary, sizes_for_people)
{
    char text[16];
    cr_expect_str_eq(bytes_for_people(0, text), "0 bytes");
    cr_expect_str_eq(bytes_for_people(1023, text), "1023 bytes");
    cr_expect_str_eq(bytes_for_people(1024, text), "1.0 KiB");
    cr_expect_str_eq(bytes_for_people(1048575, text), "1.0 MiB");
    cr_expect_str_eq(bytes_for_people(UINT64_MAX, text), "16.0 EiB");
}

Test(progress, the_line_is_cut_in_the_name)
{
    struct progress_copy copy = {
        .destination = (char[]){"/there/a-rather-long-name"},
        .size = 1000,
        .done = 500,
        .since = 1000,
        .latest = 2000,
        .engine = "clone",
    };
    char *line = progress_line(&copy, 0, 80);
    cr_expect_str_eq(line, "a-rather-long-name   50%   500 bytes   500 bytes/s  clone");
    free(line);
    line = progress_line(&copy, 2, 60);
    cr_expect_str_eq(line, "a-rather...   50%   500 bytes   500 bytes/s  clone  (2 more)");
    free(line);
    line = progress_line(&copy, 0, 10);
    cr_expect_leq(strlen(line), 10);
    free(line);
}

Test(progress, a_source_that_shrank_and_a_rate_without_time)
{
    struct progress_copy copy = {.destination = (char[]){"x"}, .size = 0, .done = UINT64_MAX, .latest = 5};
    char *line = progress_line(&copy, 0, 80);
    cr_expect_not_null(strstr(line, "100%"), "%s", line);
    free(line);
}
