#include "summary.h"

#include "core/reasons.h"
#include "names.h"

#include <config.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ASCII alone, so that no name can do anything to a terminal or depend on a locale. */
#define FORM (JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6))

/* ---- counting ---- */

static struct summary_engine *engine_of(struct summary *s, const char *name)
{
    size_t i = 0;
    while (i < SUMMARY_ENGINES - 1 && s->engines[i].name && strcmp(s->engines[i].name, name) != 0)
        i++;
    if (!s->engines[i].name)
        s->engines[i].name = strdup(i < SUMMARY_ENGINES - 1 ? name : "others");
    return &s->engines[i];
}

/* The reason of that name in reasons.def, or REASONS if this version has none. */
static enum reason reason_of(const char *cause)
{
    int why = 0;
    while (why < REASONS && strcasecmp(reason_name((enum reason)why), cause) != 0)
        why++;
    return (enum reason)why;
}

static struct summary_cause *cause_of(struct summary *s, const struct record *r)
{
    size_t i = 0;
    while (i < SUMMARY_CAUSES - 1 && s->causes[i].cause && strcmp(s->causes[i].cause, r->cause) != 0)
        i++;
    if (s->causes[i].cause)
        return &s->causes[i];
    bool room = i < SUMMARY_CAUSES - 1;
    enum reason why = reason_of(r->cause);
    s->causes[i].cause = strdup(room ? r->cause : "others");
    s->causes[i].words = strdup(!room ? "there are more causes" : why < REASONS ? reason_words(why) : r->reason);
    s->causes[i].cure = room && why < REASONS ? reason_cure(why) : NULL;
    return &s->causes[i];
}

/* A name, and all its bytes in hexadecimal if it is not UTF-8. */
static void set_name(json_t *object, const char *key, const char *name)
{
    char key_of_hex[32];
    char *text = name_utf8(name);
    json_object_set_new(object, key, json_string(text));
    free(text);
    if (name_is_utf8(name))
        return;
    stpcpy(stpcpy(key_of_hex, key), "_hex");
    text = name_hex(name);
    json_object_set_new(object, key_of_hex, json_string(text));
    free(text);
}

static json_t *number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* A field that only some records have. */
static void set_if_told(json_t *copy, const char *name, const struct record *r)
{
    json_t *value = json_object_get(r->line, name);
    if (value)
        json_object_set(copy, name, value);
}

static json_t *copy_object(const struct record *r)
{
    json_t *copy = json_object();
    set_name(copy, "program", r->program);
    json_object_set_new(copy, "pid", number(r->pid));
    set_name(copy, "source", r->source);
    set_name(copy, "destination", r->destination);
    json_object_set_new(copy, "size", number(r->size));
    json_object_set_new(copy, "offloaded", number(r->offloaded));
    json_object_set_new(copy, "written", number(r->written));
    json_object_set_new(copy, "engine", r->engine ? json_string(r->engine) : json_null());
    json_object_set_new(copy, "buffers", r->buffers ? json_string(r->buffers) : json_null());
    json_object_set_new(copy, "reads_elided", number(r->reads_elided));
    json_object_set_new(copy, "writes_elided", number(r->writes_elided));
    set_if_told(copy, "buffers_reason", r);
    set_if_told(copy, "faults", r);
    json_object_set_new(copy, "cause", json_string(r->cause));
    json_object_set_new(copy, "reason", json_string(r->reason));
    return copy;
}

/* Adds a copy to the list. A line that finds no room is the end of it: no part of one stays. */
static void list_copy(struct summary *s, const struct record *r)
{
    json_t *copy = copy_object(r);
    char *text = json_dumps(copy, FORM);
    json_decref(copy);
    size_t n = text ? strlen(text) : 0;
    if (n)
        text[n++] = '\n';
    if (!s->list_is_cut && n && pwrite(s->list, text, n, s->listed) == (ssize_t)n)
        s->listed += (off_t)n;
    else
        s->list_is_cut = true;
    free(text);
}

void summary_add(struct summary *summary, const struct record *record)
{
    summary->copies++;
    summary->bytes = add_up(summary->bytes, record_bytes(record));
    summary->offloaded = add_up(summary->offloaded, record->offloaded);
    summary->written = add_up(summary->written, record->written);
    summary->reads_elided = add_up(summary->reads_elided, record->reads_elided);
    summary->writes_elided = add_up(summary->writes_elided, record->writes_elided);
    summary->other_version += strcmp(record->version, PACKAGE_VERSION) != 0;
    if (record->offloaded > 0) {
        struct summary_engine *engine = engine_of(summary, record->engine ? record->engine : "unnamed");
        engine->copies++;
        engine->bytes = add_up(engine->bytes, record->offloaded);
        if (record->engine && strcmp(record->engine, "clone") == 0)
            summary->saved = add_up(summary->saved, record->offloaded);
    }
    if (!record_is_whole(record)) {
        struct summary_cause *cause = cause_of(summary, record);
        cause->copies++;
        cause->bytes = add_up(cause->bytes, record->written);
    }
    if (summary->list)
        list_copy(summary, record);
}

