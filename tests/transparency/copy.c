/* The copy loop, in every way of calling read and write, with at most one thing in it that is not a
 * copy. */
#include "raw.h"
#include "world.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

extern ssize_t __read(int fd, void *bytes, size_t count);
extern ssize_t __write(int fd, const void *bytes, size_t count);
extern ssize_t __read_chk(int fd, void *bytes, size_t count, size_t room);

enum { MOST_ROUNDS = 700, PAGE = 4096 };

/* Which source bytes a destination may show ahead of the program is for the driver to check. */
void remember_place(int file, off_t shift)
{
    uint32_t at = __atomic_fetch_add(&shared->delta_count, 1, __ATOMIC_RELAXED);
    if (at >= DELTAS)
        return;
    shared->deltas[at].shift = shift;
    shared->deltas[at].source = file;
}

void remember_shift(int src_slot, off_t from, off_t to)
{
    remember_place(world.slot_files[src_slot], from - to);
}

struct end {
    int fd;
    int how;
    off_t at;
    FILE *stream;
};

struct writer {
    pthread_t thread;
    sem_t go, done;
    struct loop *loop;
    const unsigned char *bytes;
    size_t count;
    ssize_t result;
    int error;
    bool stop;
};

struct loop {
    const struct op *op;
    struct end src, dst, second;
    struct buffer *buffer, *other;
    size_t chunk;
    int64_t left;
    uint32_t round;
    uint64_t rolling;
    unsigned noted;
    const unsigned char *view; /* D_MAPPED: the source in memory */
    size_t view_size;
    size_t held; /* D_LAG, D_JOIN: bytes read and not yet written */
    unsigned half;
    struct writer writer;
};

static ssize_t read_vector(struct end *end, unsigned char *bytes, size_t count, bool positional)
{
    size_t first = count > 1000 ? 1000 : count / 2;
    struct iovec parts[2] = {{bytes, first}, {bytes + first, count - first}};
    return positional ? preadv(end->fd, parts, 2, end->at) : readv(end->fd, parts, 2);
}

static ssize_t read_by(struct end *end, unsigned char *bytes, size_t count)
{
    struct iovec whole = {bytes, count};
    switch (end->how) {
    case R_PREAD:
        return pread(end->fd, bytes, count, end->at);
    case R_READV:
        return read_vector(end, bytes, count, false);
    case R_PREADV:
        return read_vector(end, bytes, count, true);
    case R_PREADV2_CUR:
        return preadv2(end->fd, &whole, 1, -1, 0);
    case R_PREADV2:
        return preadv2(end->fd, &whole, 1, end->at, 0);
    case R_SYSCALL:
        return syscall(SYS_read, end->fd, bytes, count);
    case R_ASM:
        return read_raw(end->fd, bytes, count);
    case R_ALIAS:
        return __read(end->fd, bytes, count);
    case R_FREAD:
        return end->stream ? (ssize_t)fread(bytes, 1, count, end->stream) : -1;
    case R_FREAD_UNLOCKED:
        return end->stream ? (ssize_t)(fread_unlocked)(bytes, 1, count, end->stream) : -1;
    case R_CHK:
        return __read_chk(end->fd, bytes, count, count);
    default:
        return read(end->fd, bytes, count);
    }
}

static ssize_t write_vector(struct end *end, unsigned char *bytes, size_t count, bool positional)
{
    size_t first = count > 1000 ? 1000 : count / 2;
    struct iovec parts[3] = {{NULL, 0}, {bytes, first}, {bytes + first, count - first}};
    return positional ? pwritev(end->fd, parts, 3, end->at) : writev(end->fd, parts, 3);
}

static ssize_t write_by(struct end *end, const unsigned char *from, size_t count)
{
    unsigned char *bytes = (unsigned char *)(uintptr_t)from;
    struct iovec whole = {bytes, count};
    bool split = end->how == W_WRITEV || end->how == W_PWRITEV || end->how == W_FWRITE || end->how == W_FWRITE_UNLOCKED;
    if (refused_by_direct(end->fd, split ? bytes + 1 : bytes))
        return -1;
    switch (end->how) {
    case W_PWRITE:
        return pwrite(end->fd, bytes, count, end->at);
    case W_WRITEV:
        return write_vector(end, bytes, count, false);
    case W_PWRITEV:
        return write_vector(end, bytes, count, true);
    case W_PWRITEV2_CUR:
        return pwritev2(end->fd, &whole, 1, -1, 0);
    case W_PWRITEV2:
        return pwritev2(end->fd, &whole, 1, end->at, 0);
    case W_SYSCALL:
        return syscall(SYS_write, end->fd, bytes, count);
    case W_ASM:
        return write_raw(end->fd, bytes, count);
    case W_ALIAS:
        return __write(end->fd, bytes, count);
    case W_FWRITE:
        return end->stream ? (ssize_t)fwrite(bytes, 1, count, end->stream) : -1;
    case W_FWRITE_UNLOCKED:
        return end->stream ? (ssize_t)(fwrite_unlocked)(bytes, 1, count, end->stream) : -1;
    default:
        return write(end->fd, bytes, count);
    }
}

