/* What a program asks and sets about its files besides their bytes. */
#include "raw.h"
#include "world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <utime.h>

enum { PAGE = 4096 };

static int statx_into(int dirfd, const char *path, int flags, struct stat *status)
{
    struct statx answer;
    int result = statx(dirfd, path, flags, STATX_BASIC_STATS, &answer);
    if (result == 0) {
        status->st_size = (off_t)answer.stx_size;
        status->st_mode = answer.stx_mode;
        status->st_nlink = answer.stx_nlink;
        status->st_uid = answer.stx_uid;
        status->st_gid = answer.stx_gid;
        status->st_mtime = answer.stx_mtime.tv_sec;
    }
    return result;
}

static int stat_by(int how, int fd, const char *path, struct stat *status)
{
    switch (how) {
    case 1:
        return stat(path, status);
    case 2:
        return lstat(path, status);
    case 3:
        return statx_into(AT_FDCWD, path, 0, status);
    case 4:
        return statx_into(fd, "", AT_EMPTY_PATH, status);
    case 5:
        return fstatat(AT_FDCWD, path, status, 0);
    case 6:
        return fstatat(fd, "", status, AT_EMPTY_PATH);
#ifdef SYS_fstat
    case 7:
        return (int)syscall(SYS_fstat, fd, status);
#endif
    case 8:
        return fstat64(fd, (struct stat64 *)status);
    default:
        return fstat(fd, status);
    }
}

void perform_stat(const struct op *op)
{
    struct stat status;
    int file = op->a[1];
    memset(&status, 0, sizeof status);
    if (TRY(N_STAT, stat_by(op->a[2], world.slots[op->a[0]], name_of(file), &status)) != 0)
        return;
    bool loose = world.foreign && is_destination(file);
    note_full(N_SIZE, status.st_size, 0, loose ? AT_LEAST : 0);
    note(N_MODE, (int64_t)status.st_mode);
    note(N_LINKS, (int64_t)status.st_nlink);
    note(N_OWNER, (int64_t)status.st_uid << 32 | (int64_t)status.st_gid);
    /* Only a time that the program set itself is the same in every run. */
    note(N_TIME, status.st_mtime < ANCIENT + 100 ? (int64_t)status.st_mtime : 0);
}

static int resize_by(const struct op *op, int fd, const char *path, off_t from, off_t length)
{
    static const int modes[] = {0,
                                FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_COLLAPSE_RANGE,
                                FALLOC_FL_INSERT_RANGE};
    switch (op->a[2]) {
    case 0:
        return ftruncate(fd, from);
    case 1:
        return truncate(path, from);
    case 2:
        return posix_fallocate(fd, from, length);
    case 3:
        return (int)syscall(SYS_ftruncate, fd, from);
    default:
        return fallocate(fd, modes[op->a[2] - 4], from, length);
    }
}

void perform_resize(const struct op *op)
{
    off_t from = op->a[3];
    if (world.foreign && is_destination(op->a[1]))
        from = shared->progress > 0 ? from % (off_t)shared->progress : 0;
    TRY(N_RESIZE, resize_by(op, world.slots[op->a[0]], name_of(op->a[1]), from, op->a[4]));
}

void perform_map(const struct op *op)
{
    struct mapping *map = &world.maps[op->a[0]];
    if (map->at)
        munmap(map->at, map->size);
    int rights = op->a[4] ? PROT_READ | PROT_WRITE : PROT_READ;
    map->size = (size_t)op->a[2];
    map->writable = op->a[4] != 0;
    errno = ERRNO_MARK;
    map->at = mmap(NULL, map->size, rights, op->a[3] ? MAP_SHARED : MAP_PRIVATE, world.slots[op->a[1]], 0);
    note(N_MAP, map->at != MAP_FAILED);
    if (map->at == MAP_FAILED)
        map->at = NULL;
}

static sigjmp_buf beyond_end;

static void on_bus(int signal)
{
    (void)signal;
    siglongjmp(beyond_end, 1);
}

/* Looks at a mapping page by page: where it ends in SIGBUS is the end of the file. */
static void hash_pages(const struct mapping *map, size_t from, size_t count)
{
    struct sigaction action = {.sa_handler = on_bus}, before;
    volatile size_t done = 0;
    volatile uint64_t hash = 0;
    sigaction(SIGBUS, &action, &before);
    if (sigsetjmp(beyond_end, 1) == 0)
        for (; done < count; done += PAGE)
            hash = hash * 31 + hash_bytes(map->at + from + done, PAGE);
    sigaction(SIGBUS, &before, NULL);
    note_full(N_MAP, (int64_t)done, hash, 0);
}

