#include "copy.h"

#include "guess.h"
#include "settle.h"

#include <sys/uio.h>

ssize_t copy_read_pieces(int fd, const struct iovec *pieces, int count, ssize_t n, off_t at)
{
    size_t left = n > 0 && !recogniser_is_irregular(fd) ? (size_t)n : 0;
    for (int i = 0; i < count && left; i++) {
        size_t part = pieces[i].iov_len < left ? pieces[i].iov_len : left;
        if (part)
            recogniser_note_at(fd, pieces[i].iov_base, part, at);
        at += at < 0 ? 0 : (off_t)part;
        left -= part;
    }
    return n;
}

void copy_mapped(int fd, const void *at, size_t n, off_t from)
{
    compare_what_may_go();
    if (recogniser_is_irregular(fd))
        return;
    recogniser_note_source(fd);
    guess_note_mapping(fd, at, n, from);
}

void copy_leaving_for_later(int fd, bool changes)
{
    struct file_state file;
    /* Before sessions are settled: none is to begin in between. */
    if (!settle_over_for_good() && guard_look(fd, &file))
        unseen_add_file(guard_number(fd, &file));
    if (copy_running())
        copy_settle_file_of(fd, changes);
}

void copy_mapping(int fd)
{
    copy_leaving_for_later(fd, true);
}

bool copy_over(void)
{
    return settle_over();
}

bool copy_over_for_good(void)
{
    return settle_over_for_good();
}

/* Twice: while others' copies are waited for, a thread may open a file and begin another. */
void copy_handing_over(void)
{
    for (int turn = 0; turn < 2; turn++) {
        /* First: who begins one meanwhile finds nothing that is its own (begin.c), or is seen running. */
        owned_forget_all();
        copy_settle_all();
    }
}

void copy_given_away(int fd)
{
    if (settle_over())
        owned_forget_all();
    else
        owned_forget_file_of(fd);
}
