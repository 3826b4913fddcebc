/* Descriptors: opening, closing, duplicating, passing, seeking, single reads and writes. */
#include "../older.h"
#include "raw.h"
#include "world.h"

#include <aio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

extern int __close(int fd);
extern int __open(const char *path, int flags, ...);
extern int __open64_2(const char *path, int flags);

const char *name_of(int file)
{
    static char rooms[FILES][16];
    return file_name(&world.program, file, rooms[file]);
}

bool is_destination(int file)
{
    return file != F_SRC && file != F_SRC2;
}

void perform_mksource(const struct op *op)
{
    note(N_MAKE, source_make(AT_FDCWD, name_of(op->a[0]), op->a[1]));
}

/* A destination that is there already, with other bytes. */
void perform_mkdest(const struct op *op)
{
    unsigned char line[4096];
    int fd = open(name_of(op->a[0]), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    memset(line, 0xd5, sizeof line);
    for (int left = op->a[1]; left > 0; left -= (int)sizeof line)
        if (write(fd, line, left < (int)sizeof line ? (size_t)left : sizeof line) < 0)
            break;
    fchmod(fd, (mode_t)op->a[2]);
    note(N_MAKE, close(fd));
}

static void set_slot(int slot, int fd, int file)
{
    world.slots[slot] = fd;
    world.slot_files[slot] = file;
    world.streams[slot] = NULL;
}

/* The file gets its name once it is open, as a program's does that must not be seen half written. */
static int open_unnamed(const char *name, int flags)
{
    char unnamed[] = "new-XXXXXX";
    int fd = mkostemp(unnamed, flags & (O_APPEND | O_CLOEXEC | O_SYNC));
    int error = errno;
    if (fd >= 0 && TRY(N_NAME, rename(unnamed, name)) != 0)
        unlink(unnamed);
    errno = error;
    return fd;
}

static int open_by(int how, const char *name, int flags, mode_t mode)
{
    switch (how) {
    case 1:
        return openat(AT_FDCWD, name, flags, mode);
    case 2:
        return flags & O_CREAT ? creat(name, mode) : open(name, flags);
    case 3:
        return __open(name, flags, mode);
    case 4:
        return flags & (O_CREAT | O_TMPFILE) ? open(name, flags, mode) : __open64_2(name, flags);
    case 5:
        return (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
    case 6:
        return (int)raw4(SYS_openat, AT_FDCWD, (long)name, flags, (long)mode);
    case 7:
        return (flags & O_TMPFILE) == O_TMPFILE ? open(name, flags, mode) : open_unnamed(name, flags);
    default:
        return open(name, flags, mode);
    }
}

void perform_open(const struct op *op)
{
    bool unnamed = (op->a[2] & O_TMPFILE) == O_TMPFILE;
    const char *name = unnamed ? "." : name_of(op->a[1]);
    errno = ERRNO_MARK;
    int fd = open_by(op->a[4], name, op->a[2], (mode_t)op->a[3]);
    note(N_OPEN, fd);
    set_slot(op->a[0], fd, op->a[1]);
}

void perform_close(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    switch (op->a[1]) {
    case 1:
        TRY(N_CLOSE, syscall(SYS_close, fd));
        break;
    case 2:
        TRY(N_CLOSE, raw1(SYS_close, fd));
        break;
    case 3:
        TRY(N_CLOSE, __close(fd));
        break;
    case 4:
        TRY(N_CLOSE, fd < 0 ? -1 : close_range((unsigned)fd, (unsigned)fd, 0));
        break;
    default:
        TRY(N_CLOSE, close(fd));
        break;
    }
}

void perform_dup(const struct op *op)
{
    int from = world.slots[op->a[0]], target = op->a[3] >= 0 ? op->a[3] : world.slots[op->a[1]], fd;
    errno = ERRNO_MARK;
    switch (op->a[2]) {
    case 1:
        fd = dup2(from, target);
        break;
    case 2:
        fd = dup3(from, target, 0);
        break;
    case 3:
        fd = fcntl(from, F_DUPFD, target > 0 ? target : 0);
        break;
    case 4:
        fd = fcntl(from, F_DUPFD_CLOEXEC, target > 0 ? target : 0);
        break;
#ifdef SYS_dup2
    case 5:
        fd = (int)syscall(SYS_dup2, from, target);
        break;
#endif
    default:
        fd = dup(from);
        break;
    }
    note(N_DUP, fd);
    if (fd >= 0)
        set_slot(op->a[1], fd, world.slot_files[op->a[0]]);
}

void perform_swap(const struct op *op)
{
    int *a = &world.slots[op->a[0]], *b = &world.slots[op->a[1]], spare = dup(*a);
    note(N_DUP, spare);
    TRY(N_DUP, dup2(*b, *a));
    TRY(N_DUP, dup2(spare, *b));
    close(spare);
    int file = world.slot_files[op->a[0]];
    world.slot_files[op->a[0]] = world.slot_files[op->a[1]];
    world.slot_files[op->a[1]] = file;
}

void perform_closerange(const struct op *op)
{
    unsigned first = (unsigned)op->a[0], last = op->a[1] < 0 ? ~0u : (unsigned)op->a[1];
    switch (op->a[2]) {
    case 1:
        closefrom((int)first);
        note(N_CLOSE, 0);
        break;
    case 2:
        TRY(N_CLOSE, close_range(first, last, CLOSE_RANGE_CLOEXEC));
        break;
    case 3:
        for (unsigned fd = first; fd < 1100; fd++)
            close((int)fd);
        break;
    default:
        TRY(N_CLOSE, close_range(first, last, 0));
        break;
    }
}

static bool send_and_receive(const int ends[2], struct msghdr *message)
{
    return sendmsg(ends[0], message, 0) == 1 && recvmsg(ends[1], message, 0) == 1;
}

static bool send_and_receive_many(const int ends[2], struct msghdr *message)
{
    struct mmsghdr many = {.msg_hdr = *message};
    bool passed = sendmmsg(ends[0], &many, 1, 0) == 1 && recvmmsg(ends[1], &many, 1, 0, NULL) == 1;
    *message = many.msg_hdr;
    return passed;
}

static int pass_by_socket(int fd, bool many)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    int ends[2], got = -1;
    memset(&control, 0, sizeof control);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    if ((many ? send_and_receive_many : send_and_receive)(ends, &message) && (head = CMSG_FIRSTHDR(&message)))
        memcpy(&got, CMSG_DATA(head), sizeof got);
    close(ends[0]);
    close(ends[1]);
    return got;
}

static int pass_by_pidfd(int fd)
{
    int self = pidfd_open(getpid(), 0), got = pidfd_getfd(self, fd, 0);
    int error = errno;
    close(self);
    errno = error;
    return got;
}

void perform_pass(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    errno = ERRNO_MARK;
    fd = op->a[2] ? pass_by_pidfd(fd) : pass_by_socket(fd, op->a[3]);
    note(N_PASS, fd);
    if (fd >= 0)
        set_slot(op->a[1], fd, world.slot_files[op->a[0]]);
}

off_t seek_raw(int fd, off_t offset, int whence)
{
    return (off_t)raw3(SYS_lseek, fd, offset, whence);
}

static off_t seek_by(int how, int fd, off_t offset, int whence)
{
    switch (how) {
    case 1:
        return (off_t)syscall(SYS_lseek, fd, offset, whence);
    case 2:
        return seek_raw(fd, offset, whence);
    case 3:
        return lseek64(fd, offset, whence);
    default:
        return lseek(fd, offset, whence);
    }
}

void perform_seek(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    /* Where holes are is the file system's affair: then only the call is made, and its effect on
     * the offset undone. */
    if (op->a[4]) {
        off_t here = seek_raw(fd, 0, SEEK_CUR);
        seek_by(op->a[3], fd, op->a[1], op->a[2]);
        seek_raw(fd, here, SEEK_SET);
        return;
    }
    TRY(N_OFFSET, seek_by(op->a[3], fd, op->a[1], op->a[2]));
}

/* XFS refuses a direct write from an address that the disk cannot take, or one that appends within a
 * sector, but makes a buffered one of it where the file has ever shared extents. Such writes are not
 * made at all. */
bool refused_by_direct(int fd, const void *bytes)
{
    enum { SECTOR = 512 };
    struct stat about;
    if (!world.direct)
        return false;
    long flags = raw3(SYS_fcntl, fd, F_GETFL, 0);
    if (flags < 0 || !(flags & O_DIRECT))
        return false;
    bool appends = flags & O_APPEND && fstat(fd, &about) == 0 && about.st_size % SECTOR;
    if ((uintptr_t)bytes % SECTOR == 0 && !appends)
        return false;
    errno = EINVAL;
    return true;
}

ssize_t write_raw(int fd, const void *bytes, size_t count)
{
    long result = raw3(SYS_write, fd, (long)bytes, (long)count);
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

ssize_t read_raw(int fd, void *bytes, size_t count)
{
    long result = raw3(SYS_read, fd, (long)bytes, (long)count);
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

/* In glibc a thread makes the write, and a child of fork, which has no such thread, waits for it for ever. */
static ssize_t write_by_aio(int fd, void *bytes, size_t count, off_t at)
{
    static pid_t owner;
    if (!owner)
        owner = getpid();
    if (owner != getpid())
        return pwrite(fd, bytes, count, at);
    struct aiocb request = {.aio_fildes = fd, .aio_buf = bytes, .aio_nbytes = count, .aio_offset = at};
    const struct aiocb *const list[] = {&request};
    if (aio_write(&request) != 0)
        return -1;
    while (aio_error(&request) == EINPROGRESS)
        aio_suspend(list, 1, NULL);
    errno = aio_error(&request) ? aio_error(&request) : ERRNO_MARK;
    return aio_return(&request);
}

/* Bytes that come from no source. */
void perform_write(const struct op *op)
{
    static unsigned char bytes[70000];
    int fd = world.slots[op->a[0]];
    off_t at = op->a[1];
    size_t count = (size_t)op->a[2] > sizeof bytes ? sizeof bytes : (size_t)op->a[2];
    memset(bytes, op->a[3], count);
    if (world.foreign && at >= 0 && is_destination(world.slot_files[op->a[0]])) {
        at = shared->progress > op->a[2] ? at % (off_t)(shared->progress - op->a[2]) : 0;
        count = shared->progress < (int64_t)count ? (size_t)shared->progress : count;
    }
    if (refused_by_direct(fd, bytes))
        return;
    if (at >= 0 && op->a[5] == 0 && !world.timer)
        TRY(N_WRITE, write_by_aio(fd, bytes, count, at));
    else if (at >= 0)
        TRY(N_WRITE, pwrite(fd, bytes, count, at));
    else if (op->a[4] == 1)
        TRY(N_WRITE, syscall(SYS_write, fd, bytes, count));
    else if (op->a[4] == 2)
        TRY(N_WRITE, write_raw(fd, bytes, count));
    else
        TRY(N_WRITE, write(fd, bytes, count));
}

static void hash_descriptor(int fd, off_t from, size_t limit)
{
    static unsigned char room[1 << 16] __attribute__((aligned(4096)));
    uint64_t hash = 0;
    size_t total = 0;
    /* A direct read that the disk cannot take is refused where there is data, and made where there is a hole; a copy
     * of a file with holes may have one where a written copy has zeros. */
    if (refused_by_direct(fd, room + ((size_t)from | limit) % 512))
        return;
    while (total < limit) {
        size_t want = limit - total < sizeof room ? limit - total : sizeof room;
        ssize_t got = pread(fd, room, want, from + (off_t)total);
        if (got <= 0)
            break;
        hash = hash * 31 + hash_bytes(room, (size_t)got);
        total += (size_t)got;
        if (total % sizeof room != 0)
            break;
    }
    note_full(N_HASH, (int64_t)total, hash, 0);
}

static void hash_mapping(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    unsigned char *at = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    note_full(N_HASH, size, at == MAP_FAILED ? 0 : hash_bytes(at, (size_t)size), 0);
    if (at != MAP_FAILED)
        munmap(at, (size_t)size);
}

void perform_read(const struct op *op)
{
    int file = op->a[1];
    size_t limit = op->a[4] < 0 ? (size_t)64 << 20 : (size_t)op->a[4];
    /* While the copy runs another process is promised only the bytes that the program has written.
     */
    if (world.foreign && is_destination(file) && limit > (size_t)shared->progress)
        limit = (size_t)shared->progress;
    if (op->a[2] == 0) {
        hash_descriptor(world.slots[op->a[0]], op->a[3], limit);
        return;
    }
    int fd = open(name_of(file), O_RDONLY);
    note(N_OPEN, fd);
    if (fd < 0)
        return;
    if (op->a[2] == 2 && !world.foreign)
        hash_mapping(fd);
    else
        hash_descriptor(fd, op->a[3], limit);
    close(fd);
}
