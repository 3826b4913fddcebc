// Claim: a page that mincore(2) calls resident can be read without a signal, or without more than a fault that is served, unless it may
// not be read (PROT_NONE, or a guard in shared memory). So what has never been forbidden needs not be touched to know that it is there. And
// epoll_ctl(2) of no descriptors gives EBADF for an event there if a load raises no signal, else EFAULT (docs/decisions/023).
#include "uffd.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
static sigjmp_buf back;
static int wrong;
static void trapped(int number)
{
    siglongjmp(back, number);
}
static int reads(const char *p)
{
    int number = sigsetjmp(back, 1);
    if (number == 0)
        (void)*(const volatile char *)p;
    return number;
}
/* What epoll_ctl(2) says of each of the page's ends: 0, that it can be read. */
static int asked(char *p)
{
    struct epoll_event *at[] = {(void *)p, (void *)(p + P - sizeof **at)};
    for (int i = 0; i < 2; i++)
        if (epoll_ctl(-1, EPOLL_CTL_ADD, -1, at[i]) != -1 || errno != EBADF)
            return errno;
    return 0;
}
/* forbidden: what mincore is known not to tell. */
static void page(const char *what, char *p, int forbidden)
{
    unsigned char there = 0;
    if (p == MAP_FAILED) {
        printf("none %s\n", what);
        return;
    }
    int answer = mincore(p, P, &there), said = asked(p), trap = reads(p);
    int bad = (answer == 0 && there & 1 && trap && !forbidden) || said != (trap ? EFAULT : 0);
    printf("%s %-28s mincore %d, resident %d, epoll_ctl %d, signal %d\n", bad ? "FALSE" : "ok", what, answer, there & 1,
           said, trap);
    wrong |= bad;
}
int main(void)
{
    signal(SIGSEGV, trapped);
    signal(SIGBUS, trapped);
    page("never touched", anon(P), 0);
    char *p = anon(P);
    memset(p, 1, P);
    page("written", p, 0);
    madvise(p, P, MADV_FREE);
    page("MADV_FREE", p, 0);
    madvise(p, P, MADV_DONTNEED);
    page("MADV_DONTNEED", p, 0);
    memset(p, 1, P);
    madvise(p, P, 102 /* MADV_GUARD_INSTALL, Linux 6.13 */);
    page("a guard", p, 0);
    p = mmap(0, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, P);
    madvise(p, P, 102);
    page("a guard in shared memory", p, 1);
    p = anon(P);
    memset(p, 1, P);
    madvise(p, P, 21 /* MADV_PAGEOUT */);
    page("paged out", p, 0);
    memset(p, 1, P);
    munmap(p, P);
    page("unmapped", p, 0);
    p = anon(P);
    memset(p, 1, P);
    mprotect(p, P, PROT_NONE);
    page("forbidden", p, 1);
    FILE *file = tmpfile();
    if (file && ftruncate(fileno(file), 2 * P) == 0) {
        p = mmap(0, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
        memset(p, 1, 2 * P);
        page("of a file", p + P, 0);
        if (ftruncate(fileno(file), P) == 0)
            page("of a file cut short", p + P, 0);
    }
    return wrong;
}
