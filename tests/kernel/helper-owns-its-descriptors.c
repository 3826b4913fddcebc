// Claims: a task of our process with a descriptor table of its own (clone with CLONE_FILES, then close_range(0, ~0,
// CLOSE_RANGE_UNSHARE): an empty table, the program's descriptors are never copied) makes and keeps the userfaultfd unseen:
// no number of the program's table is ever taken, close_range(3, ~0) does not reach it, it holds no pipe end and no flock open,
// and the program's POSIX locks survive its start, its fetching of a descriptor (pidfd_getfd), its closing it, and its end.
// Also: what happens to missing pages when the userfaultfd is closed (they silently become zeros).
#include "raw.h"
#include <sys/eventfd.h>
#include <sys/file.h>
static bool locked_by_us(const char *path)
{
    fflush(stdout);
    pid_t k = fork();
    if (!k) {
        int f = open(path, O_RDWR);
        struct flock l = {.l_type = F_WRLCK};
        fcntl(f, F_GETLK, &l);
        _exit(l.l_type != F_UNLCK);
    }
    int st;
    waitpid(k, &st, 0);
    return WEXITSTATUS(st);
}
static int nfds(void)
{
    int n = 0;
    for (int i = 0; i < 3000; i++)
        n += fcntl(i, F_GETFD) >= 0;
    return n;
}
static _Atomic int lowest_bad, watching, watcher_on;
static void *watch(void *a)
{
    (void)a;
    watcher_on = 1;
    while (watching) {
        int f = open("/dev/null", O_RDONLY);
        if (f != 100)
            lowest_bad++;
        close(f);
    }
    return 0;
}
int main(void)
{
    char path[] = "/tmp/lazylockXXXXXX";
    int lf = mkstemp(path);
    if (ftruncate(lf, 64 * P))
        return 77;
    char page[P];
    for (int i = 0; i < 64; i++) {
        memset(page, i + 1, P);
        if (pwrite(lf, page, P, i * P) != P)
            return 77;
    }
    struct flock l = {.l_type = F_WRLCK};
    fcntl(lf, F_SETLK, &l);
    static struct raw_helper h;
    h.want_src = lf;
    h.eventfd = -1;
    uffd_open(FEATURES_BASE); // skips with 77 where there is none
    for (int i = 3; i < 100; i++)
        if (fcntl(i, F_GETFD) < 0)
            dup2(0, i); // the lowest free number is 100
    pthread_t w;
    watching = 1;
    pthread_create(&w, 0, watch, 0);
    while (!watcher_on)
        ;
    for (int i = 0; i < 200; i++) {
        if (raw_helper_start(&h, THREAD_FLAGS) < 0) {
            printf("start failed: %d\n", h.error);
            return 1;
        }
        raw_helper_stop(&h);
    }
    watching = 0;
    pthread_join(w, 0);
    claim(lowest_bad == 0, "200 starts and stops: no number of the program's table was ever taken (%d seen)",
          lowest_bad);
    claim(locked_by_us(path), "the POSIX lock survives 200 x (start, pidfd_getfd of the locked file, end)");
    int before = nfds(), tid = raw_helper_start(&h, THREAD_FLAGS);
    char link[64], t[128];
    int n = 0;
    for (int i = 0; i < 10; i++) {
        snprintf(link, 64, "/proc/self/task/%d/fd/%d", tid, i);
        ssize_t k = readlink(link, t, 127);
        if (k > 0) {
            t[k] = 0;
            note("helper's table: %d -> %s", i, t);
            n++;
        }
    }
    claim(n == 3, "the helper's table holds 3 descriptors, the program's %d -> %d", before, nfds());
    claim(nfds() == before, "the program's table is unchanged");
    char *b = anon(16 * P);
    h.base = b;
    h.req_p = b;
    h.req_n = 16 * P;
    double t0 = now_us();
    h.req = 1;
    while (h.req == 1)
        raw_fut_wait(&h.req, 1);
    note("a registration asked of the helper (it polls every 20 ms here): %s, %.0f us", h.req == 2 ? "done" : "failed",
         now_us() - t0);
    int pp[2];
    if (pipe(pp))
        return 77;
    for (int i = 3; i < 3000; i++)
        if (i != lf && i != pp[0] && i != pp[1] && i != pagemap_fd)
            close(i);
    close(pp[1]);
    char c;
    claim(read(pp[0], &c, 1) == 0, "a pipe made and closed by the program reads as ended: the helper holds no end");
    claim(b[3 * P] == 4, "after closing every descriptor a touch is still filled: %d", b[3 * P]);
    close_range(3, ~0u, 0);
    note("close_range(3, ~0)");
    claim(b[5 * P + 7] == 6,
          "after close_range too: %d (the file itself is closed in the program: the helper has its own)", b[5 * P + 7]);
    claim(!locked_by_us(path), "closing the file released the POSIX lock although the helper still has the file");
    // two processes' flock: the helper's copy keeps the description
    int f1 = open(path, O_RDWR), f2;
    flock(f1, LOCK_EX);
    raw_helper_stop(&h);
    h.want_src = f1;
    raw_helper_start(&h, THREAD_FLAGS);
    close(f1);
    f2 = open(path, O_RDWR);
    int r = flock(f2, LOCK_EX | LOCK_NB);
    note("flock after the program closed its descriptor while the helper has the file: %s (so: settle and let go in "
         "the close hook)",
         r ? "STILL HELD" : "free");
    // The kernel tells of a thread's end (CLEARTID) before it lets the thread's files go: hence the wait, and hence the filler
    // closes its files itself before it answers.
    raw_helper_stop(&h);
    for (int i = 0; i < 2000 && (r = flock(f2, LOCK_EX | LOCK_NB)) != 0; i++)
        usleep(1000);
    claim(r == 0, "free when the helper has ended and let its files go");
    claim(b[9 * P] == 0, "the helper and its userfaultfd gone: an empty page is silently zeros: %d", b[9 * P]);
    pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
    note("its state now: %s; a page not yet touched: %s", cat_names(cats(b + 9 * P)), cat_names(cats(b + 10 * P)));
    // costs
    h.want_src = f2;
    static double d[400], e[400];
    for (int i = 0; i < 400; i++) {
        double a = now_us();
        raw_helper_start(&h, THREAD_FLAGS);
        d[i] = now_us() - a;
        a = now_us();
        h.eventfd = -1;
        raw_helper_stop(&h);
        e[i] = now_us() - a;
    }
    qsort(d, 400, 8, by_double);
    qsort(e, 400, 8, by_double);
    note("start (clone, empty table, uffd, pagemap, pidfd_getfd, wake): median %.0f us, p99 %.0f; stop incl. its 20 ms "
         "poll: %.0f us",
         d[200], d[396], e[200]);
    for (int i = 3; i < 1000; i++)
        dup2(0, i);
    for (int i = 0; i < 100; i++) {
        double a = now_us();
        raw_helper_start(&h, THREAD_FLAGS);
        d[i] = now_us() - a;
        raw_helper_stop(&h);
    }
    qsort(d, 100, 8, by_double);
    note("start with 1000 descriptors open: %.0f us", d[50]);
    unlink(path);
    return verdict();
}
