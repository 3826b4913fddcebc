// Claim: one PROCMAP_QUERY (6.11) at the first lazy use of a place, and the error of MADV_DONTNEED and UFFDIO_REGISTER, refuse every kind of
// memory that must not be emptied, and let plain private anonymous memory through, wherever it lies.
#include "uffd.h"
#include <sys/ipc.h>
#include <sys/shm.h>
struct k_pq {
    uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t major, minor, name_size, build_size;
    uint64_t name, build;
};
#define K_PROCMAP_QUERY _IOWR('f', 17, struct k_pq)
static int fd, maps;
static char data_page[4 * P] __attribute__((aligned(4096))) = "x", bss_page[4 * P] __attribute__((aligned(4096)));
static void kind(const char *what, char *p, bool want)
{
    if (p == MAP_FAILED || !p) {
        note("%-34s not to be had here: %s", what, strerror(errno));
        return;
    }
    struct k_pq q = {.size = sizeof q, .query_addr = (uintptr_t)p};
    int qr = ioctl(maps, K_PROCMAP_QUERY, &q), qe = errno;
    bool priv = !qr && !(q.vma_flags & 8) && q.inode == 0 && q.major == 0 && q.minor == 0 && (q.vma_flags & 3) == 3 &&
                q.vma_page_size == P;
    struct uffdio_register r = {.range = {(uintptr_t)p, P}, .mode = 3};
    int rr = ioctl(fd, UFFDIO_REGISTER, &r), re = rr ? errno : 0;
    if (!rr)
        uffd_unreg(fd, p, P);
    // the order matters: register, look, and only then empty
    int dr = priv && !rr ? madvise(p, P, MADV_DONTNEED) : -1, de = dr ? (priv && !rr ? errno : 0) : 0;
    bool let = priv && !rr && !dr;
    claim(let == want, "%-34s query %s flags %#lx inode %ld; register %s; empty %s => %s", what,
          qr ? strerror(qe) : "ok", (long)q.vma_flags, (long)q.inode, re ? strerror(re) : "ok",
          de   ? strerror(de)
          : dr ? "-"
               : "ok",
          let ? "lazy" : "refused");
}
#define COMMA ,
#define M(fl, f) mmap(0, 4 * P, PROT_READ | PROT_WRITE, fl, f, 0)
int main(void)
{
    fd = uffd_open(FEATURES_BASE);
    maps = open("/proc/self/maps", O_RDONLY);
    kind("anonymous private", anon(4 * P), true);
    char *h = malloc(1 << 16);
    memset(h, 1, 1 << 16);
    kind("heap (brk)", (char *)(((uintptr_t)h + P) & ~(P - 1)), true);
    kind("bss", (bss_page[P] = 1, bss_page + P), true);
    char st[8 * P];
    memset(st, 1, sizeof st);
    kind("stack of main", (char *)(((uintptr_t)st + P) & ~(P - 1)), true);
    int z = open("/dev/zero", O_RDWR);
    kind("/dev/zero private", M(MAP_PRIVATE, z), false);
    kind(".data (private file)", data_page, false);
    int f = open("/tmp/lazy-kind", O_CREAT | O_RDWR | O_TRUNC, 0600);
    if (ftruncate(f, 64 * P))
        return 77;
    kind("private file", M(MAP_PRIVATE, f), false);
    kind("shared file", M(MAP_SHARED, f), false);
    int m = memfd_create("x", 0);
    if (ftruncate(m, 64 * P))
        return 77;
    char *pm = M(MAP_PRIVATE, m);
    memset(pm, 1, P);
    kind("memfd private, written", pm, false);
    kind("memfd shared", M(MAP_SHARED, m), false);
    kind("shared anonymous", M(MAP_SHARED | MAP_ANONYMOUS, -1), false);
    int s = shmget(IPC_PRIVATE, 4 * P, 0600);
    char *sp = s >= 0 ? shmat(s, 0, 0) : NULL;
    if (s >= 0)
        shmctl(s, IPC_RMID, 0);
    kind("SysV shared memory", sp == (char *)-1 ? NULL : sp, false);
    char *l = anon(4 * P);
    if (mlock(l, 4 * P))
        l = NULL;
    kind("mlocked", l, false);
    l = anon(4 * P);
    syscall(SYS_mlock2, l, 4 * P, 1);
    kind("mlock2 ONFAULT", l, false);
    kind("hugetlb", mmap(0, 2 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0), false);
    int sec = syscall(447, 0);
    if (sec >= 0 && ftruncate(sec, 4 * P)) {
    }
    kind("memfd_secret", sec >= 0 ? M(MAP_SHARED, sec) : NULL, false);
    char *pr = anon(4 * P);
    mprotect(pr, 4 * P, PROT_READ);
    kind("PROT_READ", pr, false);
    pr = anon(4 * P);
    mprotect(pr, 4 * P, PROT_NONE);
    kind("PROT_NONE", pr, false);
    pr = anon(4 * P);
    munmap(pr, 4 * P);
    kind("unmapped", pr, false);
    kind("MAP_GROWSDOWN", M(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1), true);
    pr = anon(4 * P);
    madvise(pr, 4 * P, MADV_DONTFORK);
    kind("MADV_DONTFORK", pr, true);
    pr = anon(4 * P);
    madvise(pr, 4 * P, MADV_WIPEONFORK);
    kind("MADV_WIPEONFORK", pr, true);
    pr = M(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    kind("MAP_NORESERVE", pr, true);
    int u2 = uffd_open(0);
    pr = anon(4 * P);
    uffd_reg_mode(u2, pr, 4 * P, 1);
    kind("the program's own userfaultfd", pr, false);
    pr = anon(4 * P);
    note("cost of a PROCMAP_QUERY: %.2f us",
         MEDIAN_US(21, 2000, struct k_pq q = {.size = sizeof q COMMA.query_addr = (uintptr_t)pr};
                   ioctl(maps, K_PROCMAP_QUERY, &q)));
    // splitting, merging, the limit
    char *big = anon(1024 * P);
    uffd_reg(fd, big + 100 * P, 16 * P);
    struct k_pq q = {.size = sizeof q, .query_addr = (uintptr_t)big + 100 * P};
    ioctl(maps, K_PROCMAP_QUERY, &q);
    note("registering pages 100-115 of 1024: its mapping is now %ld pages", (long)(q.vma_end - q.vma_start) / 4096);
    uffd_unreg(fd, big + 100 * P, 16 * P);
    ioctl(maps, K_PROCMAP_QUERY, &q);
    claim((q.vma_end - q.vma_start) >= 1024 * P, "unregistering merges it again: %ld pages",
          (long)(q.vma_end - q.vma_start) / 4096);
    int n = 0;
    char *many = anon(200000 * P);
    while (n < 100000 && !uffd_reg(fd, many + n * 2 * P, P))
        n++;
    int e = errno;
    note("max_map_count: %d registrations of every other page, then %s; the program's own mmap then: %s", n,
         strerror(e), mmap(0, P, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? strerror(errno) : "ok");
    claim(e == ENOMEM || n == 100000, "the limit is met as an error of the registration");
    unlink("/tmp/lazy-kind");
    uffd_unreg(fd, many, 200000 * P);
    return verdict();
}
