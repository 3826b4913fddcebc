#include "answers.h"

#include "../../core/clock.h"

#include <string.h>

#define MOMENT_NS 1000000000L

/*
 * Of a process of one thread. Memory can be shared with a child (vfork(2)) that is killed while it writes here: what is not whole
 * is not there.
 */
static struct {
    struct disk_pair pair;
    long asked_ns;
    bool whole;
} last;

static bool is_of(const struct disk_pair *pair)
{
    for (int i = 0; i < 2; i++)
        if (last.pair.disks[i] != pair->disks[i] || !node_same(&last.pair.nodes[i], &pair->nodes[i]))
            return false;
    return true;
}

bool answers_known(struct disk_pair *pair)
{
    if (!__atomic_load_n(&last.whole, __ATOMIC_ACQUIRE) || !is_of(pair) || clock_ns() - last.asked_ns >= MOMENT_NS)
        return false;
    pair->sector = last.pair.sector;
    memcpy(pair->sizes, last.pair.sizes, sizeof pair->sizes);
    memcpy(pair->names, last.pair.names, sizeof pair->names);
    return true;
}

void answers_note(const struct disk_pair *pair)
{
    answers_forget();
    last.pair = *pair;
    last.asked_ns = clock_ns();
    __atomic_store_n(&last.whole, true, __ATOMIC_RELEASE);
}

void answers_forget(void)
{
    __atomic_store_n(&last.whole, false, __ATOMIC_SEQ_CST);
}
