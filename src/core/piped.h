/*
 * What lies in a pipe of the process's own: bytes of a file that splice(2) has put there, which are to be spliced on to
 * another.
 *
 * All of it is for a process of one thread, with the signals blocked that have handlers: nobody can look into the pipe
 * while it is emptied.
 */
#ifndef LIBOFFLOAD_PIPED_H
#define LIBOFFLOAD_PIPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/*
 * The process's last splice from a file to such a pipe. It proves nothing, like a read_note (recogniser.h): the bytes
 * are compared when they have left the pipe.
 */
struct piped {
    size_t n;    /* bytes; 0: no note */
    off_t at;    /* where in the file, if the call had an offset of its own, or -1: before the descriptor's */
    int source;  /* the file */
    int end;     /* the pipe's, for writing */
    uint8_t age; /* the source's (recogniser.h) */
};

extern struct piped piped;

/* Whether the bytes of the note, or as many, are all that lies in the pipe behind the descriptor `pipe`. */
bool piped_fills(const struct piped *from, int pipe);

/*
 * Empties the pipe of bytes->iov_len bytes, which it holds, into memory that stays until the next time: bytes tells
 * where, and how many. False if nothing was moved.
 */
bool piped_drain(int pipe, struct iovec *bytes);

#endif