static void store_byte(const struct mapping *map, size_t at, int value)
{
    struct sigaction action = {.sa_handler = on_bus}, before;
    sigaction(SIGBUS, &action, &before);
    if (sigsetjmp(beyond_end, 1) == 0)
        ((volatile unsigned char *)map->at)[at] = (unsigned char)value;
    sigaction(SIGBUS, &before, NULL);
}

void perform_mapuse(const struct op *op)
{
    const struct mapping *map = &world.maps[op->a[0]];
    if (!map->at)
        return;
    size_t from = (size_t)op->a[2] % map->size / PAGE * PAGE, count = (size_t)op->a[3] / PAGE * PAGE;
    if (from + count > map->size)
        count = (map->size - from) / PAGE * PAGE;
    if (op->a[1] == 0)
        hash_pages(map, from, count);
    else if (op->a[1] == 1 && map->writable)
        store_byte(map, (size_t)op->a[2] % map->size, op->a[4]);
    else if (op->a[1] == 2)
        TRY(N_WRITE, write(world.slots[op->a[5]], map->at + from, count));
    else if (op->a[1] == 3)
        TRY(N_MAP, msync(map->at, map->size, MS_SYNC));
}

void perform_unmap(const struct op *op)
{
    struct mapping *map = &world.maps[op->a[0]];
    if (map->at)
        TRY(N_MAP, munmap(map->at, map->size));
    map->at = NULL;
}

static int set_mode(int way, const char *path, mode_t mode)
{
    return way % 2 ? fchmodat(AT_FDCWD, path, mode, 0) : chmod(path, mode);
}

static int set_owner(int way, int fd, const char *path, uid_t owner)
{
    switch (way) {
    case 0:
        return chown(path, owner, owner);
    case 1:
        return lchown(path, owner, owner);
    case 2:
        return fchownat(AT_FDCWD, path, owner, owner, 0);
    default:
        return fchown(fd, owner, owner);
    }
}

static int set_times_of_open(int way, int fd, time_t when)
{
    struct timespec times[2] = {{when, 0}, {when, 0}};
    struct timeval values[2] = {{when, 0}, {when, 0}};
    return way % 4 == 0 ? futimes(fd, values) : futimens(fd, times);
}

static int set_times(int way, const char *path, time_t when)
{
    struct timespec times[2] = {{when, 0}, {when, 0}};
    struct timeval values[2] = {{when, 0}, {when, 0}};
    struct utimbuf both = {when, when};
    switch (way) {
    case 0:
        return utime(path, &both);
    case 1:
        return utimes(path, values);
    case 2:
        return lutimes(path, values);
    case 3:
        return futimesat(AT_FDCWD, path, values);
    default:
        return utimensat(AT_FDCWD, path, times, 0);
    }
}

static int remove_mark(int way, int fd, const char *path)
{
    switch (way) {
    case 0:
        return removexattr(path, "user.mark");
    case 1:
        return lremovexattr(path, "user.mark");
    default:
        return fremovexattr(fd, "user.mark");
    }
}

static int set_mark(int way, const char *path, int value)
{
    return (way % 2 ? lsetxattr : setxattr)(path, "user.mark", &value, sizeof value, 0);
}

void perform_meta(const struct op *op)
{
    int fd = world.slots[op->a[0]], value = op->a[3], way = op->a[4];
    const char *path = name_of(op->a[1]);
    time_t when = ANCIENT + value % 50;
    switch (op->a[2]) {
    case 0:
        TRY(N_META, fchmod(fd, (mode_t)value));
        break;
    case 1:
        TRY(N_META, set_mode(way, path, (mode_t)value));
        break;
    case 2:
        TRY(N_META, set_owner(way, fd, path, (uid_t)value));
        break;
    case 3:
        TRY(N_META, set_times_of_open(way, fd, when));
        break;
    case 4:
        TRY(N_META, set_times(way, path, when));
        break;
    case 5:
        TRY(N_META, fsetxattr(fd, "user.mark", &value, sizeof value, 0));
        break;
    case 6:
        TRY(N_META, set_mark(way, path, value));
        break;
    default:
        TRY(N_META, remove_mark(way, fd, path));
        break;
    }
}

static int link_descriptor(int fd, const char *to)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
}

