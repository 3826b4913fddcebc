// Claim: a page that mincore(2) calls resident can be read without a signal, or without more than a fault that is served, unless it may
// not be read (PROT_NONE, or a guard in shared memory). So what has never been forbidden needs not be touched to know that it is there (docs/decisions/023).
#include "uffd.h"
#include <setjmp.h>
#include <signal.h>
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
/* forbidden: what mincore is known not to tell. */
static void page(const char *what, char *p, int forbidden)
{
    unsigned char there = 0;
    int answer = p == MAP_FAILED ? -1 : mincore(p, P, &there);
    int trap = p == MAP_FAILED ? 0 : reads(p);
    int bad = answer == 0 && there & 1 && trap && !forbidden;
    printf("%s %-28s mincore %d, resident %d, signal %d\n", bad ? "FALSE" : "ok", what, answer, there & 1, trap);
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
