/* Many copies under way at once, a piece of each by turns, in one thread or in several: what programs do that copy a
 * whole tree. */
#include "world.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { MOST_COPIES = 80, THREADS = 3, PIECE = 131072 };

struct copy {
    int src, dst;
    uint64_t sum;
};

struct share {
    struct copy *copies;
    int first, count, rounds;
    size_t piece;
    bool closes, apart; /* in a thread of its own */
    pthread_t thread;
    unsigned char bytes[PIECE];
};

static void copy_piece(struct share *share, struct copy *copy)
{
    errno = ERRNO_MARK;
    ssize_t got = read(copy->src, share->bytes, share->piece);
    ssize_t put = got > 0 ? write(copy->dst, share->bytes, (size_t)got) : 0;
    copy->sum = copy->sum * 31 + (uint64_t)got * 7 + (uint64_t)put * 3 + (uint64_t)errno;
}

static void end_copy(struct copy *copy)
{
    copy->sum = copy->sum * 31 + (uint64_t)lseek(copy->dst, 0, SEEK_END);
    copy->sum = copy->sum * 31 + (uint64_t)(close(copy->src) + close(copy->dst) * 2);
}

static void *copy_share(void *argument)
{
    struct share *share = argument;
    for (int round = 0; round < share->rounds; round++)
        for (int i = share->first; i < share->count; i += THREADS)
            copy_piece(share, &share->copies[i]);
    for (int i = share->first; i < share->count && share->closes; i += THREADS)
        end_copy(&share->copies[i]);
    return NULL;
}

static void open_copy(struct copy *copy, int number)
{
    char name[16];
    snprintf(name, sizeof name, "many%d", number);
    *copy = (struct copy){.src = open(name_of(F_SRC), O_RDONLY), .dst = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644)};
}

/* Each copy's results are noted when all of them have ended, so that the records have one order. */
void perform_many(const struct op *op)
{
    static struct copy copies[MOST_COPIES];
    static struct share shares[THREADS];
    int count = op->a[0] < MOST_COPIES ? op->a[0] : MOST_COPIES;
    for (int i = 0; i < count; i++)
        open_copy(&copies[i], i);
    remember_place(F_SRC, 0);
    for (int i = 0; i < THREADS; i++) {
        shares[i].copies = copies;
        shares[i].first = i;
        shares[i].count = count;
        shares[i].piece = op->a[1] < PIECE ? (size_t)op->a[1] : PIECE;
        shares[i].rounds = op->a[2];
        shares[i].closes = op->a[4] != 0;
        shares[i].apart = op->a[3] && pthread_create(&shares[i].thread, NULL, copy_share, &shares[i]) == 0;
        if (!shares[i].apart)
            copy_share(&shares[i]);
    }
    for (int i = 0; i < THREADS; i++)
        if (shares[i].apart)
            pthread_join(shares[i].thread, NULL);
    for (int i = 0; i < count; i++)
        note_full(N_LOOP, copies[i].src * 1000 + copies[i].dst, copies[i].sum, 0);
}