void perform_name(const struct op *op)
{
    const char *from = name_of(op->a[1]), *to = name_of(op->a[2]);
    switch (op->a[0]) {
    case 0:
        TRY(N_NAME, rename(from, to));
        break;
    case 1:
        TRY(N_NAME, link(from, to));
        break;
    case 2:
        TRY(N_NAME, unlink(from));
        break;
    case 3:
        TRY(N_NAME, symlink(from, to));
        break;
    case 4:
        TRY(N_NAME, link_descriptor(world.slots[op->a[3]], to));
        break;
    default:
        TRY(N_NAME, renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE));
        break;
    }
}

void perform_setfl(const struct op *op)
{
    int fd = world.slots[op->a[0]], flags = fcntl(fd, F_GETFL);
    note(N_FLAGS, flags);
    TRY(N_FLAGS, fcntl(fd, F_SETFL, op->a[2] ? flags | op->a[1] : flags & ~op->a[1]));
    note(N_FLAGS, fcntl(fd, F_GETFL));
}

void perform_sync(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    switch (op->a[1]) {
    case 0:
        TRY(N_SYNC, fdatasync(fd));
        break;
    case 1:
        TRY(N_SYNC, fsync(fd));
        break;
    case 2:
        TRY(N_SYNC, sync_file_range(fd, 0, 65536, SYNC_FILE_RANGE_WRITE));
        break;
    case 3:
        TRY(N_SYNC, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
        break;
    case 4:
        TRY(N_SYNC, posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
        break;
    default:
        TRY(N_SYNC, readahead(fd, 0, 65536));
        break;
    }
}

void perform_lock(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    struct flock lock = {.l_type = (short)op->a[2], .l_whence = SEEK_SET, .l_start = op->a[3], .l_len = 100};
    switch (op->a[1]) {
    case 1:
        TRY(N_LOCK, fcntl(fd, F_OFD_SETLK, &lock));
        break;
    case 2:
        TRY(N_LOCK, flock(fd, (op->a[2] == F_UNLCK ? LOCK_UN : op->a[2] == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB));
        break;
    default:
        if (op->a[4])
            TRY(N_LOCK, lockf(fd, op->a[2] == F_UNLCK ? F_ULOCK : F_TLOCK, 100));
        else
            TRY(N_LOCK, fcntl(fd, F_SETLK, &lock));
        break;
    }
}

static void probe_locks(int file)
{
    int fd = open(name_of(file), O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    note(N_OPEN, fd);
    TRY(N_LOCK, fcntl(fd, F_GETLK, &lock));
    note(N_LOCK, lock.l_type);
    note(N_LOCK, lock.l_start);
    TRY(N_LOCK, flock(fd, LOCK_EX | LOCK_NB));
}

/* A process is never told of its own locks, so that another one asks. */
void perform_probe(const struct op *op)
{
    if (world.foreign) {
        probe_locks(op->a[0]);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        probe_locks(op->a[0]);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    note(N_CHILD, status);
}

/* A write lease is granted only to the one descriptor of a file, a read lease only while nobody
 * writes. */
void perform_lease(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    signal(SIGIO, SIG_IGN);
    TRY(N_LEASE, fcntl(fd, F_SETLEASE, op->a[1]));
    note(N_LEASE, fcntl(fd, F_GETLEASE));
    TRY(N_LEASE, fcntl(fd, F_SETLEASE, F_UNLCK));
}

static void on_file_size(int signal)
{
    int error = errno;
    note(N_HANDLER, signal);
    errno = error;
}

void perform_limit(const struct op *op)
{
    struct rlimit limit = {(rlim_t)op->a[1], RLIM_INFINITY};
    int resource = op->a[0] ? RLIMIT_NOFILE : RLIMIT_FSIZE;
    getrlimit(resource, &limit);
    limit.rlim_cur = op->a[1] < 0 ? limit.rlim_max : (rlim_t)op->a[1];
    if (!op->a[0])
        signal(SIGXFSZ, op->a[2] == 0 ? SIG_DFL : op->a[2] == 1 ? SIG_IGN : on_file_size);
    TRY(N_LIMIT, op->a[3] ? prlimit(0, resource, &limit, NULL) : setrlimit(resource, &limit));
}

void perform_numbers(const struct op *op)
{
    (void)op;
    uint64_t used = 0, closing = 0;
    for (int fd = 0; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFD);
        used |= flags >= 0 ? (uint64_t)1 << fd : 0;
        closing |= flags > 0 ? (uint64_t)1 << fd : 0;
    }
    note_full(N_NUMBERS, (int64_t)used, closing, 0);
}
