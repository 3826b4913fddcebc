// Claim: with UFFD_FEATURE_EVENT_REMAP an empty, marked page that the program moves with mremap (realloc of a large block does)
// stays registered and marked at its new place, a touch there comes to the helper, and the event is told before mremap returns.
// Also measured: what the events REMOVE and UNMAP cost, and that they are no proof: the caller goes on when the helper's read
// takes the message, before the helper has done anything with it (`late` below), so no flag in memory can stand for them.
#include "uffd.h"
static void marked(int fd, char *p, size_t n)
{
    madvise(p, n, MADV_DONTNEED);
    if (uffd_reg(fd, p, n) || uffd_wp(fd, p, n, true))
        perror("mark");
}
int main(void)
{
    int fd = uffd_open(FEATURES_BASE | F_EVENT_REMAP);
    static struct helper h;
    helper_start(&h, fd, NULL);
    char *p = anon(64 * P);
    memset(p, 1, 64 * P);
    marked(fd, p, 64 * P);
    volatile char *v = p;
    (void)v[5 * P];
    v[6 * P] = 1;
    madvise(p + 7 * P, P, MADV_DONTNEED);
    h.base = p;
    long f = h.faults;
    char *to = mmap(NULL, 128 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    double a = now_us();
    char *q = mremap(p, 64 * P, 128 * P, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    int err = errno;
    if (q != to) {
        printf("mremap: %s\n", strerror(err));
        return 1;
    }
    double t = now_us() - a;
    claim(q == to, "mremap moved, %.1f us, events %ld, faults %ld", t, (long)h.events, h.faults - f);
    // The caller goes on when the message is taken from the queue, before the helper has counted it.
    for (int i = 0; i < 2000 && (h.events < 1 || h.last_event != UFFD_EVENT_REMAP); i++)
        usleep(1000);
    claim(h.events >= 1 && h.last_event == UFFD_EVENT_REMAP,
          "event %#x told before mremap returned: from %+ld to %+ld len %ld pages", h.last_event,
          (long)(h.ev_a - (uintptr_t)p) / 4096, (long)(h.ev_b - (uintptr_t)to) / 4096, (long)(h.ev_n / P));
    note("events in one mremap: %ld", (long)h.events);
    static const int some[] = {0, 5, 6, 7, 8, 63, 64};
    for (int i = 0; i < 7; i++)
        note("page %d: %s", some[i], cat_names(cats(q + some[i] * P)));
    int c = cats(q + 10 * P);
    claim(c == (WPALLOWED | SWAPPED), "empty page kept its marker: %s", cat_names(c));
    c = cats(q + 5 * P);
    claim(c == (WPALLOWED | PRESENT), "filled page kept its protection: %s", cat_names(c));
    c = cats(q + 7 * P);
    claim(c == (WPALLOWED | WRITTEN), "page emptied by the program shows so: %s", cat_names(c));
    h.base = q;
    f = h.faults;
    claim((unsigned char)q[10 * P] == 0xAA && h.faults == f + 1, "touch at the new place comes to the helper");
    munmap(q, 128 * P);
    // merged VMA case (anonymous vma_merge through mremap onto neighbour), shrink in place
    p = anon(64 * P);
    memset(p, 1, 64 * P);
    marked(fd, p, 64 * P);
    h.base = p;
    long e = h.events;
    q = mremap(p, 64 * P, 32 * P, 0);
    claim(q == p && cats(p) == (WPALLOWED | SWAPPED), "shrink in place: events %ld", h.events - e);
    e = h.events;
    q = mremap(p, 32 * P, 64 * P, 0);
    note("grow in place: %s, events %ld: old part %s new part %s", q == p ? "done" : "refused", h.events - e,
         cat_names(cats(p)), cat_names(cats(p + 40 * P)));
    // MREMAP_DONTUNMAP
    to = mmap(NULL, 64 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    e = h.events;
    q = mremap(p, 16 * P, 16 * P, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    note("MREMAP_DONTUNMAP by the program: events %ld, old place %s, new place %s", h.events - e, cat_names(cats(p)),
         cat_names(cats(to)));
    helper_stop(&h);
    // costs, with and without events
    static const struct {
        const char *n;
        uint64_t f;
    } k[] = {{"none", 0},
             {"REMAP", F_EVENT_REMAP},
             {"REMAP|UNMAP", F_EVENT_REMAP | F_EVENT_UNMAP},
             {"REMAP|UNMAP|REMOVE", F_EVENT_REMAP | F_EVENT_UNMAP | F_EVENT_REMOVE}};
    for (int i = 0; i < 4; i++) {
        int g = uffd_open(FEATURES_BASE | k[i].f);
        static struct helper hh;
        helper_start(&hh, g, NULL);
        p = anon(4096 * P);
        uffd_reg(g, p, 4096 * P);
        uffd_wp(g, p, 4096 * P, true);
        char *x = p;
        e = hh.events;
        bool late = false;
        long before;
        double un = MEDIAN_US(101, 1, before = hh.events; munmap(x, 16 * P);
                              if (k[i].f & F_EVENT_UNMAP && hh.events == before) late = true; x += 16 * P);
        double dn = MEDIAN_US(101, 1, before = hh.events; madvise(x, 16 * P, MADV_DONTNEED);
                              if (k[i].f & F_EVENT_REMOVE && hh.events == before) late = true; x += 16 * P);
        char *o = anon(16 * P);
        double un0 = MEDIAN_US(101, 1, munmap(o, 16 * P); o = anon(16 * P));
        note("features %-20s munmap 64 KiB %.1f us, MADV_DONTNEED 64 KiB %.1f us, unregistered mmap+munmap %.1f us "
             "(events %ld, %s)",
             k[i].n, un, dn, un0, hh.events - e, late ? "some LATE: munmap had returned first" : "none late");
        before = hh.events;
        x = mmap(x, 16 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        note("MAP_FIXED over: events %ld", hh.events - before);
        uffd_unreg(g, p, 4096 * P);
        helper_stop(&hh);
        close(g);
    }
    // the same by brk
    {
        int g = uffd_open(FEATURES_BASE | F_EVENT_UNMAP);
        static struct helper hh;
        helper_start(&hh, g, NULL);
        char *b = sbrk(64 * P);
        b = (char *)(((uintptr_t)b + P - 1) & ~(P - 1));
        memset(b, 1, 32 * P);
        marked(g, b, 32 * P);
        e = hh.events;
        brk(b + 16 * P);
        for (int i = 0; i < 2000 && hh.events <= e; i++)
            usleep(1000);
        claim(hh.events > e, "brk shrink is told: %ld", hh.events - e);
        claim(cats(b) == (WPALLOWED | SWAPPED), "below the cut: %s", cat_names(cats(b)));
        brk(b + 64 * P);
        note("after growing again: %s", cat_names(cats(b + 20 * P)));
        claim(b[20 * P] == 0, "regrown heap reads zero");
        helper_stop(&hh);
        close(g);
    }
    return verdict();
}
