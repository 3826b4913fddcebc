// Claim: what the kernel does to memory behind the program's back (huge pages always, khugepaged, MADV_COLLAPSE, swapping out,
// KSM, migration, NUMA-less compaction) never makes a changed page look unchanged, and never fills or loses an empty page.
#include "uffd.h"
#include <sys/swap.h>
static int fd;
static struct helper h;
static void put(const char *f, const char *v)
{
    int k = open(f, O_WRONLY);
    if (k >= 0) {
        if (write(k, v, strlen(v))) {
        }
        close(k);
    }
}
static void get(const char *f, char *v, int n)
{
    int k = open(f, O_RDONLY);
    int r = k >= 0 ? read(k, v, n - 1) : 0;
    v[r > 0 ? r : 0] = 0;
    if (k >= 0)
        close(k);
}
static const size_t HP = 2 << 20;
static char *huge(void)
{
    char *m = mmap(0, 3 * HP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *p = (char *)(((uintptr_t)m + HP - 1) & ~(HP - 1));
    madvise(p, HP, MADV_HUGEPAGE);
    memset(p, 1, HP);
    return p;
}
static void mark(char *p, size_t n)
{
    madvise(p, n, MADV_DONTNEED);
    if (uffd_reg(fd, p, n))
        perror("reg");
    if (uffd_wp(fd, p, n, true))
        perror("wp");
    h.base = p;
}
int main(void)
{
    fd = uffd_open(FEATURES_BASE);
    helper_start(&h, fd, 0);
    char *p = huge();
    note("populated as: %s", cat_names(cats(p)));
    mark(p, HP);
    long f = h.faults;
    claim(cats(p + 8 * P) == (WPALLOWED | SWAPPED), "huge page emptied and marked: %s", cat_names(cats(p + 8 * P)));
    p[8 * P] = 1;
    claim(h.faults == f + 1 && cats(p + 8 * P) == (WPALLOWED | WRITTEN | PRESENT) &&
              cats(p + 9 * P) == (WPALLOWED | SWAPPED),
          "one write populates one page, not a huge one");
    int r = madvise(p, HP, MADV_COLLAPSE);
    note("MADV_COLLAPSE over it: rc %d errno %d, faults %ld: %s / %s", r, r ? errno : 0, h.faults - f,
         cat_names(cats(p + 8 * P)), cat_names(cats(p + 9 * P)));
    claim(cats(p + 9 * P) == (WPALLOWED | SWAPPED) && (cats(p + 8 * P) & WRITTEN), "still told apart");
    // part of a huge page emptied
    char *q = huge();
    mark(q + 16 * P, 64 * P);
    claim(q[0] == 1 && q[15 * P] == 1 && q[80 * P] == 1 && cats(q + 16 * P) == (WPALLOWED | SWAPPED) &&
              cats(q + 79 * P) == (WPALLOWED | SWAPPED),
          "64 KiB emptied inside a huge page: neighbours keep their bytes: %s", cat_names(cats(q)));
    r = madvise(q, HP, MADV_COLLAPSE);
    note("MADV_COLLAPSE over the mixture: rc %d errno %d: %s", r, r ? errno : 0, cat_names(cats(q + 16 * P)));
    // all pages filled by us, then collapsed: is "not written" kept?
    char *c = huge();
    mark(c, HP);
    for (size_t i = 0; i < HP; i += P)
        (void)((volatile char *)c)[i];
    claim(scan_odd(c, HP, WPALLOWED | PRESENT, WRITTEN) == 0, "512 pages filled by us: none written");
    r = madvise(c, HP, MADV_COLLAPSE);
    note("MADV_COLLAPSE of 512 filled pages: rc %d errno %d: %s", r, r ? errno : 0, cat_names(cats(c)));
    c[100 * P] = 5;
    claim(cats(c + 100 * P) & WRITTEN, "then a write shows");
    // khugepaged with aggressive settings
    const char *kd = "/sys/kernel/mm/transparent_hugepage/";
    char o1[64], o2[64], o3[64], fn[128], en[128];
    snprintf(fn, 128, "%skhugepaged/scan_sleep_millisecs", kd);
    get(fn, o1, 64);
    snprintf(en, 128, "%senabled", kd);
    get(en, o2, 64);
    char *br = strchr(o2, '[');
    char was[16] = "madvise";
    if (br) {
        sscanf(br + 1, "%15[a-z]", was);
    }
    char an[128];
    snprintf(an, 128, "%skhugepaged/alloc_sleep_millisecs", kd);
    get(an, o3, 64);
    bool sys = getenv("OFFLOAD_TESTS_SYSTEM"); // allowed to change this machine's settings for two seconds
    if (sys) {
        put(en, "always");
        put(fn, "10");
    }
    if (sys)
        put(an, "10");
    char *k = huge();
    mark(k + 16 * P, 64 * P);
    f = h.faults;
    char *k2 = huge();
    mark(k2, HP);
    for (int i = 0; i < 100; i++)
        (void)((volatile char *)k2)[i * P];
    f = h.faults;
    usleep(1500000);
    claim(h.faults == f, "khugepaged filled nothing");
    claim(scan_odd(k + 16 * P, 64 * P, WPALLOWED | SWAPPED, WRITTEN | PRESENT) == 0,
          "khugepaged left the empty pages: %s", cat_names(cats(k + 16 * P)));
    claim(cats(k2 + 5 * P) == (WPALLOWED | PRESENT), "and the filled ones: %s", cat_names(cats(k2 + 5 * P)));
    if (sys) {
        put(fn, o1);
        put(an, o3);
        put(en, was);
    } else
        note("khugepaged not hurried (OFFLOAD_TESTS_SYSTEM)");
    // swap: a loop-free swap file on the root file system
    const char *sf = "/tmp/lazy-swapfile";
    int s = open(sf, O_CREAT | O_RDWR | O_TRUNC, 0600);
    char z[P] = {0};
    bool sw = false;
    for (int i = 0; i < 16384; i++)
        if (write(s, z, P) != P)
            break;
    fsync(s);
    close(s);
    char cmd[160];
    snprintf(cmd, 160, "mkswap -q %s >/dev/null 2>&1", sf);
    if (sys && system(cmd) == 0 && swapon(sf, 0) == 0)
        sw = true;
    if (sw) {
        char *w = anon(64 * P);
        mark(w, 64 * P);
        for (int i = 0; i < 16; i++)
            (void)((volatile char *)w)[i * P]; // filled
        for (int i = 16; i < 32; i++)
            w[i * P] = 7; // written
        r = madvise(w, 64 * P, MADV_PAGEOUT);
        int sd = 0;
        for (int i = 0; i < 32; i++)
            sd += !!(cats(w + i * P) & SWAPPED);
        note("MADV_PAGEOUT rc %d: %d of 32 pages swapped out; filled: %s written: %s empty: %s", r, sd,
             cat_names(cats(w)), cat_names(cats(w + 16 * P)), cat_names(cats(w + 40 * P)));
        claim(!(cats(w) & WRITTEN) && (cats(w + 16 * P) & WRITTEN) && cats(w + 40 * P) == (WPALLOWED | SWAPPED),
              "swapped out: filled stays unwritten, written stays written, empty stays marked");
        note("NOTE: a filled page on swap looks like an empty one (both SWAPPED, not WRITTEN): valid as proof of "
             "unchanged, not of empty");
        f = h.faults;
        claim((unsigned char)w[3 * P] == 0xA3 && h.faults == f && cats(w + 3 * P) == (WPALLOWED | PRESENT),
              "swapped in by a read: right bytes, no fault to us, still unwritten: %s", cat_names(cats(w + 3 * P)));
        claim(w[20 * P] == 7 && (cats(w + 20 * P) & WRITTEN), "written page back: still written");
        w[4 * P] = 9;
        claim((unsigned char)w[4 * P + 1] == 0xA4 && (cats(w + 4 * P) & WRITTEN),
              "write to a swapped-out filled page shows");
        swapoff(sf);
        claim(!(cats(w + 8 * P) & WRITTEN) && (unsigned char)w[8 * P] == 0xA8, "swapoff brings it back unwritten: %s",
              cat_names(cats(w + 8 * P)));
    } else
        note("swap: not tested");
    unlink(sf);
    // KSM
    char ks[16];
    get("/sys/kernel/mm/ksm/run", ks, 16);
    char *m1 = anon(64 * P), *m2 = anon(64 * P);
    mark(m1, 64 * P);
    h.base = m1;
    mark(m2, 64 * P);
    h.base = m2;
    for (int i = 0; i < 16; i++) {
        h.base = m1;
        (void)((volatile char *)m1)[i * P];
        h.base = m2;
        m2[i * P] = (char)(0xA0 + i);
    }
    madvise(m1, 64 * P, MADV_MERGEABLE);
    madvise(m2, 64 * P, MADV_MERGEABLE);
    char sl[32];
    get("/sys/kernel/mm/ksm/sleep_millisecs", sl, 32);
    if (sys) {
        put("/sys/kernel/mm/ksm/sleep_millisecs", "5");
        put("/sys/kernel/mm/ksm/pages_to_scan", "1000");
        put("/sys/kernel/mm/ksm/run", "1");
        usleep(800000);
    }
    char ps[32];
    get("/sys/kernel/mm/ksm/pages_sharing", ps, 32);
    if (sys) {
        put("/sys/kernel/mm/ksm/run", ks);
        put("/sys/kernel/mm/ksm/sleep_millisecs", sl);
        put("/sys/kernel/mm/ksm/pages_to_scan", "100");
    }
    note("KSM pages_sharing %d; filled: %s written: %s empty: %s", atoi(ps), cat_names(cats(m1)), cat_names(cats(m2)),
         cat_names(cats(m1 + 40 * P)));
    claim((cats(m2) & WRITTEN) && cats(m1 + 40 * P) == (WPALLOWED | SWAPPED),
          "KSM: written stays written, empty stays marked");
    m1[0] = 1;
    claim(cats(m1) & WRITTEN, "KSM: a write after merging shows");
    // migration
    unsigned long node = 1;
    syscall(SYS_mbind, m1, 64 * P, 2, &node, 8, 2);
    claim(cats(m1 + 41 * P) == (WPALLOWED | SWAPPED), "mbind: empty stays marked: %s filled: %s",
          cat_names(cats(m1 + 41 * P)), cat_names(cats(m1 + 5 * P)));
    put("/proc/sys/vm/compact_memory", "1");
    claim(cats(m1 + 41 * P) == (WPALLOWED | SWAPPED) && !(cats(m1 + 6 * P) & WRITTEN),
          "compaction: empty stays marked");
    return verdict();
}
