/*
 * calls NAME COUNT FILE   makes one call (or a few) COUNT times, as a program does that copies nothing; or, as
 *                         copy-a-block, one that copies
 * calls --list            prints each NAME and how many hooked calls one turn of it makes
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char buffer[4096];
static int regular, other, null, zero, ends[2];
static FILE *source, *sink;

static int read_device(void)
{
    return read(zero, buffer, 64) == 64;
}

static int write_device(void)
{
    return write(null, buffer, 64) == 64;
}

static int through_pipe(void)
{
    return write(ends[1], buffer, 64) == 64 && read(ends[0], buffer, 64) == 64;
}

static int read_file(void)
{
    return read(regular, buffer, 64) >= 0;
}

static int write_file(void)
{
    return write(other, buffer, 64) == 64;
}

/* What grep and wc do: a file in, a few bytes out. */
static int read_file_write_device(void)
{
    return read(regular, buffer, 4096) >= 0 && write(null, "line\n", 5) == 5;
}

/* What a filter does: as many bytes in as out, but others. */
static int change_in_place(void)
{
    if (lseek(regular, 0, SEEK_SET) != 0 || read(regular, buffer, 4096) != 4096)
        return 0;
    for (int i = 0; i < 4096; i += 512)
        buffer[i] ^= 1;
    return write(other, buffer, 4096) == 4096;
}

/* What a copy does. */
static int copy_a_block(void)
{
    return read(regular, buffer, 4096) == 4096 && write(other, buffer, 4096) == 4096;
}

/* What sed does: a file in, other lines out. */
static int read_file_write_file(void)
{
    return read(regular, buffer, 4096) >= 0 && write(other, "another line\n", 13) == 13;
}

static int seek(void)
{
    return lseek(regular, 0, SEEK_SET) == 0;
}

static int seek_and_read(void)
{
    return lseek(regular, 0, SEEK_SET) == 0 && read(regular, buffer, 4096) == 4096;
}

static int pread_file(void)
{
    return pread(regular, buffer, 64, 128) == 64;
}

static int pwrite_file(void)
{
    return pwrite(other, buffer, 64, 128) == 64;
}

static int vectors(void)
{
    struct iovec parts[2] = {{buffer, 32}, {buffer + 32, 32}};

    return readv(zero, parts, 2) == 64 && writev(null, parts, 2) == 64;
}

static int open_and_close(void)
{
    int fd = open("/dev/null", O_RDONLY);

    return fd >= 0 && close(fd) == 0;
}

static int duplicate_and_close(void)
{
    int fd = dup(null);

    return fd >= 0 && close(fd) == 0;
}

static int status(void)
{
    struct stat about;

    return fstat(regular, &about) == 0;
}

static int truncate_file(void)
{
    return ftruncate(other, 0) == 0;
}

static int fread_byte(void)
{
    return fread(buffer, 1, 1, source) == 1;
}

static int fwrite_byte(void)
{
    return fwrite(buffer, 1, 1, sink) == 1;
}

/* Each is written, to a device. */
static int fwrite_block(void)
{
    return fwrite(buffer, 1, sizeof(buffer), sink) == sizeof(buffer);
}

static int fread_block(void)
{
    return fread(buffer, 1, 512, source) > 0 || fseek(source, 0, SEEK_SET) == 0;
}

/* All that the stream has read ahead, each time: what is read is what lies before the descriptor's offset. */
static int fread_buffer(void)
{
    return fread(buffer, 1, sizeof(buffer), source) == sizeof(buffer) || fseek(source, 0, SEEK_SET) == 0;
}

/* In place of a number: not of a program that copies nothing, and not listed. */
enum { IS_A_COPY = 0 };

static const struct turn {
    const char *name;
    int hooked_calls;
    int (*make)(void);
} turns[] = {
    {"read-device", 1, read_device},
    {"write-device", 1, write_device},
    {"through-pipe", 2, through_pipe},
    {"read-file", 1, read_file},
    {"write-file", 1, write_file},
    {"read-file-write-device", 2, read_file_write_device},
    {"read-file-write-file", 2, read_file_write_file},
    {"change-in-place", 3, change_in_place},
    {"seek", 1, seek},
    {"seek-and-read", 2, seek_and_read},
    {"pread-file", 1, pread_file},
    {"pwrite-file", 1, pwrite_file},
    {"vectors", 2, vectors},
    {"open-and-close", 2, open_and_close},
    {"duplicate-and-close", 2, duplicate_and_close},
    {"status", 1, status},
    {"truncate-file", 1, truncate_file},
    {"fread-byte", 1, fread_byte},
    {"fread-block", 1, fread_block},
    {"fread-buffer", 1, fread_buffer},
    {"fwrite-byte", 1, fwrite_byte},
    {"fwrite-block", 1, fwrite_block},
    {"copy-a-block", IS_A_COPY, copy_a_block},
};

enum { TURNS = sizeof(turns) / sizeof(turns[0]) };

static void list(void)
{
    for (int i = 0; i < TURNS; i++)
        if (turns[i].hooked_calls != IS_A_COPY)
            printf("%s %d\n", turns[i].name, turns[i].hooked_calls);
}

static const struct turn *find(const char *name)
{
    for (int i = 0; i < TURNS; i++)
        if (strcmp(turns[i].name, name) == 0)
            return &turns[i];
    fprintf(stderr, "calls: no turn is called %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    const struct turn *turn;
    char written[4096];

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list();
        return 0;
    }
    if (argc != 4) {
        fprintf(stderr, "usage: calls NAME COUNT FILE\n");
        return 2;
    }
    turn = find(argv[1]);
    snprintf(written, sizeof(written), "%s.written", argv[3]);
    regular = open(argv[3], O_RDONLY);
    other = open(written, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    null = open("/dev/null", O_WRONLY);
    zero = open("/dev/zero", O_RDONLY);
    source = fopen(argv[3], "r");
    sink = fopen("/dev/null", "w");
    if (regular < 0 || other < 0 || null < 0 || zero < 0 || !source || !sink || pipe(ends) < 0) {
        perror("calls");
        return 2;
    }
    /* The witness's mark in a trace: what is before it belongs to the start. */
    if (access("/the-calls-begin-here", F_OK) == 0)
        return 2;
    for (long count = atol(argv[2]); count > 0; count--) {
        if (!turn->make()) {
            perror(turn->name);
            return 1;
        }
    }
    return 0;
}
