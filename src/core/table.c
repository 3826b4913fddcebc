#include "table.h"

#include "lock.h"
#include "signals.h"
#include "syscalls.h"
#include "touched.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct table {
    int owner;                   /* the pid whose sessions these are; 0 after a fork, then for a moment BEING_TAKEN */
    unsigned used;               /* no place at or above this was ever taken */
    int destination[TABLE_SIZE]; /* the session's destination descriptor + 1; 0: the place is free */
    struct session sessions[TABLE_SIZE];
};

#define BEING_TAKEN (-1)

static struct table *table;
TOUCHED_AT_START unsigned table_taken;

#define LOAD(from) __atomic_load_n(&(from), __ATOMIC_SEQ_CST)
#define STORE(to, value) __atomic_store_n(&(to), (value), __ATOMIC_SEQ_CST)
#define ADD(to, value) __atomic_add_fetch(&(to), (value), __ATOMIC_SEQ_CST)
#define EXCHANGE_IF(at, was, value) \
    __atomic_compare_exchange_n(&(at), &(was), (value), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

static void make_table(void)
{
    long at = KERNEL(SYS_mmap, NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return;
    struct table *made = (struct table *)at, *none = NULL;
    if (KERNEL(SYS_madvise, at, sizeof *made, MADV_WIPEONFORK) < 0 || !EXCHANGE_IF(table, none, made))
        KERNEL(SYS_munmap, at, sizeof *made);
}

/*
 * The table, if it is this process's. While one thread takes it, others, and a handler of its own, do without: there is no session
 * yet, and what they would begin would be forgotten here.
 */
static bool own_table(void)
{
    if (!LOAD(table))
        make_table();
    if (!LOAD(table))
        return false;
    int pid = (int)KERNEL(SYS_getpid), nobody = 0;
    if (LOAD(table->owner) == pid)
        return true;
    if (!EXCHANGE_IF(table->owner, nobody, BEING_TAKEN))
        return nobody == pid;
    /* Fresh, or a fork's child: what the parent had taken is gone. */
    STORE(table_taken, 0);
    STORE(sessions_running, 0);
    STORE(sessions_remote, 0);
    STORE(sessions_streamed, 0);
    lazy_forget();
    STORE(table->owner, pid);
    return true;
}

static void block_signals(uint64_t *blocked)
{
    signals_block(blocked);
    if (LOAD(sessions_remote))
        signals_let_end(*blocked);
}

void table_make_own(void)
{
    own_table();
}

bool table_is_anothers(void)
{
    if (!LOAD(table))
        return true;
    int owner = LOAD(table->owner);
    return owner && owner != (int)KERNEL(SYS_getpid);
}

bool table_enter(uint64_t *blocked)
{
    if (!own_table())
        return false;
    block_signals(blocked);
    return true;
}

bool table_enter_running(uint64_t *blocked)
{
    if (!LOAD(table) || LOAD(table->owner) == 0)
        return table_enter(blocked);
    block_signals(blocked);
    return true;
}

void table_leave(uint64_t blocked)
{
    signals_restore(blocked);
}

void table_unlock(struct session *s)
{
    lock_give(&s->lock);
}

bool table_lock_again(struct session *s)
{
    if (!lock_try(&s->lock))
        return false;
    if (s->running)
        return true;
    table_unlock(s);
    return false;
}

static size_t place_of(const struct session *s)
{
    return (size_t)(s - table->sessions);
}

struct session *table_find_source(int source)
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        struct session *s = &table->sessions[i];
        if (!LOAD(s->running) || s->pair.source != source)
            continue;
        lock_take(&s->lock);
        if (s->running && s->pair.source == source)
            return s;
        table_unlock(s);
    }
    return NULL;
}

struct session *table_find(int destination)
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        if (__atomic_load_n(&table->destination[i], __ATOMIC_RELAXED) != destination + 1)
            continue;
        lock_take(&table->sessions[i].lock);
        if (LOAD(table->destination[i]) == destination + 1)
            return &table->sessions[i];
        table_unlock(&table->sessions[i]);
    }
    return NULL;
}

