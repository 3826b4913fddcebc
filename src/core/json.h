/*
 * A line of JSON (RFC 8259) in the making. No allocation, no libc call but memcpy and strlen: any thread, signal safe.
 * The caller gives the memory, and sees to it that what is added has room in it.
 */
#ifndef LIBOFFLOAD_JSON_H
#define LIBOFFLOAD_JSON_H

#include <stddef.h>
#include <stdint.h>

struct json {
    char *bytes;
    size_t length; /* bytes, no zero behind them */
};

/* The most that json_name() adds for a name of n bytes, without the field's own name. */
#define JSON_NAME_ROOM(n) ((n)*8 + 32)

/* Adds text as it is. */
void json_raw(struct json *json, const char *text);

/* Adds a number in decimal digits. */
void json_digits(struct json *json, uint64_t number);

/* Bytes of a path that json_path() writes. */
#define JSON_PATH 48

/* Writes the path of something that has a number, in /proc: what stands before it, the number, what stands behind it, and a zero. */
void json_path(char path[JSON_PATH], const char *before, uint64_t number, const char *behind);

/* Adds `"field": number`, after a comma unless it is the object's first. */
void json_number(struct json *json, const char *field, uint64_t number);

/* Likewise a string of ASCII, or null. */
void json_text(struct json *json, const char *field, const char *text);

/*
 * Likewise the name of a file, which may be any bytes. What is no UTF-8 (RFC 3629) is written as U+FFFD; then a field
 * `field_hex` follows, which has all bytes of the name in hexadecimal.
 */
void json_name(struct json *json, const char *field, const char *name);

#endif
