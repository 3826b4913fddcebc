/*
 * A thread that reads a userfaultfd keeps a number odd from before each read until it has entered in its books what it
 * read. Claim: a thread that has touched, unmapped, replaced, moved or emptied a page finds, when it comes back from
 * that, the number odd or the books to tell of it. So it need not ask the kernel. The books alone do not suffice: the
 * caller of munmap(2) goes on when the event is taken, not when it is entered.
 */
#define _GNU_SOURCE
#include "uffd.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#undef PAGE
#define PAGE 4096UL
#define ROUNDS 3000

static int uffd;
static unsigned turn, told; /* the reader's */
static unsigned too_late;   /* how often the books alone came late */

static void *reader(void *nothing)
{
    struct uffd_msg message;
    for (;;) {
        struct pollfd wait = {.fd = uffd, .events = POLLIN};
        poll(&wait, 1, -1);
        __atomic_store_n(&turn, turn + 1, __ATOMIC_SEQ_CST);
        while (read(uffd, &message, sizeof message) == sizeof message) {
            __atomic_store_n(&told, told + 1, __ATOMIC_SEQ_CST);
            if (message.event != UFFD_EVENT_PAGEFAULT)
                continue;
            struct uffdio_zeropage zero = {.range = {message.arg.pagefault.address & ~(PAGE - 1), PAGE}};
            ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
        }
        __atomic_store_n(&turn, turn + 1, __ATOMIC_SEQ_CST);
    }
    return nothing;
}

static void enroll(char *at, size_t n)
{
    struct uffdio_register r = {.range = {(unsigned long)at, n}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(uffd, UFFDIO_REGISTER, &r) < 0) {
        perror("UFFDIO_REGISTER");
        exit(77);
    }
}

static char *fresh(void)
{
    char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    enroll(at, 4 * PAGE);
    return at;
}

static char *at, *elsewhere, *heap;
static int pipes[2];

static void touches(void)
{
    *(volatile char *)at;
}
static void writes(void)
{
    at[PAGE] = 1;
}
static void kernel_reads(void)
{
    char c;
    if (write(pipes[1], at, 1) != 1 || read(pipes[0], &c, 1) != 1)
        abort();
}
static void kernel_writes(void)
{
    if (write(pipes[1], "x", 1) != 1 || read(pipes[0], at, 1) != 1)
        abort();
}
static void unmaps(void)
{
    munmap(at, 4 * PAGE);
}
static void unmaps_part(void)
{
    munmap(at + PAGE, PAGE);
}
static void maps_over(void)
{
    mmap(at, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
static void maps_file_over(void)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    close(fd);
}
static void empties(void)
{
    madvise(at + PAGE, PAGE, MADV_DONTNEED);
}
static void frees(void)
{
    madvise(at, PAGE, MADV_FREE);
}
static void moves(void)
{
    mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere);
}
static void leaves(void)
{
    mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, elsewhere);
}
static void shrinks(void)
{
    mremap(at, 4 * PAGE, PAGE, 0);
}
static void moved_upon(void)
{
    mremap(elsewhere, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGE);
}
static void shrinks_break(void)
{
    sbrk(-(long)(2 * PAGE));
}

#define ACT(name)   \
    {               \
#name, name \
    }
static const struct act {
    const char *name;
    void (*does)(void);
} acts[] = {ACT(touches),     ACT(writes),    ACT(kernel_reads),   ACT(kernel_writes), ACT(unmaps),
            ACT(unmaps_part), ACT(maps_over), ACT(maps_file_over), ACT(empties),       ACT(frees),
            ACT(moves),       ACT(leaves),    ACT(shrinks),        ACT(moved_upon),    ACT(shrinks_break)};

/* Does the act, and says whether it went unnoticed. */
static int unnoticed(const struct act *act)
{
    int on_break = act->does == shrinks_break;
    elsewhere = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (on_break) {
        at = (char *)(((unsigned long)sbrk(8 * PAGE) + PAGE - 1) & ~(PAGE - 1));
        enroll(at + 6 * PAGE, PAGE);
    } else {
        at = fresh();
    }
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) % 2)
        ;
    unsigned before = __atomic_load_n(&told, __ATOMIC_SEQ_CST);
    act->does();
    unsigned late = __atomic_load_n(&told, __ATOMIC_SEQ_CST);
    /* In the library's order: the number, the books, the number again. */
    unsigned first = __atomic_load_n(&turn, __ATOMIC_SEQ_CST);
    unsigned seen = __atomic_load_n(&told, __ATOMIC_SEQ_CST);
    unsigned second = __atomic_load_n(&turn, __ATOMIC_SEQ_CST);
    too_late += late == before;
    int missed = first % 2 == 0 && first == second && seen == before;
    if (on_break)
        brk((char *)sbrk(0) - 6 * PAGE);
    munmap(at, 4 * PAGE);
    munmap(elsewhere, 4 * PAGE);
    return missed;
}

int main(void)
{
    pthread_t thread;
    int failed = 0;
    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {
        .api = UFFD_API, .features = UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_REMAP};
    if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 || pipe(pipes) < 0) {
        puts("no userfaultfd");
        return 77;
    }
    pthread_create(&thread, NULL, reader, NULL);
    for (unsigned i = 0; i < sizeof acts / sizeof *acts; i++) {
        int missed = 0;
        too_late = 0;
        for (int round = 0; round < ROUNDS; round++)
            missed += unnoticed(&acts[i]);
        printf("%s %s: %d of %d unnoticed; %u by the books alone\n", missed ? "not ok" : "ok", acts[i].name, missed,
               ROUNDS, too_late);
        failed |= missed;
    }
    return failed ? 1 : 0;
}
