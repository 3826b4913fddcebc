/* Copies that the kernel makes: sendfile, copy_file_range, splice and tee, whole or in pieces. */
#include "raw.h"
#include "world.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

enum { MOST_PIECES = 200, PIPE_ROOM = 65536 };

static ssize_t splice_piece(int src, loff_t *from, int dst, loff_t *to, size_t count, bool tee_too)
{
    int ends[2], twin[2];
    if (count > PIPE_ROOM)
        count = PIPE_ROOM;
    if (pipe(ends) != 0)
        return -1;
    ssize_t got = splice(src, from, ends[1], NULL, count, 0), put = got;
    if (got > 0 && tee_too && pipe(twin) == 0) {
        unsigned char room[PIPE_ROOM];
        ssize_t twins = tee(ends[0], twin[1], (size_t)got, 0), seen = read(twin[0], room, sizeof room);
        note_full(N_HASH, seen == twins, seen > 0 ? hash_bytes(room, (size_t)seen < 4096 ? (size_t)seen : 4096) : 0, 0);
        close(twin[0]);
        close(twin[1]);
    }
    if (got > 0)
        put = splice(ends[0], NULL, dst, to, (size_t)got, 0);
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return put;
}

static int clone_range(int src, loff_t from, int dst, loff_t to, size_t count)
{
    struct file_clone_range range = {
        .src_fd = src, .src_offset = (__u64)from, .src_length = count, .dest_offset = (__u64)to};
    return ioctl(dst, FICLONERANGE, &range);
}

static ssize_t copy_piece(int how, int src, loff_t *from, int dst, loff_t *to, size_t count)
{
    switch (how) {
    case C_SENDFILE:
        return sendfile(dst, src, NULL, count);
    case C_SENDFILE_OFF:
        return sendfile(dst, src, from, count);
    case C_RANGE:
        return copy_file_range(src, NULL, dst, NULL, count, 0);
    case C_RANGE_OFF:
        return copy_file_range(src, from, dst, to, count, 0);
    case C_RANGE_SYSCALL:
        return syscall(SYS_copy_file_range, src, NULL, dst, NULL, count, 0);
    case C_SPLICE:
        return splice_piece(src, NULL, dst, NULL, count, false);
    case C_SPLICE_OFF:
        return splice_piece(src, from, dst, to, count, false);
    case C_CLONE:
        return clone_range(src, *from, dst, *to, count);
    default:
        return splice_piece(src, NULL, dst, NULL, count, true);
    }
}

void perform_kcopy(const struct op *op)
{
    int src = world.slots[op->a[0]], dst = world.slots[op->a[1]];
    loff_t from = seek_raw(src, 0, SEEK_CUR), to = seek_raw(dst, 0, SEEK_CUR);
    int64_t left = op->a[4] < 0 ? 8 << 20 : op->a[4];
    size_t chunk = (size_t)op->a[3];
    from = from < 0 ? 0 : from;
    to = to < 0 ? 0 : to;
    remember_shift(op->a[0], from, to);
    for (int i = 0; i < MOST_PIECES && left > 0; i++) {
        size_t want = left < (int64_t)chunk ? (size_t)left : chunk;
        errno = ERRNO_MARK;
        int64_t moved = copy_piece(op->a[2], src, &from, dst, &to, want);
        /* How much the kernel moves at once is its own affair, and not the same from run to run. */
        if (moved <= 0 || errno != ERRNO_MARK)
            note(N_KCOPY, moved);
        if (moved <= 0)
            break;
        left -= moved;
        if (world.slot_files[op->a[1]] == F_DST && !world.foreign)
            shared->progress = seek_raw(dst, 0, SEEK_CUR);
    }
    note(N_KCOPY, left);
    note(N_OFFSET, from);
    note(N_OFFSET_SRC, seek_raw(src, 0, SEEK_CUR));
    note(N_OFFSET_DST, seek_raw(dst, 0, SEEK_CUR));
}
