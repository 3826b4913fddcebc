/*
 * call FOLDER ROUNDS WAY=LIBRARY...   times each kind of call in a process for each way, which has LIBRARY preloaded (or
 *                                     nothing), all of them in turn; prints a line "ROW, WAY, ROUND, SECONDS" for each
 * call --list                         prints each kind and size
 * call --once FOLDER KIND SIZE COUNT  makes COUNT turns of a kind, for who counts instructions
 *
 * A turn of KIND makes one call, or two where the name says so, of SIZE bytes on a file of FOLDER, a pipe or a socket.
 * A round's value is the middle one of BATCHES batches, which leaves out those that something else disturbed.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 15, MOST_WAYS = 8, FILE_BYTES = 1 << 20, SOURCE_BYTES = 64 << 20 };

static char *buffer;
static int regular, written, ends[2], sockets[2], source, copy = -1;
static FILE *stream;
static size_t at_read, at_written, at_copied;

static void fail(const char *what)
{
    fprintf(stderr, "call: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void expect(ssize_t n, size_t size, const char *what)
{
    if (n != (ssize_t)size)
        fail(what);
}

/* ---- kinds ------------------------------------------------------------------------------------------------ */

/* Back to the start where the next call would pass the end. */
static void stay_within(int fd, size_t *at, size_t size)
{
    if (*at + size > FILE_BYTES) {
        lseek(fd, 0, SEEK_SET);
        *at = 0;
    }
    *at += size;
}

static void read_file(size_t size)
{
    stay_within(regular, &at_read, size);
    expect(read(regular, buffer, size), size, "read");
}

static void write_file(size_t size)
{
    stay_within(written, &at_written, size);
    expect(write(written, buffer, size), size, "write");
}

static void pread_file(size_t size)
{
    expect(pread(regular, buffer, size, 0), size, "pread");
}

static void fread_file(size_t size)
{
    if (at_read + size > FILE_BYTES) {
        rewind(stream);
        at_read = 0;
    }
    at_read += size;
    expect((ssize_t)fread(buffer, 1, size, stream), size, "fread");
}

static void seek_file(size_t size)
{
    expect((ssize_t)lseek(regular, (off_t)size, SEEK_SET), size, "lseek");
}

static void status_of_file(size_t size)
{
    struct stat status;

    (void)size;
    expect(fstat(regular, &status), 0, "fstat");
}

static void through_pipe(size_t size)
{
    expect(write(ends[1], buffer, size), size, "write to a pipe");
    expect(read(ends[0], buffer, size), size, "read from a pipe");
}

static void through_socket(size_t size)
{
    expect(write(sockets[1], buffer, size), size, "write to a socket");
    expect(read(sockets[0], buffer, size), size, "read from a socket");
}

static void begin_copy(void)
{
    if (copy >= 0)
        close(copy);
    unlink("copied");
    copy = open("copied", O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (copy < 0 || lseek(source, 0, SEEK_SET) != 0)
        fail("copied");
    at_copied = 0;
}

static void copy_block(size_t size)
{
    if (copy < 0 || at_copied + size > SOURCE_BYTES)
        begin_copy();
    at_copied += size;
    expect(read(source, buffer, size), size, "read of a copy");
    expect(write(copy, buffer, size), size, "write of a copy");
}

static const struct kind {
    const char *name;
    void (*turn)(size_t size);
    size_t sizes[6];
} kinds[] = {
    {"read", read_file, {1, 4096, 65536, 1 << 20}},
    {"write", write_file, {1, 4096, 65536, 1 << 20}},
    {"pread", pread_file, {1, 4096, 65536, 1 << 20}},
    {"fread", fread_file, {1, 4096, 65536, 1 << 20}},
    {"lseek", seek_file, {1}},
    {"fstat", status_of_file, {1}},
    {"pipe-write-and-read", through_pipe, {1, 4096, 65536}},
    {"socket-write-and-read", through_socket, {1, 4096, 65536}},
    {"copy-read-and-write", copy_block, {4096, 131072, 1 << 20}},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    errno = EINVAL;
    fail(name);
    return NULL;
}

static int make_file(const char *name, size_t bytes)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

    /* No two blocks are the same. */
    for (size_t done = 0; fd >= 0 && done < bytes; done += FILE_BYTES) {
        for (size_t i = 0; i < FILE_BYTES; i += 512)
            memcpy(buffer + i, &(size_t){done + i}, sizeof(size_t));
        expect(write(fd, buffer, FILE_BYTES), FILE_BYTES, name);
    }
    if (fd < 0 || fsync(fd) < 0)
        fail(name);
    close(fd);
    return open(name, O_RDONLY | O_CLOEXEC);
}

