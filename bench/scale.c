/*
 * scale fragments FILE EXTENTS MIB      makes FILE of that size, with its bytes in so many extents, holes between them
 * scale threads N SOURCE FOLDER         N threads copy SOURCE at once, each to a file of its own in FOLDER
 * scale descriptors N SOURCE COPY       a copy in a process that has N descriptors open
 * scale memory N                        what a process that has made no copy has of private memory, with N descriptors
 *
 * The middle two print the seconds that copying took, and "memory" the bytes of pages that the process has written and
 * shares with nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, RECORD = 131072, MOST_THREADS = 1024 };

static void fail(const char *what)
{
    fprintf(stderr, "scale: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* An extent is some bytes with a hole behind them; nothing can be allocated between, as the size is set before. */
static void make_fragments(const char *name, long extents, long mib)
{
    off_t size = (off_t)mib << 20, stride = size / extents / BLOCK * BLOCK;
    off_t bytes = stride / 2 / BLOCK * BLOCK;
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char block[BLOCK];

    if (fd < 0 || bytes == 0 || ftruncate(fd, size) < 0)
        fail(name);
    memset(block, 'x', sizeof(block));
    for (long extent = 0; extent < extents; extent++)
        for (off_t done = 0; done < bytes; done += BLOCK) {
            memcpy(block, &(long){extent * bytes + done}, sizeof(long));
            if (pwrite(fd, block, BLOCK, extent * stride + done) != BLOCK)
                fail(name);
        }
    if (fsync(fd) < 0 || close(fd) < 0)
        fail(name);
}

static void copy(const char *source, const char *target)
{
    int in = open(source, O_RDONLY), out = open(target, O_WRONLY | O_CREAT | O_EXCL, 0600);
    char *record = malloc(RECORD);
    ssize_t n;

    if (in < 0 || out < 0 || !record)
        fail(target);
    while ((n = read(in, record, RECORD)) > 0)
        if (write(out, record, (size_t)n) != n)
            fail(target);
    free(record);
    if (close(in) < 0 || close(out) < 0)
        fail(target);
}

/* ---- threads ---------------------------------------------------------------------------------------------- */

static const char *source_name;
static char target_names[MOST_THREADS][256];

static void *copy_one(void *target)
{
    copy(source_name, target);
    return NULL;
}

static void copy_at_once(long count, const char *folder)
{
    pthread_t threads[MOST_THREADS];

    for (long i = 0; i < count; i++) {
        snprintf(target_names[i], sizeof(target_names[i]), "%s/%ld", folder, i);
        if (pthread_create(&threads[i], NULL, copy_one, target_names[i]) != 0)
            fail("pthread_create");
    }
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* ---- descriptors and memory ---------------------------------------------------------------------------------- */

static void open_descriptors(long count)
{
    struct rlimit limit = {(rlim_t)count + 64, (rlim_t)count + 64};

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("RLIMIT_NOFILE");
    for (long i = 0; i < count; i++)
        if (open("/dev/null", O_RDONLY) < 0)
            fail("/dev/null");
}

static long private_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    long kib = 0;

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Private_Dirty: %ld kB", &kib) == 1)
            break;
    if (!file)
        fail("smaps_rollup");
    fclose(file);
    return kib * 1024;
}

int main(int argc, char **argv)
{
    long count = argc > 2 ? atol(argv[2]) : 0;
    double began;

    if (argc == 5 && strcmp(argv[1], "fragments") == 0 && atol(argv[3]) > 0) {
        make_fragments(argv[2], atol(argv[3]), atol(argv[4]));
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "memory") == 0) {
        open_descriptors(count);
        printf("%ld\n", private_bytes());
        return 0;
    }
    if (argc != 5 || count < 1) {
        fprintf(stderr, "usage: scale fragments|threads|descriptors|memory ARGUMENT...\n");
        return 2;
    }
    if (strcmp(argv[1], "descriptors") == 0)
        open_descriptors(count);
    began = now();
    if (strcmp(argv[1], "descriptors") == 0) {
        copy(argv[3], argv[4]);
    } else if (count <= MOST_THREADS) {
        source_name = argv[3];
        copy_at_once(count, argv[4]);
    }
    printf("%.9f\n", now() - began);
    return 0;
}
