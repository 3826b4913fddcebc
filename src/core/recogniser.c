#include "recogniser.h"

#include "syscalls.h"

#include <limits.h>
#include <unistd.h>

__thread struct read_notes read_notes;

uint8_t recogniser_ages[AGES];
uint8_t recogniser_irregular[KINDS_KNOWN];

uint64_t recogniser_sources[SOURCES];
uint64_t recogniser_last_source;

void recogniser_add_source(uint64_t source)
{
    static unsigned next;
    int fd = (int)(uint32_t)source - 1;
    if (recogniser_is_irregular(fd))
        return;
    __atomic_store_n(&recogniser_last_source, source, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < SOURCES; i++)
        if (__atomic_load_n(&recogniser_sources[i], __ATOMIC_RELAXED) == source)
            return;
    unsigned place = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % SOURCES;
    __atomic_store_n(&recogniser_sources[place], source, __ATOMIC_RELAXED);
}

void recogniser_forget_sources(void)
{
    for (unsigned i = 0; i < SOURCES; i++)
        __atomic_store_n(&recogniser_sources[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&recogniser_last_source, 0, __ATOMIC_RELAXED);
}

int recogniser_source(unsigned place)
{
    uint64_t source = __atomic_load_n(&recogniser_sources[place], __ATOMIC_RELAXED);
    int fd = (int)(uint32_t)source - 1;
    return fd >= 0 && (uint8_t)(source >> 32) == recogniser_age(fd) ? fd : -1;
}

struct refusal {
    int in, out;
    uint8_t in_age, out_age;
    unsigned wait;  /* matches still to be let pass */
    unsigned delay; /* matches that were to be let pass the last time */
};

#define REFUSALS 8
static __thread struct refusal refusals[REFUSALS];

void recogniser_found_irregular(int fd)
{
    if ((unsigned)fd < KINDS_KNOWN)
        __atomic_store_n(&recogniser_irregular[fd], 1, __ATOMIC_RELAXED);
}

void recogniser_forget_every(void)
{
    for (unsigned i = 0; i < AGES; i++)
        __atomic_store_n(&recogniser_ages[i], (uint8_t)(recogniser_ages[i] + 1), __ATOMIC_RELAXED);
    recogniser_forget_sources();
}

static struct refusal *slot(int in, int out)
{
    return &refusals[((unsigned)in * 5 + (unsigned)out) % REFUSALS];
}

static bool is_of(const struct refusal *refusal, int in, int out)
{
    return refusal->delay && refusal->in == in && refusal->out == out && refusal->in_age == recogniser_age(in) &&
           refusal->out_age == recogniser_age(out);
}

bool recogniser_worth(int in, int out)
{
    struct refusal *refusal = slot(in, out);
    if (!is_of(refusal, in, out) || refusal->wait == 0)
        return true;
    if (refusal->wait != UINT_MAX)
        refusal->wait--;
    return false;
}

bool recogniser_gave_up(int in, int out)
{
    const struct refusal *refusal = slot(in, out);
    return is_of(refusal, in, out) && refusal->wait == UINT_MAX;
}

void recogniser_refused(int in, int out, bool for_good)
{
    struct refusal *refusal = slot(in, out);
    unsigned delay = 1;
    if (is_of(refusal, in, out))
        delay = refusal->delay < UINT_MAX / 2 ? refusal->delay * 2 : refusal->delay;
    *refusal = (struct refusal){in, out, recogniser_age(in), recogniser_age(out), for_good ? UINT_MAX : delay, delay};
}

void recogniser_served(int in, int out)
{
    struct refusal *refusal = slot(in, out);
    if (is_of(refusal, in, out))
        *refusal = (struct refusal){0};
}

off_t recogniser_source_offset(const struct read_note *note, const void *from)
{
    long offset = note->at >= 0 ? note->at : KERNEL(SYS_lseek, note->fd, 0, SEEK_CUR);
    if (offset < 0)
        return -1;
    for (unsigned back = 1; note->at < 0 && back <= NOTES; back++) {
        const struct read_note *later = &read_notes.notes[(read_notes.next - back) % NOTES];
        if (later->fd == note->fd && later->at < 0)
            offset -= (long)later->length;
        if (later == note)
            break;
    }
    return offset + ((const char *)from - note->buffer);
}