/* Each result is told apart when it is not the whole of what was asked; all of them go into one
 * sum. */
static void track(struct loop *loop, enum what what, ssize_t result, size_t asked)
{
    int error = errno;
    loop->rolling = (loop->rolling ^ (uint64_t)result) * 0x9fb21c651e98df25u + (uint64_t)what;
    if ((result == (ssize_t)asked && error == ERRNO_MARK) || loop->noted++ > 12)
        return;
    current_iteration = loop->round;
    errno = error;
    note(what, result);
}

static ssize_t take(struct loop *loop, unsigned char *bytes, size_t count)
{
    errno = ERRNO_MARK;
    ssize_t got = read_by(&loop->src, bytes, count);
    track(loop, N_READ, got, count);
    if (got > 0)
        loop->src.at += got;
    return got;
}

/* What a stream still holds is in no file yet, and what it held when the copy began is not counted. */
static off_t written(const struct end *end)
{
    off_t held = end->stream ? (off_t)__fpending(end->stream) : 0;
    return end->at > held ? end->at - held : 0;
}

static void report_progress(const struct loop *loop)
{
    if (!world.foreign && !world.parallel && world.slot_files[loop->op->a[1]] == F_DST)
        shared->progress = written(&loop->dst);
}

static ssize_t give_to(struct loop *loop, struct end *end, const unsigned char *bytes, size_t count)
{
    errno = ERRNO_MARK;
    ssize_t put = write_by(end, bytes, count);
    track(loop, N_WRITE, put, count);
    if (put > 0)
        end->at += put;
    return put;
}

static void *writer_main(void *argument)
{
    struct writer *writer = argument;
    for (;;) {
        while (sem_wait(&writer->go) != 0) {
        }
        if (writer->stop)
            return NULL;
        errno = ERRNO_MARK;
        writer->result = write_by(&writer->loop->dst, writer->bytes, writer->count);
        writer->error = errno;
        sem_post(&writer->done);
    }
}

static ssize_t give_in_thread(struct loop *loop, const unsigned char *bytes, size_t count)
{
    struct writer *writer = &loop->writer;
    writer->bytes = bytes;
    writer->count = count;
    sem_post(&writer->go);
    while (sem_wait(&writer->done) != 0) {
    }
    errno = writer->error;
    track(loop, N_WRITE, writer->result, count);
    if (writer->result > 0)
        loop->dst.at += writer->result;
    return writer->result;
}

static ssize_t give(struct loop *loop, const unsigned char *bytes, size_t count)
{
    ssize_t put =
        loop->op->a[7] == D_THREAD ? give_in_thread(loop, bytes, count) : give_to(loop, &loop->dst, bytes, count);
    report_progress(loop);
    return put;
}

static bool at_round(const struct loop *loop)
{
    return loop->round == (uint32_t)loop->op->a[8];
}

static void look(struct loop *loop, const unsigned char *bytes, size_t count)
{
    loop->rolling = loop->rolling * 31 + hash_bytes(bytes, count);
}

static void ask_sizes(struct loop *loop)
{
    struct stat status;
    memset(&status, 0, sizeof status);
    fstat(loop->dst.fd, &status);
    loop->rolling = loop->rolling * 31 + (uint64_t)status.st_size;
}

static void ask_offsets(struct loop *loop)
{
    loop->rolling = loop->rolling * 31 + (uint64_t)lseek(loop->src.fd, 0, SEEK_CUR);
    loop->rolling = loop->rolling * 31 + (uint64_t)lseek(loop->dst.fd, 0, SEEK_CUR);
}

static void write_elsewhere(struct loop *loop)
{
    unsigned char line[100];
    memset(line, 0xee, sizeof line);
    note(N_WRITE, pwrite(loop->dst.fd, line, sizeof line, loop->op->a[9]));
}

