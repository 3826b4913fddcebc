/*
 * The recogniser: from what a thread has read lately, says which write could be part of a copy.
 *
 * It costs a program that does not copy a few instructions a call: a read leaves a note, a write looks whether it
 * starts inside a noted buffer. An address proves nothing; it only makes it worth comparing the bytes.
 */
#ifndef LIBOFFLOAD_RECOGNISER_H
#define LIBOFFLOAD_RECOGNISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How many reads a write may lag behind: programs read one or two blocks ahead, or join two reads in one write. */
#define NOTES 4

struct read_note {
    const char *buffer;
    size_t length; /* bytes read; 0: no note */
    int fd;
    uint8_t age; /* the descriptor's then: its number may mean another file by now */
    off_t at;    /* where in the file, if the read had an offset of its own (pread(2)); or -1: at the descriptor's */
};

/* The thread's last reads, the newest at notes[(next - 1) % NOTES]. Of one thread alone: no lock. */
struct read_notes {
    unsigned next;
    struct read_note notes[NOTES];
};

extern __thread struct read_notes read_notes;

/* Descriptors, by number, that were found to be no regular files: pipes, sockets, terminals. */
#define KINDS_KNOWN 256
extern uint8_t recogniser_irregular[KINDS_KNOWN];

static inline bool recogniser_is_irregular(int fd)
{
    return (unsigned)fd < KINDS_KNOWN && __atomic_load_n(&recogniser_irregular[fd], __ATOMIC_RELAXED);
}

/*
 * How often each descriptor number was opened or closed, by its low bits. A number that shares its bits with another
 * is asked about once more than need be.
 */
#define AGES 256
extern uint8_t recogniser_ages[AGES];

static inline uint8_t recogniser_age(int fd)
{
    return __atomic_load_n(&recogniser_ages[(unsigned)fd % AGES], __ATOMIC_RELAXED);
}

/* Leaves a note of a read that gave n > 0 bytes, at an offset of its own or, if that is -1, at the descriptor's. */
static inline void recogniser_note_at(int fd, const void *buffer, size_t n, off_t at)
{
    if (recogniser_is_irregular(fd))
        return;
    read_notes.notes[read_notes.next++ % NOTES] = (struct read_note){buffer, n, fd, recogniser_age(fd), at};
}

/* Leaves a note of a read(2). */
static inline void recogniser_note(int fd, const void *buffer, size_t n)
{
    recogniser_note_at(fd, buffer, n, -1);
}

/* Whether any note's buffer holds the byte at `from`. What every write of every program asks. */
static inline bool recogniser_noted(const void *from)
{
    const struct read_note *note = read_notes.notes;
    uintptr_t at = (uintptr_t)from;
    return at - (uintptr_t)note[0].buffer < note[0].length || at - (uintptr_t)note[1].buffer < note[1].length ||
           at - (uintptr_t)note[2].buffer < note[2].length || at - (uintptr_t)note[3].buffer < note[3].length;
}

static inline bool recogniser_note_holds(const struct read_note *note, const void *from)
{
    return (uintptr_t)from - (uintptr_t)note->buffer < note->length;
}

/* The newest note whose buffer holds the byte at `from`, or NULL. */
static inline const struct read_note *recogniser_match(const void *from)
{
    for (unsigned back = 1; back <= NOTES; back++) {
        const struct read_note *note = &read_notes.notes[(read_notes.next - back) % NOTES];
        if (recogniser_note_holds(note, from))
            return note->age == recogniser_age(note->fd) ? note : NULL;
    }
    return NULL;
}

/*
 * A write of that many bytes or more, out of memory to which nothing was read, is taken for a part of a copy if the
 * last read was as long: the program moves the bytes from one buffer to another in between. Streams with a buffer of
 * the file's own block size do (st_blksize, mostly a MiB on a file server). Shorter ones do not repay a wrong guess.
 */
#define LARGE_WRITE ((size_t)64 << 10)

static inline const struct read_note *recogniser_newest(void)
{
    return &read_notes.notes[(read_notes.next - 1) % NOTES];
}

static inline bool recogniser_may_have_moved(size_t n)
{
    return n >= LARGE_WRITE && recogniser_newest()->length >= n;
}

/* The note of the read whose bytes a write of n bytes at `from` is likely to write, or NULL. */
static inline const struct read_note *recogniser_read_of(const void *from, size_t n)
{
    const struct read_note *note = recogniser_match(from), *newest = recogniser_newest();
    bool moved = !note && recogniser_may_have_moved(n) && newest->age == recogniser_age(newest->fd);
    return moved ? newest : note;
}

/*
 * Where in its file the byte at `from` was read, by a note of this thread that holds it: what the read said, or the
 * descriptor's offset now, less what was read through it since. -1 if the descriptor has none.
 */
off_t recogniser_source_offset(const struct read_note *note, const void *from);

/*
 * A pair of descriptors that turned out to be no copy is asked about ever more rarely: after 1, 2, 4, 8 ... further
 * matches. These know descriptors by number; recogniser_forget() must be told when a number may mean another file.
 */

/* Whether to look at a match of this pair at all. Counts the match. */
bool recogniser_worth(int in, int out);

/* Whether the pair was refused for good. Counts nothing. */
bool recogniser_gave_up(int in, int out);

/* The pair was looked at and is no copy (`for_good`: and cannot become one while the descriptors stay). */
void recogniser_refused(int in, int out, bool for_good);

/* The pair is a copy after all: it is asked about at each match again. */
void recogniser_served(int in, int out);

/* The descriptor was found to be no regular file. Any thread, signal safe. */
void recogniser_found_irregular(int fd);

/*
 * The descriptor was opened or closed. Any thread, signal safe. No locked instruction for every open and close: a step
 * lost between two threads costs one copy, not a byte.
 */
static inline void recogniser_forget(int fd)
{
    __atomic_store_n(&recogniser_ages[(unsigned)fd % AGES], (uint8_t)(recogniser_age(fd) + 1), __ATOMIC_RELAXED);
    if ((unsigned)fd < KINDS_KNOWN)
        __atomic_store_n(&recogniser_irregular[fd], 0, __ATOMIC_RELAXED);
}

#endif
