/*
 * copier SOURCE DESTINATION   copies in blocks of 64 KiB by read and write, from memory of the heap and in two threads in
 *                             turn: for compilers that watch over both (-fsanitize=)
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK = 65536 };

static int from, to;
static int ended, failed;

static void *copies_some(void *nothing)
{
    char *buffer = malloc(BLOCK);

    for (int i = 0; buffer && i < 20 && !ended && !failed; i++) {
        ssize_t n = read(from, buffer, BLOCK);

        ended = n == 0;
        failed = n < 0 || write(to, buffer, (size_t)n) != n;
    }
    free(buffer);
    return nothing;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    from = argc == 3 ? open(argv[1], O_RDONLY) : -1;
    to = from < 0 ? -1 : open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (to < 0)
        return 2;
    while (!ended && !failed) {
        copies_some(NULL);
        if (pthread_create(&thread, NULL, copies_some, NULL) != 0 || pthread_join(thread, NULL) != 0)
            return 2;
    }
    return failed || close(to) != 0;
}