void table_release(struct session *s)
{
    ADD(table_taken, -1);
    STORE(table->destination[place_of(s)], 0);
    table_unlock(s);
}

/* Whether a place other than this one is taken for the destination. */
static bool has_twin(unsigned place, int destination)
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++)
        if (i != place && LOAD(table->destination[i]) == destination + 1)
            return true;
    return false;
}

struct session *table_claim(int destination)
{
    for (unsigned i = 0; i < TABLE_SIZE; i++) {
        int nobody = 0;
        if (!EXCHANGE_IF(table->destination[i], nobody, -1))
            continue;
        struct session *s = &table->sessions[i];
        lock_take(&s->lock);
        /* All but the lock, for which someone may be waiting who took the place for its last owner's. */
        memset((char *)s + offsetof(struct session, running), 0, sizeof *s - offsetof(struct session, running));
        for (unsigned used = LOAD(table->used); used <= i;)
            if (EXCHANGE_IF(table->used, used, i + 1))
                break;
        STORE(table->destination[i], destination + 1);
        ADD(table_taken, 1);
        /* Looked for after our own place shows: of two threads at least one sees the other's. */
        if (!has_twin(i, destination))
            return s;
        table_release(s);
        return NULL;
    }
    return NULL;
}

/* Locks the session, unless another thread may be waiting for a server with it: that one is asked to settle it. */
static bool lock_or_ask(struct session *s)
{
    const struct engine *engine = LOAD(s->engine);
    if (!engine || !engine->remote) {
        lock_take(&s->lock);
        return true;
    }
    if (lock_try(&s->lock))
        return true;
    STORE(s->asked, 1);
    return false;
}

void table_each(void (*visit)(struct session *, const void *), const void *what)
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        if (LOAD(table->destination[i]) <= 0 || !lock_or_ask(&table->sessions[i]))
            continue;
        if (LOAD(table->destination[i]) > 0)
            visit(&table->sessions[i], what);
        else
            table_unlock(&table->sessions[i]);
    }
}

static bool is_in(struct descriptor_range range, unsigned place)
{
    return LOAD(table->destination[place]) > 0 && (range_holds(range, LOAD(table->destination[place]) - 1) ||
                                                   range_holds(range, LOAD(table->sessions[place].pair.source)));
}

void table_each_in(struct descriptor_range range, void (*visit)(struct session *, const void *))
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        if (!is_in(range, i))
            continue;
        lock_take(&table->sessions[i].lock);
        if (is_in(range, i))
            visit(&table->sessions[i], &range);
        else
            table_unlock(&table->sessions[i]);
    }
}

void table_count_written(int destination, size_t n)
{
    unsigned used = LOAD(table) && LOAD(table->owner) ? LOAD(table->used) : 0;
    for (unsigned i = 0; i < used; i++)
        if (LOAD(table->destination[i]) == destination + 1)
            ADD(table->sessions[i].tally.written, n);
}

static bool concerns(const struct session *s, const struct file_state *file, bool or_source)
{
    return LOAD(s->running) && (guard_same_file(&s->left, file) || (or_source && guard_same_file(&s->source, file)));
}

bool table_may_concern(int fd, const struct file_state *file, bool or_source)
{
    /* A fork's child has yet to find out that it has no session. */
    if (!LOAD(table) || LOAD(table->owner) == 0)
        return true;
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        const struct session *s = &table->sessions[i];
        if ((LOAD(table->destination[i]) == fd + 1 && LOAD(s->running)) || (file && concerns(s, file, or_source)))
            return true;
    }
    return false;
}

bool table_has_rival(const struct session *s)
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        const struct session *other = &table->sessions[i];
        if (other != s && (concerns(other, &s->left, true) || concerns(other, &s->source, false)))
            return true;
    }
    return false;
}

void table_each_of_file(const struct file_state *file, bool or_source, void (*visit)(struct session *, const void *),
                        const void *what)
{
    unsigned used = LOAD(table->used);
    for (unsigned i = 0; i < used; i++) {
        struct session *s = &table->sessions[i];
        if (!concerns(s, file, or_source))
            continue;
        lock_take(&s->lock);
        if (concerns(s, file, or_source))
            visit(s, what);
        else
            table_unlock(s);
    }
}
