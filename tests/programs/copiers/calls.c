/*
 * calls WAY SOURCE DESTINATION: copies by one of the kernel's calls that few programs of the survey use, in pieces of
 * 128 KiB.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BLOCK = 131072 };

static char buffer[BLOCK] __attribute__((aligned(4096)));
static off_t at;

static ssize_t by_pread(int from, int to)
{
    ssize_t n = pread(from, buffer, BLOCK, at);

    return n > 0 ? pwrite(to, buffer, (size_t)n, at) : n;
}

static ssize_t by_readv(int from, int to)
{
    struct iovec parts[2] = {{buffer, BLOCK / 2}, {buffer + BLOCK / 2, BLOCK / 2}};
    ssize_t n = readv(from, parts, 2);

    return n > 0 ? write(to, buffer, (size_t)n) : n;
}

static ssize_t by_writev(int from, int to)
{
    ssize_t n = read(from, buffer, BLOCK);
    struct iovec parts[2] = {{buffer, 0}, {buffer, n > 0 ? (size_t)n : 0}};

    return n > 0 ? writev(to, parts, 2) : n;
}

static ssize_t by_preadv2(int from, int to)
{
    struct iovec part = {buffer, BLOCK};
    ssize_t n = preadv2(from, &part, 1, at, 0);

    part.iov_len = n > 0 ? (size_t)n : 0;
    return n > 0 ? pwritev2(to, &part, 1, at, 0) : n;
}

static ssize_t by_copy_file_range(int from, int to)
{
    return copy_file_range(from, NULL, to, NULL, BLOCK, 0);
}

static ssize_t by_number(int from, int to)
{
    return syscall(SYS_copy_file_range, from, NULL, to, NULL, BLOCK, 0);
}

static ssize_t by_splice(int from, int to)
{
    static int ends[2];
    ssize_t n, done = 0;

    if (!ends[1] && pipe(ends) < 0)
        return -1;
    n = splice(from, NULL, ends[1], NULL, 65536, 0);
    while (done < n) {
        ssize_t part = splice(ends[0], NULL, to, NULL, (size_t)(n - done), 0);

        if (part <= 0)
            return -1;
        done += part;
    }
    return n;
}

static const struct way {
    const char *name;
    ssize_t (*copy)(int from, int to);
} ways[] = {
    {"pread", by_pread},
    {"readv", by_readv},
    {"writev", by_writev},
    {"preadv2", by_preadv2},
    {"copy_file_range", by_copy_file_range},
    {"syscall", by_number},
    {"splice", by_splice},
};

int main(int argc, char **argv)
{
    int from = argc == 4 ? open(argv[2], O_RDONLY) : -1;
    int to = from < 0 ? -1 : open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ssize_t n = -1;

    for (size_t i = 0; to >= 0 && i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(argv[1], ways[i].name) == 0)
            while ((n = ways[i].copy(from, to)) > 0)
                at += n;
    return n != 0;
}
