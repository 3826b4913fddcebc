/* Lines for someone who may not read them: what cannot be written yet waits, and this process does not. */
#ifndef OFFLOAD_OUTPUT_H
#define OFFLOAD_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output {
    int fd;       /* the caller's; -1: nothing is printed */
    int own;      /* the same file for writing without blocking, where it is a pipe; or `fd` */
    bool regular; /* a file that takes everything */
    char *bytes;  /* lines from `start` to `end` wait */
    size_t start, end;
    uint64_t lost; /* lines that found no place */
    bool failed;   /* a line could not be written */
};

/* Begins to print to the descriptor, which stays the caller's and as it is. */
void output_open(struct output *output, int fd);

/* Prints the n bytes of a line, or keeps them to be printed; beyond a limit the line is lost. */
void output_add(struct output *output, const char *line, size_t n);

/* Writes what can be written without waiting. */
void output_write(struct output *output);

/* The descriptor that lines wait for, or -1 if none do. */
int output_waits_for(const struct output *output);

/* Writes the rest, for however long that takes, and frees what was kept. */
void output_close(struct output *output);

#endif
