// The way without privilege. Claim: a MAP_PRIVATE|MAP_FIXED mapping of an unlinked clone (O_TMPFILE + FICLONE) of the source, laid over the whole
// pages of a buffer, holds the bytes of the time of the clone whatever happens to the source; PAGEMAP_SCAN shows a written page (no longer
// FILE), PROCMAP_QUERY shows another mapping at the place; a fork's child sees the bytes; mremap puts plain memory back atomically.
// Also shown: what it gets wrong (MADV_DONTNEED brings the file's bytes back, not zeros).
// Argument: a folder on a file system with reflink (default: the one it is started in).
#include "uffd.h"
#include <linux/fs.h>
struct k_pq {
    uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t major, minor, name_size, build_size;
    uint64_t name, build;
};
#define K_PROCMAP_QUERY _IOWR('f', 17, struct k_pq)
static int maps;
enum { N = 64 };
static bool ours(char *p, size_t n, off_t off, struct stat *st)
{
    struct k_pq q = {.size = sizeof q, .query_addr = (uintptr_t)p};
    return !ioctl(maps, K_PROCMAP_QUERY, &q) && q.vma_end >= (uintptr_t)p + n && q.inode == st->st_ino &&
           q.vma_offset + ((uintptr_t)p - q.vma_start) == (uint64_t)off;
}
static int written(char *p, size_t n) // pages that are the program's: present or on swap, and not of the file
{
    struct k_page_region r;
    struct k_scan s = {.size = sizeof s,
                       .start = (uintptr_t)p,
                       .end = (uintptr_t)p + n,
                       .vec = (uintptr_t)&r,
                       .vec_len = 1,
                       .max_pages = 1,
                       .category_inverted = ISFILE,
                       .category_mask = ISFILE,
                       .category_anyof_mask = PRESENT | SWAPPED,
                       .return_mask = PRESENT};
    return ioctl(pagemap_fd, K_PAGEMAP_SCAN, &s);
}
int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : ".";
    char path[256];
    snprintf(path, 256, "%s/snapXXXXXX", dir);
    int src = mkstemp(path);
    if (src < 0) {
        puts("no such folder");
        return 77;
    }
    unlink(path);
    char x[P];
    for (int i = 0; i < N; i++) {
        memset(x, 'A' + i % 26, P);
        if (pwrite(src, x, P, i * P) != P)
            return 77;
    }
    pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
    maps = open("/proc/self/maps", O_RDONLY);
    double t = now_us();
    int snap = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (snap < 0 || ioctl(snap, FICLONE, src)) {
        printf("no clone: %s\n", strerror(errno));
        return 77;
    }
    note("the snapshot took %.0f us", now_us() - t);
    struct stat st;
    fstat(snap, &st);
    char *b = anon((N + 2) * P) + P;
    memset(b - P, 'z', (N + 2) * P);
    claim(mmap(b, N * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, snap, 0) == b && b[-1] == 'z' &&
              b[N * P] == 'z',
          "laid over the buffer, neighbours kept");
    claim(ours(b, N * P, 0, &st) && written(b, N * P) == 0, "ours, nothing written");
    claim(b[P] == 'B' && written(b, N * P) == 0 && ours(b, N * P, 0, &st), "looked at: right, still proven");
    memset(x, '#', P);
    for (int i = 0; i < N; i++)
        if (pwrite(src, x, P, i * P) != P)
            return 77;
    claim(b[P] == 'B' && b[2 * P] == 'C', "source overwritten: looked-at and new pages keep the old bytes");
    if (ftruncate(src, 0))
        return 77;
    claim(b[3 * P] == 'D', "source truncated: no SIGBUS, old bytes");
    fflush(stdout);
    pid_t k = fork();
    if (!k)
        _exit(b[4 * P] != 'E');
    int s;
    waitpid(k, &s, 0);
    claim(s == 0, "a fork's child sees the bytes, without helper or filling");
    b[5 * P + 77] = 1;
    claim(written(b, N * P) == 1, "one byte written is seen");
    b[5 * P + 77] = 'F';
    claim(written(b, N * P) == 1, "and stays seen");
    note("the program's MADV_DONTNEED, then a look: %c (plain memory: 0): WRONG, only a hook of madvise can know",
         (madvise(b + 6 * P, P, MADV_DONTNEED), b[6 * P] ? b[6 * P] : '0'));
    int r = madvise(b + 6 * P, P, MADV_FREE);
    note("the program's MADV_FREE: %s (plain memory: ok)", r ? strerror(errno) : "ok");
    int pp[2];
    if (pipe(pp))
        return 77;
    claim(write(pp[1], b + 7 * P, 1) == 1 && read(pp[0], x, 1) == 1 && x[0] == 'H', "write(2) of it");
    int mem = open("/proc/self/mem", O_RDONLY);
    claim(pread(mem, x, 1, (off_t)(uintptr_t)(b + 8 * P)) == 1 && x[0] == 'I',
          "/proc/self/mem reads it (userfaultfd: EIO)");
    // back to plain memory
    char *tmp = anon(N * P);
    t = now_us();
    memcpy(tmp, b, N * P);
    char *q = mremap(tmp, N * P, N * P, MREMAP_MAYMOVE | MREMAP_FIXED, b);
    t = now_us() - t;
    claim(q == b && b[P] == 'B' && b[5 * P + 77] == 'F' && b[10 * P] == 'K' && !ours(b, N * P, 0, &st),
          "plain memory again with the same bytes: %.0f us for 256 KiB", t);
    munmap(b, P);
    mmap(b, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    claim(!ours(b, P, 0, &st), "another mapping at the place is told");
    // brk heap
    char *h = sbrk(64 * P);
    h = (char *)(((uintptr_t)h + P - 1) & ~(P - 1));
    memset(h, 1, 32 * P);
    mmap(h + 8 * P, 8 * P, 3, MAP_PRIVATE | MAP_FIXED, snap, 0);
    claim(sbrk(16 * P) != (void *)-1 && brk(h + 12 * P) == 0 && brk(h + 40 * P) == 0 && h[8 * P] == 'A' &&
              h[13 * P] == 0,
          "in the heap: brk grows, shrinks through it and grows: zeros above");
    return verdict();
}
