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
 * The descriptors that the process read from lately, by any call and in any thread: where the bytes of a write may be
 * from that were read to another place than they are written from. Each is a descriptor + 1, or 0. Any number may have
 * been closed since.
 */
#define SOURCES 4
extern int recogniser_sources[SOURCES];
extern int recogniser_last_source;

void recogniser_add_source(int fd);

/* Tells of a read by any call. Any thread, signal safe. */
static inline void recogniser_note_source(int fd)
{
    if (__atomic_load_n(&recogniser_last_source, __ATOMIC_RELAXED) != fd + 1)
        recogniser_add_source(fd);
}

/* Leaves a note of a read(2) that gave n > 0 bytes. */
static inline void recogniser_note(int fd, const void *buffer, size_t n)
{
    if (recogniser_is_irregular(fd))
        return;
    recogniser_note_source(fd);
    read_notes.notes[read_notes.next++ % NOTES] = (struct read_note){buffer, n, fd};
}

/*
 * Tells of a read by another call, into whatever memory, after which no older note is the newest. `moved`: bytes that
 * the descriptor's offset moved by.
 */
static inline void recogniser_note_other(int fd, size_t moved)
{
    if (recogniser_is_irregular(fd))
        return;
    recogniser_note_source(fd);
    read_notes.notes[read_notes.next++ % NOTES] = (struct read_note){NULL, moved, fd};
}

/* Whether any note's buffer holds the byte at `from`. What every write of every program asks. */
static inline bool recogniser_noted(const void *from)
{
    const struct read_note *note = read_notes.notes;
    uintptr_t at = (uintptr_t)from;
    return at - (uintptr_t)note[0].buffer < note[0].length || at - (uintptr_t)note[1].buffer < note[1].length ||
           at - (uintptr_t)note[2].buffer < note[2].length || at - (uintptr_t)note[3].buffer < note[3].length;
}

/* The newest note whose buffer holds the byte at `from`, or NULL. */
static inline const struct read_note *recogniser_match(const void *from)
{
    for (unsigned back = 1; back <= NOTES; back++) {
        const struct read_note *note = &read_notes.notes[(read_notes.next - back) % NOTES];
        if ((uintptr_t)from - (uintptr_t)note->buffer < note->length)
            return note;
    }
    return NULL;
}

/* Whether nothing was read since the note was left. */
static inline bool recogniser_is_newest(const struct read_note *note)
{
    return note == &read_notes.notes[(read_notes.next - 1) % NOTES];
}

/*
 * Where in its file the byte at `from` was read, by a note of this thread that holds it: the descriptor's offset now,
 * less what was read through it since. -1 if the descriptor has none.
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

/*
 * A write whose bytes were read to another place, or by another call, is a guess: its bytes are looked for in the files
 * read lately. A descriptor for which that came to nothing is guessed about ever more rarely. Small writes are not
 * worth it. Locks nothing: a count lost between two threads costs a look, or saves one.
 */
#define GUESS_LEAST ((size_t)4096)
#define GUESSES 256
struct guesses {
    uint8_t age;
    uint16_t wait, delay;
};
extern struct guesses recogniser_guesses[GUESSES];

/* The descriptor's guess came to nothing. The next one waits for a further read as well. */
void recogniser_guessed_wrong(int fd);

/* The descriptor was found to be no regular file. Any thread, signal safe. */
void recogniser_found_irregular(int fd);

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

/* Whether to guess where n bytes for this descriptor are from. Counts the question. */
static inline bool recogniser_may_guess(int fd, size_t n)
{
    struct guesses *guesses = &recogniser_guesses[(unsigned)fd % GUESSES];
    if (n < GUESS_LEAST || !__atomic_load_n(&recogniser_last_source, __ATOMIC_RELAXED) || recogniser_is_irregular(fd))
        return false;
    if (guesses->wait == 0 || guesses->age != recogniser_age(fd))
        return true;
    guesses->wait--;
    return false;
}

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
