/*
 * starts ROUNDS LIBRARY...
 *
 * Starts /bin/true without any preload and with each LIBRARY, in turns, and prints two lines, plain first, then each
 * library: the middle of the times that each took, in nanoseconds, and the least page faults.
 */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { MOST_LIBRARIES = 8, STARTS_A_ROUND = 50 };

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

struct cost {
    int64_t time;
    long faults;
};

static struct cost start(const char *preload)
{
    char setting[4096];
    char *environment[] = {setting, NULL};
    char *arguments[] = {(char *)"true", NULL};
    struct rusage used;
    int64_t begin;
    pid_t child;
    int status;

    snprintf(setting, sizeof(setting), "LD_PRELOAD=%s", preload);
    begin = now();
    if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment) != 0 ||
        wait4(child, &status, 0, &used) != child || status != 0) {
        fprintf(stderr, "starts: /bin/true failed: %s\n", strerror(errno));
        exit(2);
    }
    return (struct cost){.time = now() - begin, .faults = used.ru_minflt};
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

/* A line of one number a way. What else the machine does adds to a start, and takes nothing away: the least counts. */
static void print(const long long *of, int ways)
{
    for (int way = 0; way < ways; way++)
        printf("%lld%c", of[way], way + 1 < ways ? ' ' : '\n');
}

int main(int argc, char **argv)
{
    static int64_t times[MOST_LIBRARIES][STARTS_A_ROUND];
    long long least[MOST_LIBRARIES], faults[MOST_LIBRARIES];
    int ways = argc - 1;

    if (argc < 3 || ways > MOST_LIBRARIES) {
        fprintf(stderr, "usage: starts ROUNDS LIBRARY...\n");
        return 2;
    }
    for (int way = 0; way < ways; way++)
        least[way] = faults[way] = LLONG_MAX;
    for (long round = atol(argv[1]); round > 0; round--) {
        for (int i = 0; i < STARTS_A_ROUND; i++)
            for (int way = 0; way < ways; way++) {
                struct cost cost = start(way == 0 ? "" : argv[way + 1]);

                times[way][i] = cost.time;
                if (cost.faults < faults[way])
                    faults[way] = cost.faults;
            }
        for (int way = 0; way < ways; way++) {
            int64_t time = middle(times[way]);

            if (time < least[way])
                least[way] = time;
        }
    }
    print(least, ways);
    print(faults, ways);
    return 0;
}
