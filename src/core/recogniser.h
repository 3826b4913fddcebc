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

extern __thread struct read_notes read_notes __attribute__((visibility("hidden")));

/* Descriptors, by number, that were found to be no regular files: pipes, sockets, terminals. */
#define KINDS_KNOWN 256
extern uint8_t recogniser_irregular[KINDS_KNOWN] __attribute__((visibility("hidden")));

static inline bool recogniser_is_irregular(int fd)
{
    return __builtin_expect((unsigned)fd < KINDS_KNOWN, 1) &&
           __atomic_load_n(&recogniser_irregular[(unsigned)fd], __ATOMIC_RELAXED);
}

/*
 * How often each descriptor number was opened or closed, by its low bits. A number that shares its bits with another
 * is asked about once more than need be.
 */
#define AGES 256
extern uint8_t recogniser_ages[AGES] __attribute__((visibility("hidden")));

static inline uint8_t recogniser_age(int fd)
{
    return __atomic_load_n(&recogniser_ages[(unsigned)fd % AGES], __ATOMIC_RELAXED);
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

/* The thread's last read; its length is 0 if there was none. */
static inline const struct read_note *recogniser_newest(void)
{
    return &read_notes.notes[(read_notes.next - 1) % NOTES];
}

/*
 * The files that the process has read last, by any call and in any thread: where a write may have its bytes from that
 * matches no read of its own thread. Each is a descriptor + 1 with its age above it, or 0.
 */
#define SOURCES 4
extern uint64_t recogniser_sources[SOURCES];
extern uint64_t recogniser_last_source __attribute__((visibility("hidden")));

void recogniser_add_source(uint64_t source);
void recogniser_forget_sources(void);

/* One of them, a descriptor that still means what was read; or -1. */
int recogniser_source(unsigned place);

/* Tells of a read by any call, of a descriptor that is `age` old. Any thread, signal safe. */
static inline void recogniser_note_aged_source(int fd, uint8_t age)
{
    uint64_t source = (uint64_t)age << 32 | ((uint32_t)fd + 1);
    if (__atomic_load_n(&recogniser_last_source, __ATOMIC_RELAXED) != source)
        recogniser_add_source(source);
}

static inline void recogniser_note_source(int fd)
{
    recogniser_note_aged_source(fd, recogniser_age(fd));
}

/* Leaves a note of a read that gave n > 0 bytes, at an offset of its own or, if that is -1, at the descriptor's. */
static inline void recogniser_note_at(int fd, const void *buffer, size_t n, off_t at)
{
    if (recogniser_is_irregular(fd))
        return;
    uint8_t age = recogniser_age(fd);
    read_notes.notes[read_notes.next++ % NOTES] = (struct read_note){buffer, n, fd, age, at};
    /* Last: what is kept across this call, which is seldom made, would be saved and restored at every read. */
    recogniser_note_aged_source(fd, age);
}

/* Leaves a note of a read(2). */
static inline void recogniser_note(int fd, const void *buffer, size_t n)
{
    recogniser_note_at(fd, buffer, n, -1);
}

/* Smaller writes are not looked for by content: lines, records. The smallest buffer that programs copy by is dd's. */
#define GUESS_LEAST ((size_t)512)

/* Whether a write of n bytes may be one whose bytes were read to other memory, or by another thread. */
static inline bool recogniser_may_guess(size_t n)
{
    return n >= GUESS_LEAST && __atomic_load_n(&recogniser_last_source, __ATOMIC_RELAXED) != 0;
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

/* What every thread has noted until now means nothing any more. */
void recogniser_forget_every(void);

#endif