static bool give_through_dup(struct loop *loop, const unsigned char *bytes, size_t count)
{
    struct end copy = loop->dst;
    copy.fd = dup(loop->dst.fd);
    note(N_DUP, copy.fd);
    ssize_t put = give_to(loop, &copy, bytes, count);
    loop->dst.at = copy.at;
    report_progress(loop);
    close(copy.fd);
    return put > 0;
}

static void protect_around(struct loop *loop, int rights)
{
    if (loop->buffer->map)
        mprotect(loop->buffer->map, loop->buffer->map_size, rights);
}

/* After one of the two offsets has moved, the copy goes on from another place of the source. */
static void remember_move(const struct loop *loop, size_t got)
{
    remember_shift(loop->op->a[0], loop->src.at, loop->dst.at + (off_t)got);
}

/* What happens in one round between its read and its write. */
static void between(struct loop *loop, unsigned char *bytes, size_t got)
{
    size_t at = (size_t)loop->op->a[9] % got;
    switch (loop->op->a[7]) {
    case D_FLIP:
        bytes[at] ^= 0x41;
        break;
    case D_LOOK:
        look(loop, bytes, got);
        break;
    case D_TOUCH:
        ((volatile unsigned char *)bytes)[at] = ((volatile unsigned char *)bytes)[at];
        break;
    case D_GAP:
        note(N_OFFSET, lseek(loop->dst.fd, loop->op->a[9], SEEK_CUR));
        loop->dst.at += loop->op->a[9];
        remember_move(loop, got);
        break;
    case D_SKIP:
        note(N_OFFSET, lseek(loop->src.fd, loop->op->a[9], SEEK_CUR));
        loop->src.at += loop->op->a[9];
        remember_move(loop, got);
        break;
    case D_PWRITE:
        write_elsewhere(loop);
        break;
    case D_REREAD:
        note(N_READ, pread(loop->src.fd, bytes, got, loop->op->a[9]));
        break;
    case D_SIGNAL:
        handle_in_copy(loop->op->a[9], loop->src.fd, loop->dst.fd, loop->buffer);
        break;
    case D_PROTECT:
        protect_around(loop, PROT_READ);
        break;
    case D_NOACCESS:
        protect_around(loop, PROT_NONE);
        break;
    case D_APPENDFLAG:
        note(N_FLAGS, fcntl(loop->dst.fd, F_SETFL, O_APPEND));
        break;
    default:
        break;
    }
}

/* As sparse copies do it: what is not written must read as zeros. */
static bool seek_over(struct loop *loop, size_t got)
{
    note(N_OFFSET, lseek(loop->dst.fd, (off_t)got, SEEK_CUR));
    loop->dst.at += (off_t)got;
    return true;
}

static bool write_pieces(struct loop *loop, const unsigned char *bytes, size_t got)
{
    size_t part = (size_t)loop->op->a[9] % got;
    switch (loop->op->a[7]) {
    case D_SEEKOVER:
        return seek_over(loop, got);
    case D_PART:
        return give(loop, bytes, part + 1) > 0;
    case D_SHIFT:
        return give(loop, bytes + 1, got - 1) >= 0;
    case D_STRAY:
        return give(loop, bytes, got) > 0 && give(loop, bytes, 1) > 0;
    case D_DUP:
        return give_through_dup(loop, bytes, got);
    case D_OTHER_BUFFER:
        memcpy(loop->other->at, bytes, got);
        return give(loop, loop->other->at, got) > 0;
    default:
        return give(loop, bytes, got) > 0;
    }
}

static bool write_reversed(struct loop *loop, const unsigned char *bytes, size_t got)
{
    off_t start = loop->dst.at;
    size_t half = got / 2;
    lseek(loop->dst.fd, start + (off_t)half, SEEK_SET);
    loop->dst.at = start + (off_t)half;
    bool ok = give(loop, bytes + half, got - half) > 0;
    lseek(loop->dst.fd, start, SEEK_SET);
    loop->dst.at = start;
    ok = ok && (half == 0 || give(loop, bytes, half) > 0);
    lseek(loop->dst.fd, start + (off_t)got, SEEK_SET);
    loop->dst.at = start + (off_t)got;
    return ok;
}

static bool write_split(struct loop *loop, const unsigned char *bytes, size_t got)
{
    size_t first = (size_t)loop->op->a[9] % got;
    return (first == 0 || give(loop, bytes, first) > 0) && give(loop, bytes + first, got - first) > 0;
}

