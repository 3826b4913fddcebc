#include "json.h"

#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static const char hex[] = "0123456789abcdef";

static void add(struct json *json, const char *bytes, size_t n)
{
    memcpy(json->bytes + json->length, bytes, n);
    json->length += n;
}

void json_raw(struct json *json, const char *text)
{
    add(json, text, strlen(text));
}

void json_digits(struct json *json, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    add(json, digits + at, sizeof digits - at);
}

void json_path(char path[JSON_PATH], const char *before, uint64_t number, const char *behind)
{
    struct json text = {path, 0};
    json_raw(&text, before);
    json_digits(&text, number);
    json_raw(&text, behind);
    path[text.length] = 0;
}

static void begin_field(struct json *json, const char *field)
{
    bool first = json->length && json->bytes[json->length - 1] == '{';
    json_raw(json, first ? "\"" : ", \"");
    json_raw(json, field);
    json_raw(json, "\": ");
}

void json_number(struct json *json, const char *field, uint64_t number)
{
    begin_field(json, field);
    json_digits(json, number);
}

/* \u and four hexadecimal digits (RFC 8259, 7). */
static void add_escape(struct json *json, unsigned code)
{
    char escape[] = {'\\', 'u', hex[code >> 12 & 15], hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15]};
    add(json, escape, sizeof escape);
}

/* Adds the text in quotes. False if some of it is no UTF-8. */
static bool add_quoted(struct json *json, const char *text)
{
    bool valid = true;
    json_raw(json, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        unsigned length = utf8_length((const char *)c);
        valid = valid && length;
        if (length == 0)
            add_escape(json, 0xfffd), c++;
        else if (*c < 0x20 || *c == '"' || *c == '\\' || *c == 0x7f)
            add_escape(json, *c++);
        else
            while (length--)
                json->bytes[json->length++] = (char)*c++;
    }
    json_raw(json, "\"");
    return valid;
}

void json_text(struct json *json, const char *field, const char *text)
{
    begin_field(json, field);
    if (text)
        add_quoted(json, text);
    else
        json_raw(json, "null");
}

void json_name(struct json *json, const char *field, const char *name)
{
    begin_field(json, field);
    if (add_quoted(json, name))
        return;
    json_raw(json, ", \"");
    json_raw(json, field);
    json_raw(json, "_hex\": \"");
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        char digits[] = {hex[*c >> 4], hex[*c & 15]};
        add(json, digits, sizeof digits);
    }
    json_raw(json, "\"");
}
