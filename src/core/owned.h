/*
 * The descriptors whose open file description (open(2)) this process made itself and has to itself: opened by a call
 * that a hook saw, and not there any more when a child was last started.
 *
 * Only such a description is a session's destination. Another process that holds it moves its offset and writes through
 * it where no hook sees it: a shell that has redirected a program's output, a child that inherited it.
 *
 * Likewise a pipe that the process made and has to itself: nobody else sees what lies in it.
 */
#ifndef LIBOFFLOAD_OWNED_H
#define LIBOFFLOAD_OWNED_H

#include <stdbool.h>
#include <stdint.h>

enum owned_kind { OWNED_NOT, OWNED_FILE, OWNED_PIPE };

/* By descriptor number; one beyond the range is no one's own. Written by any thread, a byte at a time. */
#define OWNED_RANGE 4096
extern uint8_t owned[OWNED_RANGE];

static inline bool owned_holds(int fd)
{
    return (unsigned)fd < OWNED_RANGE && owned[fd] == OWNED_FILE;
}

/* Whether it is an end of a pipe that no other number leads to either. */
static inline bool owned_holds_pipe(int fd)
{
    return (unsigned)fd < OWNED_RANGE && owned[fd] == OWNED_PIPE;
}

/*
 * Whether the process, or one that it is a fork of, has had a child in its memory (vfork(2)). What such a child opens in a
 * table of descriptors of its own would be taken for this process's, by the same numbers.
 */
extern bool owned_lent;

/* Whether this is such a child. System calls only. */
bool owned_is_childs(void);

static inline bool owned_by_child(void)
{
    return __builtin_expect(owned_lent, false) && owned_is_childs();
}

/* Opened, closed, or made to mean what another number means. */
static inline void owned_set(int fd, bool own)
{
    if ((unsigned)fd < OWNED_RANGE)
        owned[fd] = own && !owned_by_child() ? OWNED_FILE : OWNED_NOT;
}

/* The end of a pipe that was just made. */
static inline void owned_set_pipe(int fd)
{
    if ((unsigned)fd < OWNED_RANGE && !owned_by_child())
        owned[fd] = OWNED_PIPE;
}

/* A child is about to be started, which inherits them all. */
void owned_forget_all(void);

/* The descriptors from `first` to `last` are being closed. */
void owned_forget_range(int first, int last);

/*
 * Forgets every number by which the file behind the descriptor is known. Which of them are duplicates of this one (dup(2)) is not
 * remembered, nor is what a system call duplicated that no hook saw. System calls only.
 */
void owned_forget_file_of(int fd);

/* A child is about to be started that may run in this process's memory. System calls only. */
void owned_lend(void);

#endif
