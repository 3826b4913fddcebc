#include "record.h"

#include "names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A number that is not negative. */
static bool read_number(const json_t *line, const char *key, uint64_t *number)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_word(const json_t *line, const char *key, const char **word)
{
    *word = json_string_value(json_object_get(line, key));
    return *word;
}

/* A name, by its hexadecimal digits if it has some: these hold all its bytes. */
static bool read_name(const json_t *line, const char *key, char **name)
{
    char key_of_hex[32];
    const char *word;
    if (!read_word(line, key, &word))
        return false;
    stpcpy(stpcpy(key_of_hex, key), "_hex");
    const json_t *hex = json_object_get(line, key_of_hex);
    *name = hex ? (json_is_string(hex) ? name_from_hex(json_string_value(hex)) : NULL) : strdup(word);
    return *name;
}

static bool read_engine(const json_t *line, const char **engine)
{
    const json_t *value = json_object_get(line, "engine");
    *engine = json_string_value(value);
    return *engine || json_is_null(value);
}

/* What a copy and its progress have both. */
static bool read_common(struct record *r)
{
    return read_word(r->line, "version", &r->version) && read_name(r->line, "program", &r->program) &&
           read_name(r->line, "source", &r->source) && read_name(r->line, "destination", &r->destination) &&
           read_number(r->line, "pid", &r->pid) && read_number(r->line, "size", &r->size) &&
           read_engine(r->line, &r->engine);
}

static bool read_copy(struct record *r)
{
    r->buffers = json_string_value(json_object_get(r->line, "buffers"));
    return read_number(r->line, "offloaded", &r->offloaded) && read_number(r->line, "written", &r->written) &&
           read_number(r->line, "reads_elided", &r->reads_elided) &&
           read_number(r->line, "writes_elided", &r->writes_elided) && read_word(r->line, "cause", &r->cause) &&
           read_word(r->line, "reason", &r->reason);
}

static bool read_event(struct record *r)
{
    const char *event;
    if (!json_is_object(r->line) || !read_word(r->line, "event", &event) || !read_common(r))
        return false;
    if (strcmp(event, "copy") == 0)
        return read_copy(r);
    r->progress = strcmp(event, "progress") == 0;
    return r->progress && read_number(r->line, "done", &r->done);
}

bool record_read(struct record *record, const char *line, size_t n)
{
    *record = (struct record){.line = json_loadb(line, n, 0, NULL)};
    if (read_event(record))
        return true;
    record_free(record);
    return false;
}

void record_free(struct record *record)
{
    json_decref(record->line);
    free(record->program);
    free(record->source);
    free(record->destination);
}

uint64_t record_bytes(const struct record *record)
{
    return add_up(record->offloaded, record->written);
}

bool record_is_whole(const struct record *record)
{
    return record->written == 0 && (record->offloaded > 0 || strcasecmp(record->cause, "none") == 0);
}
