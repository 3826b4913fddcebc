/* A library that does one thing wrong, named in TRANSPARENCY_MUTANT: each must be caught. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum fault { NOTHING, ERRNO, SIZE, DROP, AHEAD, LONGER, OFFSET, NUMBER, LOCK, MTIME, FUTURE, STALE, HANG, FAULTS };

static const char *const names[FAULTS] = {"nothing", "errno", "size",  "drop",   "ahead", "longer", "offset",
                                          "number",  "lock",  "mtime", "future", "stale", "hang"};
static enum fault fault;
static unsigned writes;
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_read)(int, void *, size_t);
static int (*real_close)(int);
static int (*real_open)(const char *, int, ...);
static int (*real_fstat)(int, struct stat *);

__attribute__((constructor)) static void choose(void)
{
    const char *name = getenv("TRANSPARENCY_MUTANT");
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_read = dlsym(RTLD_NEXT, "read");
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    *(void **)&real_open = dlsym(RTLD_NEXT, "open");
    *(void **)&real_fstat = dlsym(RTLD_NEXT, "fstat");
    for (int i = 0; name && i < FAULTS; i++)
        if (strcmp(name, names[i]) == 0)
            fault = (enum fault)i;
}

static int is_file(int fd)
{
    struct stat status;
    return real_fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* A copy that is believed to be one because its length and place look so: its bytes are not asked
 * for. */
static ssize_t drop_last_byte(int fd, const void *bytes, size_t count)
{
    char *copy = count ? malloc(count) : NULL;
    if (!copy)
        return real_write(fd, bytes, count);
    memcpy(copy, bytes, count);
    copy[count - 1] = 0;
    ssize_t put = real_write(fd, copy, count);
    free(copy);
    return put;
}

static void reopen_and_close(int fd)
{
    char path[64];
    strcpy(path, "/proc/self/fd/0");
    path[14] = (char)('0' + fd);
    int again = fd < 10 ? real_open(path, O_RDONLY) : -1;
    if (again >= 0)
        real_close(again);
}

static void set_modified(int fd, struct timespec when)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, when};
    futimens(fd, times);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    off_t end;
    if (fault == NOTHING || ++writes % 3 != 0 || !is_file(fd))
        return real_write(fd, bytes, count);
    ssize_t put = fault == DROP ? drop_last_byte(fd, bytes, count) : real_write(fd, bytes, count);
    int error = errno;
    switch (fault) {
    case ERRNO:
        error = EXDEV;
        break;
    case AHEAD:
        if (pwrite(fd, "beyond", 6, lseek(fd, 0, SEEK_END) + 4096) < 0)
            error = errno;
        break;
    case OFFSET:
        lseek(fd, 1, SEEK_CUR);
        break;
    case LOCK:
        reopen_and_close(fd);
        break;
    case HANG:
        if (writes % 60 == 0)
            pause();
        break;
    case NUMBER:
        if (writes == 3)
            dup(fd);
        break;
    case LONGER:
        end = lseek(fd, 0, SEEK_END);
        if (ftruncate(fd, end + 1) != 0)
            lseek(fd, end, SEEK_SET);
        break;
    default:
        break;
    }
    errno = error;
    return put;
}

ssize_t read(int fd, void *bytes, size_t count)
{
    ssize_t got = real_read(fd, bytes, count);
    if (fault == STALE && got > 4096 && is_file(fd))
        memset(bytes, 0, 4096);
    return got;
}

int close(int fd)
{
    if (fault == MTIME && is_file(fd))
        set_modified(fd, (struct timespec){0, UTIME_NOW});
    if (fault == FUTURE && is_file(fd))
        set_modified(fd, (struct timespec){2000000000, 0});
    return real_close(fd);
}

int fstat(int fd, struct stat *status)
{
    int result = real_fstat(fd, status);
    if (fault == SIZE && result == 0 && S_ISREG(status->st_mode) && status->st_size > 100000)
        status->st_size += 4096;
    return result;
}
