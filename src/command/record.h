/* A line of the library's report, read as what anybody may have written. */
#ifndef OFFLOAD_RECORD_H
#define OFFLOAD_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record {
    json_t *line;                         /* which keeps the words below in memory */
    bool progress;                        /* a copy under way, not one that has ended */
    const char *version;                  /* of the library */
    char *program, *source, *destination; /* names, any bytes */
    uint64_t pid;
    uint64_t size;               /* bytes of the source */
    uint64_t done;               /* progress: bytes that are there */
    uint64_t offloaded, written; /* copies: bytes by an engine, and by the program itself */
    uint64_t reads_elided, writes_elided;
    const char *engine;  /* or NULL */
    const char *buffers; /* or NULL; version 0.1 did not tell */
    const char *cause, *reason;
};

/* Reads a line of n bytes. False, and nothing to free, if it is not a record with all its fields. */
bool record_read(struct record *record, const char *line, size_t n);
void record_free(struct record *record);

/* The bytes that arrived. */
uint64_t record_bytes(const struct record *record);

/* Whether every byte that arrived was offloaded. */
bool record_is_whole(const struct record *record);

/* a + b, or the greatest number if that is greater. */
static inline uint64_t add_up(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

#endif