static int by_copies(const void *a, const void *b)
{
    const struct summary_cause *first = a, *second = b;
    if (first->copies != second->copies)
        return first->copies < second->copies ? 1 : -1;
    return first->bytes < second->bytes ? 1 : first->bytes > second->bytes ? -1 : 0;
}

static size_t sort_causes(struct summary *s)
{
    size_t n = 0;
    while (n < SUMMARY_CAUSES && s->causes[n].cause)
        n++;
    qsort(s->causes, n, sizeof *s->causes, by_copies);
    return n;
}

/* ---- the table ---- */

char *bytes_for_people(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double size = (double)bytes;
    for (; size >= 1023.95 && unit + 1 < sizeof units / sizeof *units; unit++)
        size /= 1024;
    snprintf(text, 16, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return text;
}

/* A part of the whole, in percent, rounded down: 100.0 means all of it. */
static char *share(uint64_t part, uint64_t whole, char text[16])
{
    unsigned tenths = whole ? (unsigned)((__uint128_t)part * 1000 / whole) : 0;
    snprintf(text, 16, "%u.%u%%", tenths / 10, tenths % 10);
    return text;
}

static void print_row(FILE *out, const char *what, uint64_t copies, uint64_t bytes, uint64_t whole)
{
    char size[16], part[16];
    fprintf(out, "%-12s %8llu %12s %8s\n", what, (unsigned long long)copies, bytes_for_people(bytes, size),
            share(bytes, whole, part));
}

static void print_engines(const struct summary *s, FILE *out)
{
    uint64_t plain = 0;
    for (size_t i = 0; i < SUMMARY_CAUSES && s->causes[i].cause; i++)
        plain += s->causes[i].bytes > 0 ? s->causes[i].copies : 0;
    fprintf(out, "%-12s %8s %12s %8s\n", "by", "files", "size", "share");
    for (size_t i = 0; i < SUMMARY_ENGINES && s->engines[i].name; i++) {
        char *name = text_printable(s->engines[i].name);
        text_cut(name, 12);
        print_row(out, name, s->engines[i].copies, s->engines[i].bytes, s->bytes);
        free(name);
    }
    if (plain)
        print_row(out, "the program", plain, s->written, s->bytes);
}

static void print_causes(struct summary *s, FILE *out)
{
    size_t n = sort_causes(s);
    if (n)
        fprintf(out, "\n%8s %12s  %s\n", "files", "size", "not offloaded, because");
    for (size_t i = 0; i < n; i++) {
        char size[16];
        char *words = text_printable(s->causes[i].words);
        fprintf(out, "%8llu %12s  %s\n", (unsigned long long)s->causes[i].copies,
                bytes_for_people(s->causes[i].bytes, size), words);
        free(words);
        if (s->causes[i].cure)
            fprintf(out, "%8s %12s    %s\n", "", "", s->causes[i].cure);
    }
}

static void print_doubts(const struct summary *s, FILE *out)
{
    if (s->unusable)
        fprintf(out,
                "offload: %llu %s of the records could not be read: they were cut or damaged, and are not counted\n",
                (unsigned long long)s->unusable, s->unusable == 1 ? "line" : "lines");
    if (s->other_version)
        fprintf(out,
                "offload: %llu %s from another version of the library; start all programs with the one of "
                "this command, " PACKAGE_VERSION "\n",
                (unsigned long long)s->other_version, s->other_version == 1 ? "record comes" : "records come");
}

/* Whether a server made a copy: it shares extents, or not, and does not say. */
static bool served(const struct summary *s)
{
    for (size_t i = 0; i < SUMMARY_ENGINES && s->engines[i].name; i++)
        if (strcmp(s->engines[i].name, "server") == 0)
            return true;
    return false;
}

static const char *words_of_nothing(const struct summary *s)
{
    return s->nothing ? s->nothing : "nothing that the library could see copied a file by reading and writing";
}

void summary_table(struct summary *summary, FILE *out)
{
    char size[16], saved[16], part[16];
    if (!summary->copies) {
        fprintf(out, "offload: no copy was recognised: %s\n", words_of_nothing(summary));
        print_doubts(summary, out);
        return;
    }
    fprintf(out, "offload: %llu %s, %s, %s offloaded; saved %s of disk%s\n\n", (unsigned long long)summary->copies,
            summary->copies == 1 ? "file" : "files", bytes_for_people(summary->bytes, size),
            share(summary->offloaded, summary->bytes, part), bytes_for_people(summary->saved, saved),
            served(summary) ? "; what the server saved is not known" : "");
    print_engines(summary, out);
    print_causes(summary, out);
    print_doubts(summary, out);
}

/* ---- JSON ---- */

/* The part that was offloaded, of one, rounded down to the digits that are printed: 1 means all of it. */
static double offloaded_share(const struct summary *s)
{
    uint64_t millionths = s->bytes ? (uint64_t)((__uint128_t)s->offloaded * 1000000 / s->bytes) : 0;
    if (s->written && millionths == 1000000)
        millionths--;
    return (double)millionths / 1e6;
}

static json_t *totals_object(const struct summary *s)
{
    json_t *totals = json_object();
    json_object_set_new(totals, "files", number(s->copies));
    json_object_set_new(totals, "bytes", number(s->bytes));
    json_object_set_new(totals, "offloaded", number(s->offloaded));
    json_object_set_new(totals, "written", number(s->written));
    json_object_set_new(totals, "share", json_real(offloaded_share(s)));
    json_object_set_new(totals, "saved", number(s->saved));
    json_object_set_new(totals, "reads_elided", number(s->reads_elided));
    json_object_set_new(totals, "writes_elided", number(s->writes_elided));
    return totals;
}

static json_t *engines_array(const struct summary *s)
{
    json_t *engines = json_array();
    for (size_t i = 0; i < SUMMARY_ENGINES && s->engines[i].name; i++) {
        json_t *engine = json_object();
        json_object_set_new(engine, "engine", json_string(s->engines[i].name));
        json_object_set_new(engine, "files", number(s->engines[i].copies));
        json_object_set_new(engine, "bytes", number(s->engines[i].bytes));
        json_array_append_new(engines, engine);
    }
    return engines;
}

static json_t *reasons_array(struct summary *s)
{
    json_t *reasons = json_array();
    size_t n = sort_causes(s);
    for (size_t i = 0; i < n; i++) {
        const struct summary_cause *cause = &s->causes[i];
        json_t *reason = json_object();
        json_object_set_new(reason, "cause", json_string(cause->cause));
        json_object_set_new(reason, "words", json_string(cause->words));
        json_object_set_new(reason, "cure", cause->cure ? json_string(cause->cure) : json_null());
        json_object_set_new(reason, "count", number(cause->copies));
        json_object_set_new(reason, "bytes", number(cause->bytes));
        json_array_append_new(reasons, reason);
    }
    return reasons;
}

/* The lines of the list, as elements of an array. */
static void print_list(const struct summary *s, FILE *out)
{
    char bytes[16384];
    bool first = true;
    char before = '\n';
    for (off_t at = 0; at < s->listed;) {
        off_t left = s->listed - at;
        ssize_t n = pread(s->list, bytes, left < (off_t)sizeof bytes ? (size_t)left : sizeof bytes, at);
        if (n <= 0)
            return;
        for (ssize_t i = 0; i < n; before = bytes[i++]) {
            if (before == '\n')
                fputs(first ? "\n    " : ",\n    ", out);
            if (bytes[i] != '\n')
                fputc(bytes[i], out);
            first = false;
        }
        at += n;
    }
}

void summary_json(struct summary *summary, FILE *out)
{
    json_t *document = json_object();
    json_object_set_new(document, "version", json_string(PACKAGE_VERSION));
    json_object_set_new(document, "totals", totals_object(summary));
    json_object_set_new(document, "engines", engines_array(summary));
    json_object_set_new(document, "reasons", reasons_array(summary));
    json_object_set_new(document, "nothing", summary->copies ? json_null() : json_string(words_of_nothing(summary)));
    json_object_set_new(document, "unusable", number(summary->unusable));
    json_object_set_new(document, "other_version", number(summary->other_version));
    char *text = json_dumps(document, FORM | JSON_INDENT(2));
    json_decref(document);
    if (!text)
        return;
    /* Up to its last brace, before which the list is put in. */
    fprintf(out, "%.*s,\n  \"copies\": [", (int)strlen(text) - 2, text);
    print_list(summary, out);
    fputs("\n  ]\n}\n", out);
    free(text);
}

void summary_free(struct summary *summary)
{
    for (size_t i = 0; i < SUMMARY_ENGINES; i++)
        free(summary->engines[i].name);
    for (size_t i = 0; i < SUMMARY_CAUSES; i++) {
        free(summary->causes[i].cause);
        free(summary->causes[i].words);
    }
}