/* The bytes of this round where they lie in the mapping of the source. */
static const unsigned char *in_view(const struct loop *loop, const unsigned char *bytes, size_t got)
{
    size_t at = (size_t)(loop->src.at - (off_t)got);
    return loop->view && loop->src.at >= (off_t)got && at + got <= loop->view_size ? loop->view + at : bytes;
}

/* Ways of copying that hold for every round. */
static bool write_round(struct loop *loop, unsigned char *bytes, size_t got)
{
    switch (loop->op->a[7]) {
    case D_LOOK_ALL:
        look(loop, bytes, got);
        break;
    case D_TERMINATE:
        bytes[got] = 0;
        break;
    case D_STAT:
        ask_sizes(loop);
        break;
    case D_TELL:
        ask_offsets(loop);
        break;
    case D_SPLIT:
        return write_split(loop, bytes, got);
    case D_REVERSE:
        return write_reversed(loop, bytes, got);
    case D_TWO:
        return give(loop, bytes, got) > 0 && give_to(loop, &loop->second, bytes, got) > 0;
    case D_OTHER_ALL:
        memcpy(loop->other->at, bytes, got);
        return give(loop, loop->other->at, got) > 0;
    case D_SPARSE:
        if (loop->round % (uint32_t)(2 + loop->op->a[9] % 5) == 1)
            return seek_over(loop, got);
        break;
    case D_MAPPED:
    case D_MAPPED_OTHER:
        return give(loop, in_view(loop, bytes, got), got) > 0;
    default:
        break;
    }
    return give(loop, bytes, got) > 0;
}

static bool deviates_once(int deviation)
{
    return deviation == D_FLIP || deviation == D_LOOK || deviation == D_TOUCH || deviation == D_OTHER_BUFFER ||
           deviation == D_PART || deviation == D_GAP || deviation == D_SKIP || deviation == D_PWRITE ||
           deviation == D_DUP || deviation == D_REREAD || deviation == D_SHIFT || deviation == D_STRAY ||
           deviation == D_SIGNAL || deviation == D_PROTECT || deviation == D_NOACCESS || deviation == D_APPENDFLAG ||
           deviation == D_SEEKOVER;
}

/* Two halves of the buffer by turns: the write is one read behind. */
static bool step_lagging(struct loop *loop, size_t want)
{
    unsigned char *bytes = loop->buffer->at + loop->half * loop->chunk;
    unsigned char *before = loop->buffer->at + (1 - loop->half) * loop->chunk;
    ssize_t got = take(loop, bytes, want);
    bool wrote = loop->held == 0 || give(loop, before, loop->held) > 0;
    loop->held = got > 0 ? (size_t)got : 0;
    loop->half = 1 - loop->half;
    loop->left -= got > 0 ? got : 0;
    return got > 0 && wrote;
}

static bool step_joining(struct loop *loop, size_t want)
{
    ssize_t got = take(loop, loop->buffer->at + loop->held, want);
    loop->held += got > 0 ? (size_t)got : 0;
    loop->left -= got > 0 ? got : 0;
    bool wrote = true;
    if (loop->held > 0 && (got <= 0 || loop->round % 2 == 1 || loop->left <= 0)) {
        wrote = give(loop, loop->buffer->at, loop->held) > 0;
        loop->held = 0;
    }
    return got > 0 && wrote;
}

static bool step_plain(struct loop *loop, size_t want)
{
    if (loop->op->a[7] == D_FREE)
        buffer_renew(loop->buffer);
    unsigned char *bytes = loop->buffer->at;
    ssize_t got = take(loop, bytes, want);
    if (got <= 0)
        return false;
    loop->left -= got;
    if (!deviates_once(loop->op->a[7]))
        return write_round(loop, bytes, (size_t)got);
    if (!at_round(loop))
        return give(loop, bytes, (size_t)got) > 0;
    between(loop, bytes, (size_t)got);
    bool wrote = write_pieces(loop, bytes, (size_t)got);
    if (loop->op->a[7] == D_PROTECT || loop->op->a[7] == D_NOACCESS)
        protect_around(loop, PROT_READ | PROT_WRITE);
    return wrote || loop->op->a[7] == D_NOACCESS;
}

static bool step(struct loop *loop)
{
    if (loop->left <= 0 || loop->round >= MOST_ROUNDS)
        return false;
    size_t want = loop->left < (int64_t)loop->chunk ? (size_t)loop->left : loop->chunk;
    bool more = loop->op->a[7] == D_LAG    ? step_lagging(loop, want)
                : loop->op->a[7] == D_JOIN ? step_joining(loop, want)
                                           : step_plain(loop, want);
    loop->round++;
    return more;
}

