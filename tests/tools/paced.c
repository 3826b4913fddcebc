/*
 * paced [-c EVERY] [-k] [-s] SOURCE DESTINATION RECORD BYTES [PAUSE...]
 *
 * Copies SOURCE to DESTINATION by read(2) and write(2) of BYTES at a time, as a test has it do. At each PAUSE, "r5"
 * (before the sixth read) or "w5" (before the sixth write), it prints the PAUSE and waits for a line. After both files
 * are closed RECORD has what the program wrote, as far as it was told that it was written; that is kept in memory of its
 * own until then. The last line that it prints is "longest MILLISECONDS", of the slowest single call.
 *
 *   -c EVERY   changes the byte in the middle of every so many blocks
 *   -k         keeps what DESTINATION holds, and writes over it
 *   -s         handles SIGINT: prints "interrupted" and goes on
 *
 * Exit status: 0, or 1 after an error of a call, which is printed as "CALL ERROR" and ends the copy; 2 if misused.
 */
#include "../older.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 256 << 20 };

static char *record;
static size_t recorded;
static double longest;
static bool failed;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1000 + (double)time.tv_nsec / 1e6;
}

static void take_time(double began)
{
    double took = now() - began;

    if (took > longest)
        longest = took;
}

/* Takes an error of a call down; the result is passed through. */
static ssize_t result(const char *call, ssize_t n)
{
    if (n < 0 && !failed) {
        printf("%s %s\n", call, strerrorname_np(errno));
        failed = true;
    }
    return n;
}

static void say_interrupted(int number)
{
    (void)number;
    if (write(STDOUT_FILENO, "interrupted\n", 12) != 12)
        _exit(2);
}

static void pause_at(char kind, long turn, char **pauses)
{
    char here[32], line[32];

    snprintf(here, sizeof here, "%c%ld", kind, turn);
    for (; *pauses; pauses++)
        if (strcmp(*pauses, here) == 0) {
            puts(here);
            if (!fgets(line, sizeof line, stdin))
                exit(2);
        }
}

static bool write_block(int destination, const char *block, size_t n)
{
    size_t done = 0;

    while (done < n) {
        double began = now();
        ssize_t written = result("write", write(destination, block + done, n - done));

        take_time(began);
        if (written <= 0)
            return false;
        memcpy(record + recorded, block + done, (size_t)written);
        recorded += (size_t)written;
        done += (size_t)written;
    }
    return true;
}

static void copy(int source, int destination, size_t bytes, long change, char **pauses)
{
    char *block = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

    for (long turn = 0;; turn++) {
        double began;
        ssize_t n;

        pause_at('r', turn, pauses);
        began = now();
        n = result("read", read(source, block, bytes));
        take_time(began);
        if (n <= 0 || recorded + (size_t)n > MOST_BYTES)
            break;
        if (change && turn % change == change - 1)
            block[n / 2] ^= 1;
        pause_at('w', turn, pauses);
        if (!write_block(destination, block, (size_t)n))
            break;
    }
    free(block);
}

static void close_timed(int fd)
{
    double began = now();

    result("close", close(fd));
    take_time(began);
}

/* Not before the copy is over, and out of memory that no file was read to. */
static void save_record(const char *name)
{
    FILE *file = fopen(name, "w");

    if (!file || fwrite(record, 1, recorded, file) != recorded || fclose(file) != 0) {
        perror(name);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    long change = 0;
    int source, destination, option, truncates = O_TRUNC;

    while ((option = getopt(argc, argv, "c:ks")) != -1)
        if (option == 'c')
            change = atol(optarg);
        else if (option == 'k')
            truncates = 0;
        else if (option == 's')
            signal(SIGINT, say_interrupted);
        else
            return 2;
    argv += optind;
    if (argc - optind < 4)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    record = mmap(NULL, MOST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    source = (int)result("open", open(argv[0], O_RDONLY));
    destination = (int)result("open", open(argv[1], O_WRONLY | O_CREAT | truncates, 0644));
    if (record == MAP_FAILED || source < 0 || destination < 0)
        return 1;
    copy(source, destination, (size_t)atol(argv[3]), change, argv + 4);
    close_timed(source);
    close_timed(destination);
    save_record(argv[2]);
    printf("longest %.0f\n", longest);
    return failed;
}
