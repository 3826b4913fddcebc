#include "files.h"

#include "core/settings.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The library is off until its constructor, which is not part of this program, reads the settings. */
__attribute__((constructor)) static void turn_on(void)
{
    settings.off = false;
}

const char *files_directory(void)
{
    const char *set = getenv("TMPDIR");
    return set && *set ? set : "/tmp";
}

int file_new(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/offload-unit.XXXXXX", files_directory());
    int fd = mkostemp(path, O_CLOEXEC);
    cr_assert_geq(fd, 0, "no file can be made in %s", files_directory());
    unlink(path);
    return fd;
}

char file_byte(size_t at, unsigned seed)
{
    return (char)((at * 2654435761U + seed * 40503U) >> 13);
}

int file_filled(size_t n, unsigned seed)
{
    int fd = file_new();
    char *bytes = malloc(n);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = file_byte(i, seed);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    free(bytes);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

void file_tick(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
}

off_t file_size(int fd)
{
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    return st.st_size;
}

bool files_equal(int a, int b, size_t n)
{
    char *bytes = malloc(2 * n);
    bool equal = bytes && pread(a, bytes, n, 0) == (ssize_t)n && pread(b, bytes + n, n, 0) == (ssize_t)n &&
                 memcmp(bytes, bytes + n, n) == 0;
    free(bytes);
    return equal;
}

static int kept, caught;

void stderr_catch(void)
{
    caught = file_new();
    kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(caught, STDERR_FILENO);
}

const char *stderr_caught(void)
{
    static char text[4096];
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t n = pread(caught, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    close(caught);
    return text;
}
