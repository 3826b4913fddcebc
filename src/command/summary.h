/* What all copies of a run come to, as a table or as JSON. */
#ifndef OFFLOAD_SUMMARY_H
#define OFFLOAD_SUMMARY_H

#include "record.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* More engines or causes than these come from no library: they are counted in the last place together. */
#define SUMMARY_ENGINES 8
#define SUMMARY_CAUSES 64

struct summary_engine {
    char *name;
    uint64_t copies, bytes;
};

struct summary_cause {
    char *cause, *words;
    const char *cure; /* or NULL */
    uint64_t copies, bytes;
};

struct summary {
    uint64_t copies;
    uint64_t bytes, offloaded, written; /* bytes is both */
    uint64_t saved;                     /* bytes known to have taken no place on a disk: a server does not tell */
    uint64_t reads_elided, writes_elided;
    struct summary_engine engines[SUMMARY_ENGINES];
    struct summary_cause causes[SUMMARY_CAUSES];
    int list;               /* a file that takes the copies, a JSON object a line, or 0 if they are not wanted */
    off_t listed;           /* its bytes */
    bool list_is_cut;       /* the file did not take all */
    uint64_t unusable;      /* lines that were no records */
    uint64_t other_version; /* records of another version of the library */
    const char *nothing;    /* why nothing can have been recognised, if that is known */
};

/* Counts a copy; adds it to the list too if there is one. A run may have millions: none is kept in memory. */
void summary_add(struct summary *summary, const struct record *record);

/* Prints what a user reads: in the locale's characters, file names not among it. */
void summary_table(struct summary *summary, FILE *out);

/* Prints one JSON document, in ASCII, with the copies of the list. */
void summary_json(struct summary *summary, FILE *out);

void summary_free(struct summary *summary);

/* A number of bytes for people, as "8.0 MiB", in `text`, which it returns. */
char *bytes_for_people(uint64_t bytes, char text[16]);

#endif
