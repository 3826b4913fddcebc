/*
 * threads SOURCE DESTINATION ROUNDS: four threads write records through one descriptor, two of them records of SOURCE,
 * which holds the letter A only, two of them the letter B. Plain calls lose no record, whatever the order. Status 1 if one
 * is lost, or the destination has another size.
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

static void *write_records(void *argument)
{
    bool copies = argument != NULL;
    int source = open(source_name, O_RDONLY);
    char *record = malloc(RECORD);
    memset(record, 'B', RECORD);
    for (long i = 0; i < rounds; i++) {
        /* From where the record may come to stand in the destination. */
        if (copies)
            lseek(source, lseek(destination, 0, SEEK_CUR), SEEK_SET);
        if (copies && read(source, record, RECORD) != RECORD)
            memset(record, 'A', RECORD);
        if (write(destination, record, RECORD) != RECORD)
            abort();
    }
    free(record);
    close(source);
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

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct stat status;
    if (argc != 4)
        return 2;
    source_name = argv[1];
    destination = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
    rounds = atol(argv[3]);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, write_records, i % 2 ? NULL : &rounds);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    long half = rounds * THREADS / 2;
    if (fstat(destination, &status) == 0 && status.st_size == 2 * half * RECORD && count('A') == half &&
        count('B') == half)
        return 0;
    fprintf(stderr, "%ld records of A and %ld of B, of %ld each; %ld bytes of %ld\n", count('A'), count('B'), half,
            (long)status.st_size, 2 * half * RECORD);
    return 1;
}
