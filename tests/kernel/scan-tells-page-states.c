// Claim: after MADV_DONTNEED, UFFDIO_REGISTER(MISSING|WP) and UFFDIO_WRITEPROTECT (which leaves a marker in each empty page-table
// entry), PAGEMAP_SCAN tells a page that is still the empty one we left from every other state a program can bring it to.
#include "uffd.h"
#include <sys/prctl.h>
#include <sys/uio.h>

static int fd;
static struct helper h;
static char *A;
enum { N = 16 };
static const int EMPTY = WPALLOWED | SWAPPED;  // our marker
static const int FILLED = WPALLOWED | PRESENT; // filled by us, not written since

static char *fresh(void)
{
    char *p = anon(N * P);
    memset(p, 1, N * P);
    madvise(p, N * P, MADV_DONTNEED);
    if (uffd_reg(fd, p, N * P))
        perror("register");
    if (uffd_wp(fd, p, N * P, true))
        perror("wp");
    h.base = p;
    return p;
}
static void expect(const char *what, char *p, int want)
{
    int c = cats(p);
    claim(c == want, "%-58s %s%s%s", what, cat_names(c), c == want ? "" : " expected ",
          c == want ? "" : cat_names(want));
}
static void not_ours(const char *what, char *p, bool must_read_right)
{
    int c = cats(p);
    (void)must_read_right;
    claim(c != EMPTY && c != FILLED, "%-58s %s(must not look like ours)", what, cat_names(c));
}
int main(void)
{
    fd = uffd_open(FEATURES_BASE);
    helper_start(&h, fd, NULL);
    char *p = anon(N * P);
    uffd_reg(fd, p, N * P);
    h.base = p;
    note("never populated, registered, no marker: %s", cat_names(cats(p)));
    A = fresh();
    expect("emptied, registered, marked", A, EMPTY);
    volatile char *v = A;
    char c = v[5];
    claim((unsigned char)c == 0xA0, "a read gets the helper's byte %#x", (unsigned char)c);
    expect("read by the program (filled by us)", A, FILLED);
    expect("its neighbour", A + P, EMPTY);
    v[5] = 7;
    not_ours("read, then written", A, 1);
    v[P] = 7;
    claim((unsigned char)A[P + 1] == 0xA1, "write to an empty page: the rest is the helper's");
    not_ours("written at once", A + P, 1);
    // the program's own madvise
    madvise(A + 2 * P, P, MADV_DONTNEED);
    not_ours("empty, then the program's MADV_DONTNEED", A + 2 * P, 1);
    c = v[3 * P];
    madvise(A + 3 * P, P, MADV_DONTNEED);
    not_ours("filled, then the program's MADV_DONTNEED", A + 3 * P, 1);
    madvise(A + 4 * P, P, MADV_FREE);
    note("MADV_FREE on empty: %s", cat_names(cats(A + 4 * P)));
    c = v[5 * P];
    madvise(A + 5 * P, P, MADV_FREE);
    note("MADV_FREE on filled: %s", cat_names(cats(A + 5 * P)));
    long f = h.faults;
    int r = madvise(A + 6 * P, P, MADV_POPULATE_READ);
    note("MADV_POPULATE_READ rc %d errno %d faults %ld: %s", r, r ? errno : 0, h.faults - f,
         cat_names(cats(A + 6 * P)));
    r = madvise(A + 7 * P, P, MADV_POPULATE_WRITE);
    not_ours("MADV_POPULATE_WRITE", A + 7 * P, 1);
    r = madvise(A + 8 * P, P, MADV_COLD);
    expect("MADV_COLD on empty", A + 8 * P, EMPTY);
    r = madvise(A + 8 * P, P, MADV_PAGEOUT);
    expect("MADV_PAGEOUT on empty", A + 8 * P, EMPTY);
    r = madvise(A + 8 * P, P, MADV_WILLNEED);
    expect("MADV_WILLNEED on empty", A + 8 * P, EMPTY);
    mprotect(A + 8 * P, P, PROT_READ);
    expect("mprotect READ on empty", A + 8 * P, EMPTY);
    mprotect(A + 8 * P, P, PROT_NONE);
    note("mprotect NONE on empty: %s", cat_names(cats(A + 8 * P)));
    mprotect(A + 8 * P, P, PROT_READ | PROT_WRITE);
    expect("mprotect back", A + 8 * P, EMPTY);
    c = v[9 * P];
    mprotect(A + 9 * P, P, PROT_READ);
    expect("filled, mprotect READ", A + 9 * P, FILLED);
    mprotect(A + 9 * P, P, PROT_READ | PROT_WRITE);
    expect("filled, mprotect back", A + 9 * P, FILLED);
    v[9 * P] = 1;
    not_ours("filled, mprotect there and back, written", A + 9 * P, 1);
    r = mlock(A + 10 * P, P);
    note("mlock rc %d errno %d faults so far %ld: %s", r, r ? errno : 0, h.faults - f, cat_names(cats(A + 10 * P)));
    munlock(A + 10 * P, P);
    r = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (long)A + 11 * P, P, "name");
    expect("PR_SET_VMA_ANON_NAME", A + 11 * P, EMPTY);
    munmap(A + 12 * P, P);
    not_ours("munmap", A + 12 * P, 0);
    char *q = mmap(A + 12 * P, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    claim(q == A + 12 * P, "mmap again at the same address");
    not_ours("munmap, mmap", q, 1);
    claim(*q == 0, "reads as zero");
    not_ours("munmap, mmap, read", q, 1);
    mmap(A + 13 * P, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    not_ours("MAP_FIXED over", A + 13 * P, 1);
    // mremap of something else over it
    char *o = anon(P);
    *o = 9;
    q = mremap(o, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, A + 14 * P);
    claim(q == A + 14 * P && *q == 9, "mremap something else in");
    not_ours("mremap something else in", q, 1);
    // brk-like hole + swap of two
    A = fresh();
    v = A;
    c = v[P];
    char *to = mmap(NULL, N * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    q = mremap(A, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    note("mremap away (no EVENT_REMAP): at the new place, empty: %s; filled: %s", cat_names(cats(to)),
         cat_names(cats(to + P)));
    not_ours("mremap away: the new place of an empty page", to, 1);
    f = h.faults;
    note("  the moved empty page reads %#x (faults %ld): LOST unless EVENT_REMAP", (unsigned char)*to, h.faults - f);
    // fork
    A = fresh();
    v = A;
    c = v[P];
    v[2 * P] = 1;
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        int pm = open("/proc/self/pagemap", O_RDONLY);
        pagemap_fd = pm;
        printf("     fork child: empty: %s filled: %s written: %s; empty reads %#x\n", cat_names(cats(A)),
               cat_names(cats(A + P)), cat_names(cats(A + 2 * P)), (unsigned char)*A);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    expect("parent after fork: empty", A, EMPTY);
    expect("parent after fork: filled", A + P, FILLED);
    not_ours("parent after fork: written", A + 2 * P, 1);
    // the proof over a whole buffer
    A = fresh();
    v = A;
    for (int i = 0; i < N; i += 2)
        mprotect(A + i * P, P, PROT_READ);
    claim(proven(A, N * P), "proven over 16 mappings (mprotect has split them)");
    for (int i = 0; i < N; i += 2)
        mprotect(A + i * P, P, PROT_READ | PROT_WRITE);
    for (int i = 0; i < N; i += 3)
        c = v[i * P];
    claim(proven(A, N * P), "proven when every third page was looked at");
    static const int at[] = {0, 1, 2047, 4094, 4095};
    int missed = 0, wrong = 0;
    for (int round = 0; round < 2000; round++) { // one changed byte, empty or looked-at page
        A = round % 50 ? A : (munmap(A, N * P), fresh());
        v = A;
        if (!proven(A, N * P)) {
            madvise(A, N * P, MADV_DONTNEED);
            uffd_wp(fd, A, N * P, true);
            wrong += !proven(A, N * P);
        }
        int pg = rand() % N;
        if (round & 1)
            c = v[pg * P];
        h.base = A;
        v[pg * P + at[round % 5]] = 3;
        missed += proven(A, N * P);
    }
    claim(!missed && !wrong,
          "2000 rounds of one changed byte: %d missed, %d times not proven again after emptying and marking", missed,
          wrong);
    A = fresh();
    munmap(A + 9 * P, P);
    claim(!proven(A + 8 * P, 8 * P) && !proven(A, 10 * P) && proven(A, 9 * P),
          "an unmapped page in the middle or at the end is no proof");
    claim(scan_odd(A + 8 * P, 8 * P, EMPTY, WRITTEN | PRESENT | ISFILE | PFNZERO | HUGE | GUARD) == 0,
          "(asking for odd pages instead passes over the hole)");
    A = fresh();
    madvise(A + 3 * P, P, MADV_DONTNEED);
    claim(!proven(A, N * P), "nor is a page that the program emptied");
    (void)c;
    return verdict();
}