static void open_end(struct end *end, int slot, int how)
{
    end->fd = world.slots[slot];
    end->how = how;
    end->stream = world.streams[slot];
    end->at = seek_raw(end->fd, 0, SEEK_CUR);
    if (end->at < 0)
        end->at = 0;
}

static bool start_writer(struct loop *loop)
{
    loop->writer.loop = loop;
    sem_init(&loop->writer.go, 0, 0);
    sem_init(&loop->writer.done, 0, 0);
    return pthread_create(&loop->writer.thread, NULL, writer_main, &loop->writer) == 0;
}

static void stop_writer(struct loop *loop)
{
    loop->writer.stop = true;
    sem_post(&loop->writer.go);
    pthread_join(loop->writer.thread, NULL);
}

/* All of the source, as far as it lasts: what is beyond its end is not written from there. */
static void open_view(struct loop *loop)
{
    struct stat status;
    if (fstat(loop->src.fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
        return;
    int kind = loop->op->a[7] == D_MAPPED ? MAP_SHARED : MAP_PRIVATE;
    int rights = loop->op->a[7] == D_MAPPED ? PROT_READ : PROT_READ | PROT_WRITE;
    unsigned char *view = mmap(NULL, (size_t)status.st_size, rights, kind, loop->src.fd, 0);
    if (view == MAP_FAILED)
        return;
    if (loop->op->a[7] == D_MAPPED_OTHER)
        view[loop->op->a[9] % status.st_size] ^= 0x11;
    loop->view = view;
    loop->view_size = (size_t)status.st_size;
}

static void open_loop(struct loop *loop, const struct op *op)
{
    *loop = (struct loop){.op = op, .buffer = buffer_of(op->a[2]), .other = buffer_of(op->a[10]), .left = op->a[4]};
    open_end(&loop->src, op->a[0], op->a[5]);
    open_end(&loop->dst, op->a[1], op->a[6]);
    open_end(&loop->second, op->a[11], W_WRITE);
    if (loop->left < 0)
        loop->left = 8 << 20;
    loop->chunk = (size_t)op->a[3];
    size_t room = op->a[7] == D_LAG || op->a[7] == D_JOIN ? loop->buffer->size / 2 : loop->buffer->size;
    if (op->a[7] == D_OTHER_ALL || op->a[7] == D_OTHER_BUFFER)
        room = loop->other->size < room ? loop->other->size : room;
    if (loop->chunk > room - 1)
        loop->chunk = room - 1;
    remember_shift(op->a[0], loop->src.at, loop->dst.at);
    if (op->a[7] == D_TWO)
        remember_shift(op->a[0], loop->src.at, loop->second.at);
    if (op->a[7] == D_MAPPED || op->a[7] == D_MAPPED_OTHER)
        open_view(loop);
}

/* A direct read may leave anything of the last block behind the bytes that it returns. */
static bool reads_directly(const struct loop *loop)
{
    return (raw3(SYS_fcntl, loop->src.fd, F_GETFL, 0) & O_DIRECT) != 0;
}

static void close_loop(struct loop *loop)
{
    if (loop->op->a[7] == D_LAG && loop->held)
        give(loop, loop->buffer->at + (1 - loop->half) * loop->chunk, loop->held);
    if (loop->op->a[7] == D_LOOKAFTER && !reads_directly(loop))
        note_full(N_HASH, (int64_t)loop->chunk, hash_bytes(loop->buffer->at, loop->chunk), 0);
    current_iteration = loop->round;
    errno = ERRNO_MARK;
    note_full(N_LOOP, loop->round, loop->rolling, 0);
    note(N_OFFSET_SRC, seek_raw(loop->src.fd, 0, SEEK_CUR));
    note(N_OFFSET_DST, seek_raw(loop->dst.fd, 0, SEEK_CUR));
    current_iteration = 0;
    if (loop->view)
        munmap((void *)(uintptr_t)loop->view, loop->view_size);
}

void perform_copy(const struct op *op)
{
    struct loop loop;
    open_loop(&loop, op);
    if (op->a[7] == D_THREAD && !start_writer(&loop))
        return;
    while (step(&loop)) {
    }
    if (op->a[7] == D_THREAD)
        stop_writer(&loop);
    close_loop(&loop);
}
