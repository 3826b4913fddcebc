/*
 * starts ROUNDS LIBRARY...
 *
 * Starts /bin/true without any preload and with each LIBRARY, in turns, and prints the middle of the
 * times that each took, in nanoseconds, on one line: plain, then each library.
 */
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { MOST_LIBRARIES = 8, STARTS_A_ROUND = 50 };

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t start(const char *preload)
{
    char setting[4096];
    char *environment[] = {setting, NULL};
    char *arguments[] = {(char *)"true", NULL};
    int64_t begin;
    pid_t child;
    int status;

    snprintf(setting, sizeof(setting), "LD_PRELOAD=%s", preload);
    begin = now();
    if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment) != 0 ||
        waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "starts: /bin/true failed: %s\n", strerror(errno));
        exit(2);
    }
    return now() - begin;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The middle of a round leaves out what disturbed it; the least of the rounds leaves out a round
 * that was disturbed as a whole. */
static int64_t middle(int64_t *times)
{
    qsort(times, STARTS_A_ROUND, sizeof(*times), compare);
    return times[STARTS_A_ROUND / 2];
}

int main(int argc, char **argv)
{
    static int64_t times[MOST_LIBRARIES][STARTS_A_ROUND];
    int64_t least[MOST_LIBRARIES];
    int ways = argc - 1;

    if (argc < 3 || ways > MOST_LIBRARIES) {
        fprintf(stderr, "usage: starts ROUNDS LIBRARY...\n");
        return 2;
    }
    for (int way = 0; way < ways; way++)
        least[way] = INT64_MAX;
    for (long round = atol(argv[1]); round > 0; round--) {
        for (int i = 0; i < STARTS_A_ROUND; i++)
            for (int way = 0; way < ways; way++)
                times[way][i] = start(way == 0 ? "" : argv[way + 1]);
        for (int way = 0; way < ways; way++) {
            int64_t time = middle(times[way]);

            if (time < least[way])
                least[way] = time;
        }
    }
    for (int way = 0; way < ways; way++)
        printf("%lld%c", (long long)least[way], way + 1 < ways ? ' ' : '\n');
    return 0;
}