/* Each process has a folder of its own, so that none sees what another one's library did to a file. */
static void set_up(const char *folder)
{
    char own[32];

    snprintf(own, sizeof(own), "call-%ld", (long)getpid());
    buffer = aligned_alloc(4096, FILE_BYTES);
    if (chdir(folder) < 0 || mkdir(own, 0700) < 0 || chdir(own) < 0 || !buffer)
        fail(folder);
    regular = make_file("file", FILE_BYTES);
    source = make_file("source", SOURCE_BYTES);
    stream = fopen("file", "r");
    written = open("written", O_WRONLY | O_CREAT, 0600);
    if (!stream || written < 0 || pipe(ends) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
        fail("set up");
}

/* ---- a process that is asked for batches -------------------------------------------------------------------- */

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void turns(const struct kind *kind, size_t size, long count)
{
    while (count-- > 0)
        kind->turn(size);
}

static void serve(const char *folder)
{
    char name[64];
    size_t size;
    long count;

    set_up(folder);
    at_read = FILE_BYTES;
    while (scanf("%63s %zu %ld", name, &size, &count) == 3) {
        const struct kind *kind = find(name);
        double began = now();

        turns(kind, size, count);
        printf("%.9f\n", (now() - began) / (double)count);
        fflush(stdout);
    }
}

/* ---- the one that asks ---------------------------------------------------------------------------------------- */

static struct way {
    const char *name;
    FILE *to, *from;
} ways[MOST_WAYS];
static int way_count;

static void start(const char *program, const char *folder, char *argument)
{
    struct way *way = &ways[way_count++];
    char preload[4096], *library = strchr(argument, '=');
    char *arguments[] = {(char *)program, (char *)"--serve", (char *)folder, NULL};
    char *environment[] = {preload, (char *)"OFFLOAD_CONFIG=none", NULL};
    int in[2], out[2];
    posix_spawn_file_actions_t actions;
    pid_t child;

    if (!library || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        fail(argument);
    *library++ = '\0';
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environment) != 0)
        fail(program);
    close(in[0]);
    close(out[1]);
    *way = (struct way){argument, fdopen(in[1], "w"), fdopen(out[0], "r")};
}

static double ask(const struct way *way, const struct kind *kind, size_t size, long count)
{
    double took;

    fprintf(way->to, "%s %zu %ld\n", kind->name, size, count);
    fflush(way->to);
    if (fscanf(way->from, "%lf", &took) != 1)
        fail(way->name);
    return took;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void time_kind(const struct kind *kind, size_t size, long rounds)
{
    double times[MOST_WAYS][BATCHES];
    long count = size <= 4096 ? 1000 : size <= 65536 ? 100 : 20;

    for (long round = 0; round <= rounds; round++) {
        for (int batch = 0; batch < BATCHES; batch++)
            for (int i = 0; i < way_count; i++) {
                int turn = (i + batch) % way_count;

                times[turn][batch] = ask(&ways[turn], kind, size, count);
            }
        for (int i = 0; i < way_count && round > 0; i++) {
            qsort(times[i], BATCHES, sizeof(times[i][0]), compare);
            printf("%s %zu\t%s\t%ld\t%.12f\n", kind->name, size, ways[i].name, round, times[i][BATCHES / 2]);
        }
    }
    fflush(stdout);
}

static void for_each_kind(void (*act)(const struct kind *, size_t, long), long argument)
{
    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; kinds[i].sizes[j]; j++)
            act(&kinds[i], kinds[i].sizes[j], argument);
}

static void list(const struct kind *kind, size_t size, long unused)
{
    (void)unused;
    printf("%s %zu\n", kind->name, size);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for_each_kind(list, 0);
    } else if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        serve(argv[2]);
    } else if (argc == 6 && strcmp(argv[1], "--once") == 0) {
        set_up(argv[2]);
        turns(find(argv[3]), strtoul(argv[4], NULL, 10), atol(argv[5]));
    } else if (argc > 3 && argc <= 3 + MOST_WAYS && argv[1][0] != '-') {
        for (int i = 3; i < argc; i++)
            start(argv[0], argv[1], argv[i]);
        for_each_kind(time_kind, atol(argv[2]));
    } else {
        fprintf(stderr, "usage: call FOLDER ROUNDS WAY=LIBRARY...\n");
        return 2;
    }
    return 0;
}
