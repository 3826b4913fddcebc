/*
 * threads SOURCE DESTINATION ROUNDS TURNS: four threads write ROUNDS records each through one descriptor, two of
 * them records of SOURCE, which holds the letter A only, two of them of the letter B; all of them start at once. Plain
 * calls lose no record, whatever the order. So TURNS times, each with a new file; in every other turn all four write A,
 * each through a duplicate of the descriptor. Status 1 if a record is
 * lost, or the destination has another size.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 4, RECORD = 131072 };

static const char *source_name;
static int destination;
static long rounds;
static bool duplicates;
static pthread_barrier_t start;

static void *write_records(void *argument)
{
    bool copies = argument != NULL;
    int source = open(source_name, O_RDONLY), own = duplicates ? dup(destination) : destination;
    char *record = malloc(RECORD);
    memset(record, 'B', RECORD);
    pthread_barrier_wait(&start);
    for (long i = 0; i < rounds; i++) {
        /* From where the record may come to stand in the destination. */
        if (copies)
            lseek(source, lseek(own, 0, SEEK_CUR), SEEK_SET);
        if (copies && read(source, record, RECORD) != RECORD)
            memset(record, 'A', RECORD);
        if (write(own, record, RECORD) != RECORD)
            abort();
    }
    free(record);
    close(source);
    if (own != destination)
        close(own);
    return NULL;
}

/* How many records of that letter the destination holds. */
static long count(char letter)
{
    static char record[RECORD], wanted[RECORD];
    long found = 0;
    memset(wanted, letter, RECORD);
    for (off_t at = 0; pread(destination, record, RECORD, at) == RECORD; at += RECORD)
        found += memcmp(record, wanted, RECORD) == 0;
    return found;
}

/* Four threads write to a new file. Whether it holds what they wrote; `copying` of them write A. */
static bool holds_every_record(const char *name, int copying)
{
    pthread_t threads[THREADS];
    struct stat status;
    unlink(name);
    destination = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, write_records, i < copying ? &rounds : NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    long of_a = rounds * copying, of_b = rounds * (THREADS - copying);
    bool holds = fstat(destination, &status) == 0 && status.st_size == (of_a + of_b) * RECORD && count('A') == of_a &&
                 count('B') == of_b;
    if (!holds)
        fprintf(stderr, "%ld records of A, %ld of B, where %ld and %ld were written; %ld bytes\n", count('A'),
                count('B'), of_a, of_b, (long)status.st_size);
    close(destination);
    return holds;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    source_name = argv[1];
    rounds = atol(argv[3]);
    pthread_barrier_init(&start, NULL, THREADS);
    for (long turn = 0; turn < atol(argv[4]); turn++) {
        duplicates = turn % 2;
        if (!holds_every_record(argv[2], duplicates ? THREADS : THREADS / 2)) {
            fprintf(stderr, "in turn %ld\n", turn);
            return 1;
        }
    }
    return 0;
}
