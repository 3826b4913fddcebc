#include "settle.h"

#include "copy.h"
#include "mark.h"
#include "reads.h"
#include "report.h"
#include "syscalls.h"

#include <sys/stat.h>
#include <unistd.h>

bool settle_finished, settle_filtered;

void settle_visit(struct session *s, const void *nothing)
{
    (void)nothing;
    mark_settle(s, REASON_DESTINATION_USED);
    table_unlock(s);
}

static void visit_settle_stream(struct session *s, const void *nothing)
{
    if (s->stream || s->standard)
        settle_visit(s, nothing);
    else
        table_unlock(s);
}

static void visit_end(struct session *s, const void *nothing)
{
    (void)nothing;
    mark_settle(s, REASON_UNFINISHED);
    session_drop_proof(s);
    report_copy(s);
    table_release(s);
}

/* The descriptors of the range are being closed. */
static void visit_close(struct session *s, const void *what)
{
    const struct descriptor_range *range = what;
    if (range_holds(*range, s->pair.destination)) {
        visit_end(s, NULL);
        return;
    }
    if (range_holds(*range, s->pair.source))
        mark_settle(s, REASON_UNFINISHED);
    table_unlock(s);
}

static void settle_if_asked(struct session *s)
{
    if (__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST))
        mark_settle(s, REASON_DESTINATION_USED);
}

struct session *settle_running(int destination)
{
    struct session *s = copy_watching() ? table_find(destination) : NULL;
    if (s)
        settle_if_asked(s);
    if (s && !s->running) {
        table_unlock(s);
        s = NULL;
    }
    return s;
}

void settle_leave(struct session *s)
{
    report_progress(s, false);
    settle_if_asked(s);
    table_unlock(s);
    /* Asked after we looked, while the lock was still ours: whoever has it now looks as well. */
    if (__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST) && table_lock_again(s)) {
        settle_if_asked(s);
        table_unlock(s);
    }
}

void copy_settle_file_of(int fd, bool changes)
{
    struct file_state file;
    uint64_t blocked;
    bool regular = guard_look(fd, &file);
    reads_end_if_killed();
    if (!table_may_concern(fd, regular ? &file : NULL, changes) || !table_enter(&blocked))
        return;
    struct session *s = settle_running(fd);
    if (s)
        settle_visit(s, NULL);
    if ((changes || !s) && regular)
        table_each_of_file(&file, changes, settle_visit, NULL);
    table_leave(blocked);
}

void copy_settle_for_seek(int fd, off_t offset, int whence)
{
    bool to_end = whence != SEEK_CUR && whence != SEEK_SET, moves = whence == SEEK_SET || offset != 0;
    if (to_end || (moves && __atomic_load_n(&sessions_streamed, __ATOMIC_RELAXED) != 0))
        copy_settle_file_of(fd, false);
}

void copy_settle_file_at(int directory, const char *path, int flags, bool changes)
{
    struct stat st;
    uint64_t blocked;
    if (!path) {
        copy_settle_file_of(directory, changes);
        return;
    }
    if (!table_enter(&blocked))
        return;
    if (KERNEL(SYS_newfstatat, directory, path, &st, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) == 0) {
        struct file_state file = {.device = st.st_dev, .inode = st.st_ino};
        table_each_of_file(&file, changes, settle_visit, NULL);
    }
    table_leave(blocked);
}

static void visit_every(void (*visit)(struct session *, const void *))
{
    uint64_t blocked;
    if (!table_enter(&blocked))
        return;
    table_each(visit, NULL);
    table_leave(blocked);
}

void copy_settle_every(void)
{
    visit_every(settle_visit);
}

void copy_settle_every_stream(void)
{
    visit_every(visit_settle_stream);
}

void copy_close_from(unsigned first, unsigned last)
{
    struct descriptor_range range = {first, last};
    uint64_t blocked;
    if (!table_enter(&blocked))
        return;
    table_each_in(range, visit_close);
    table_leave(blocked);
}

void copy_finish(void)
{
    uint64_t blocked;
    bool finished = settle_over() && !copy_watching();
    if (finished || !table_enter(&blocked))
        return;
    settle_finished = true;
    table_each(visit_end, NULL);
    table_leave(blocked);
}

void copy_finish_for_good(void)
{
    if (!owned_by_child())
        settle_finished = true;
    /* Who begins one shows his place in the table before he looks whether it is over (begin.c): one sees the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (copy_watching())
        copy_finish();
}

void copy_finish_for_tables(void)
{
    if (!*underway_single)
        copy_finish_for_good();
}

/* Nobody asks any more whether this is a child in another's memory: that would be a system call, now and later (owned.h). */
void copy_finish_for_filter(void)
{
    copy_finish();
    settle_finished = settle_filtered = true;
    owned_lent = false;
}
