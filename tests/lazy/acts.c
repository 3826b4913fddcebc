/*
 * Copies ../source to ./copy by read and write, and in the middle does one thing to the buffer between a read and its
 * write, or between a write and the next read. Prints what it sees: all of it must be the same with the library and
 * without, and so must the files that are left.
 *
 * usage: acts NAME [OFFSET [LENGTH]]     OFFSET: of the buffer in its first page; LENGTH: of a read
 *        acts --list
 */
#include "../older.h"
#include "../transparency/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define BEFORE 40 /* reads and writes before the act */

extern char **environ;

static int in, out;
static char *area; /* the mapping that the buffer lies in */
static size_t area_size;
static char *buffer;          /* where reads go */
static size_t length = 65536; /* what a read asks for */
static ssize_t got;           /* what the last read gave */

static void check(bool fine, const char *what)
{
    if (!fine) {
        printf("cannot %s: %s\n", what, strerror(errno));
        exit(99);
    }
}

/* ---- seeing ---- */

static uint64_t sum_of(const void *bytes, size_t n)
{
    uint64_t sum = 14695981039346656037U;
    const unsigned char *c = bytes;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ c[i]) * 1099511628211U;
    return sum;
}

static void show_at(const char *what, const void *bytes, size_t n)
{
    printf("%s %016llx\n", what, (unsigned long long)sum_of(bytes, n));
    fflush(stdout);
}

static void show(const char *what)
{
    show_at(what, buffer, (size_t)got);
}

static void show_result(const char *what, long result)
{
    int kept = errno;
    printf("%s %ld %s\n", what, result, result < 0 ? strerror(kept) : "");
    fflush(stdout);
}

static void show_raw(const char *what, long result)
{
    if (result < 0)
        errno = (int)-result;
    show_result(what, result < 0 ? -1 : result);
}

/* ---- copying ---- */

static ssize_t get(void)
{
    got = read(in, buffer, length);
    if (got < 0)
        show_result("read", got);
    return got;
}

static void put(void)
{
    if (got <= 0)
        return;
    ssize_t done = write(out, buffer, (size_t)got);
    if (done != got)
        show_result("write", done);
}

static void pairs(int count)
{
    while (count-- && get() > 0)
        put();
}

static void rest(void)
{
    while (get() > 0)
        put();
}

static char *pages_for(size_t n)
{
    char *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(at != MAP_FAILED, "map memory");
    return at;
}

/* The whole pages of the buffer, of which there must be some. */
static char *inner(void)
{
    return (char *)(((uintptr_t)buffer + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
}

static size_t inner_size(void)
{
    return (((uintptr_t)buffer + length) & ~(uintptr_t)(PAGE - 1)) - (uintptr_t)inner();
}

/* ---- looking ---- */

static void looks_always(void)
{
    while (get() > 0) {
        show("sum");
        put();
    }
}

static void looks_once(void)
{
    get();
    show("sum");
    put();
}

/* The source would fit; but the kernel asks for what no memory has room for. */
static void reads_more_than_memory(void)
{
    volatile size_t all = SIZE_MAX; /* the compiler is not to know it */
    char *at = pages_for(16 << 20);
    pairs(2);
    show_result("read", read(in, at, all));
    show_result("at", lseek(in, 0, SEEK_CUR));
    rest();
}

static void looks_at_first_byte(void)
{
    while (get() > 0) {
        printf("%02x ", buffer[0]);
        put();
    }
}

static void looks_at_last_byte(void)
{
    while (get() > 0) {
        printf("%02x ", buffer[got - 1]);
        put();
    }
}

static void looks_at_one_byte_in_each_page(void)
{
    get();
    for (ssize_t i = 77; i < got; i += PAGE)
        printf("%02x ", buffer[i]);
    put();
}

static void looks_after_the_write(void)
{
    get();
    put();
    show("after");
    pairs(3);
    show("after more");
}

static void looks_for_zeros(void)
{
    while (get() > 0) {
        bool empty = true;
        for (ssize_t i = 0; i < got && empty; i++)
            empty = buffer[i] == 0;
        putchar(empty ? '0' : '1');
        put();
    }
}

static void looks_at_the_end(void)
{
    rest();
    show_at("buffer", buffer, length);
}

static void read_ever_less(bool looks)
{
    size_t full = length;
    for (int i = 0; i < 12; i++) {
        length = full - (size_t)i * 5000;
        get();
        put();
        if (looks)
            show_at("whole buffer", buffer, full);
    }
    if (!looks)
        show_at("whole buffer", buffer, full);
    length = full;
}

static void shorter_reads(void)
{
    read_ever_less(true);
}

static void shorter_reads_unseen(void)
{
    read_ever_less(false);
}

static void reads_many_then_looks(void)
{
    enum { MANY = 100 };
    char *many = pages_for(MANY * (length + PAGE));
    for (int i = 0; i < MANY; i++) {
        got = read(in, many + (size_t)i * (length + PAGE) + 16, length);
        if (got > 0 && write(out, many + (size_t)i * (length + PAGE) + 16, (size_t)got) != got)
            puts("short");
    }
    show_at("all", many, MANY * (length + PAGE));
}

static void buffers_in_turn(void)
{
    char *one = buffer, *two = pages_for(length + PAGE) + 16;
    for (int i = 0; i < 20; i++) {
        ssize_t a = read(in, one, length), b = read(in, two, length);
        if (i == 10)
            show_at("first", one, (size_t)a);
        if (write(out, one, (size_t)a) != a || write(out, two, (size_t)b) != b)
            puts("short");
        if (i == 15)
            show_at("second", two, (size_t)b);
    }
}

static void swapped_buffers(void)
{
    char *one = buffer, *two = pages_for(length + PAGE) + 16;
    ssize_t a = read(in, one, length), b = read(in, two, length);
    if (write(out, two, (size_t)b) != b || write(out, one, (size_t)a) != a)
        puts("short");
    show_at("first", one, (size_t)a);
    show_at("second", two, (size_t)b);
}

static void reads_twice_before_writing(void)
{
    get();
    get();
    put();
}

static void writes_twice(void)
{
    get();
    put();
    put();
}

static void writes_half_from_the_middle(void)
{
    get();
    if (write(out, buffer + 8192, (size_t)got - 8192) < 0)
        puts("failed");
}

static void overlapping_buffers(void)
{
    char *large = pages_for(4 * length);
    for (int i = 0; i < 20; i++) {
        char *at = large + (i * 5 % 13) * PAGE + (i % 3 ? 0 : 16);
        got = read(in, at, length);
        if (i % 4 == 3)
            show_at("around", large, 4 * length);
        if (write(out, at, (size_t)got) != got)
            puts("short");
    }
    show_at("around", large, 4 * length);
}

/* ---- changing ---- */

static void changes_and_changes_back(void)
{
    get();
    buffer[length / 2] ^= 1;
    buffer[length / 2] ^= 1;
    put();
}

static void changes_after_the_write(void)
{
    get();
    put();
    memset(buffer, 'x', length);
    get();
    show("next");
    put();
}

static void fills_by_memcpy(void)
{
    get();
    memcpy(buffer + 100, buffer + 30100, 30000);
    show("moved");
    put();
}

/* ---- memory that goes ---- */

static void unmaps(bool raw, bool fixed)
{
    char *at = inner();
    size_t n = inner_size();
    if (raw) {
        if (!fixed)
            show_raw("munmap", raw3(SYS_munmap, (long)at, (long)n, 0));
        raw6(SYS_mmap, (long)at, (long)n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    } else {
        if (!fixed)
            show_result("munmap", munmap(at, n));
        check(mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at, "map again");
    }
}

#define BETWEEN(name, action)                      \
    static void name##_before_the_write(void)      \
    {                                              \
        get();                                     \
        action;                                    \
        put();                                     \
    }                                              \
    static void name##_and_looks(void)             \
    {                                              \
        get();                                     \
        action;                                    \
        show("seen");                              \
        put();                                     \
    }                                              \
    static void name##_after_the_write(void)       \
    {                                              \
        get();                                     \
        put();                                     \
        action;                                    \
        show("seen");                              \
        get();                                     \
        put();                                     \
        show("seen next");                         \
    }                                              \
    static void name##_part_before_the_write(void) \
    {                                              \
        char *kept = buffer;                       \
        size_t all = length;                       \
        get();                                     \
        buffer = inner() + 5 * PAGE;               \
        length = 3 * PAGE;                         \
        action;                                    \
        buffer = kept;                             \
        length = all;                              \
        put();                                     \
        show("seen");                              \
    }

BETWEEN(unmaps, unmaps(false, false))
BETWEEN(unmaps_raw, unmaps(true, false))
BETWEEN(maps_over, unmaps(false, true))
BETWEEN(maps_over_raw, unmaps(true, true))
BETWEEN(dontneed, show_result("madvise", madvise(inner(), inner_size(), MADV_DONTNEED)))
BETWEEN(dontneed_raw, show_raw("madvise", raw3(SYS_madvise, (long)inner(), (long)inner_size(), MADV_DONTNEED)))
/* Leaves one page of the buffer in a mapping of its own; pages that are filled together then lie in several. */
BETWEEN(cuts_the_mapping_raw, show_raw("madvise", raw3(SYS_madvise, (long)inner() + 2 * PAGE, PAGE, MADV_DONTDUMP)))
/* What is read from a page after MADV_FREE may be its bytes or zeros; what is written is not (madvise(2)). */
BETWEEN(free_raw, (show_raw("madvise", raw3(SYS_madvise, (long)inner(), (long)inner_size(), MADV_FREE)),
                   memset(inner(), 'f', inner_size())))
BETWEEN(protects_none_and_back_raw,
        (raw3(SYS_mprotect, (long)inner(), (long)inner_size(), PROT_NONE),
         show_raw("mprotect", raw3(SYS_mprotect, (long)inner(), (long)inner_size(), PROT_READ | PROT_WRITE))))

static void maps_file_over_raw(void)
{
    get();
    int fd = open("/proc/self/exe", O_RDONLY);
    raw6(SYS_mmap, (long)inner(), 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
    close(fd);
    printf("%02x%02x%02x\n", inner()[0], inner()[1], inner()[2]);
    put();
    /* What of the program's own file is in the copy differs from build to build, not from run to run. */
}

static void moves(bool raw, bool leave)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (leave ? MREMAP_DONTUNMAP : 0);
    char *there = pages_for(area_size);
    get();
    if (raw)
        show_raw("mremap", raw6(SYS_mremap, (long)area, (long)area_size, (long)area_size, flags, (long)there, 0) < 0
                               ? -EINVAL
                               : 0);
    else
        show_result("mremap", mremap(area, area_size, area_size, flags, there) == MAP_FAILED ? -1 : 0);
    char *old = buffer;
    buffer = there + (buffer - area);
    area = there;
    show("moved");
    put();
    if (leave)
        show_at("left", old, length);
    pairs(3);
}

static void mremap_moves(void)
{
    moves(false, false);
}

static void mremap_leaves(void)
{
    moves(false, true);
}

static void mremap_grows(void)
{
    get();
    char *there = mremap(area, area_size, 64 * area_size, MREMAP_MAYMOVE);
    check(there != MAP_FAILED, "mremap");
    buffer = there + (buffer - area);
    area = there;
    area_size *= 64;
    put();
    show("grown");
}

/* Its first bytes are those of a read, which leaves the pages between empty. */
static void mremap_grows_what_is_new(void)
{
    size_t before = (size_t)(buffer - area);
    area = pages_for(area_size + 4 * PAGE);
    buffer = area + before;
    get();
    char *there = mremap(area, area_size + 4 * PAGE, 64 * area_size, MREMAP_MAYMOVE);
    check(there != MAP_FAILED, "mremap");
    buffer = there + before;
    area = there;
    area_size *= 64;
    put();
    show("grown");
}

static void mremap_shrinks(void)
{
    get();
    show_result("mremap", mremap(area, area_size, area_size / 2, 0) == MAP_FAILED ? -1 : 0);
    ssize_t done = write(out, buffer, area_size / 2 - (size_t)(buffer - area));
    show_result("write", done);
    got = done;
    show("left");
    length = (size_t)done;
}

/* ---- memory that may not be touched ---- */

static void protected_before_the_read(int protection)
{
    mprotect(inner(), inner_size(), protection);
    for (int i = 0; i < 3; i++)
        get();
    mprotect(inner(), inner_size(), PROT_READ | PROT_WRITE);
    got = (ssize_t)length;
    show("unread");
    pairs(3);
    show("read");
}

static void none_before_the_read(void)
{
    protected_before_the_read(PROT_NONE);
}

static void read_only_before_the_read(void)
{
    protected_before_the_read(PROT_READ);
}

static void none_before_the_write(void)
{
    get();
    mprotect(inner(), inner_size(), PROT_NONE);
    put();
    mprotect(inner(), inner_size(), PROT_READ | PROT_WRITE);
    show("unwritten");
}

static void read_only_before_the_write(void)
{
    get();
    mprotect(inner(), inner_size(), PROT_READ);
    put();
    show("read only");
    mprotect(inner(), inner_size(), PROT_READ | PROT_WRITE);
}

static void unmapped_before_the_read(void)
{
    char *kept = buffer;
    munmap(inner(), PAGE);
    for (int i = 0; i < 3; i++)
        get();
    buffer = pages_for(length + PAGE);
    get();
    put();
    buffer = kept;
    mmap(inner(), PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void unmapped_before_the_write_raw(void)
{
    char *page = inner() + 3 * PAGE;
    get();
    raw3(SYS_munmap, (long)page, PAGE, 0);
    show_result("write", write(out, buffer, (size_t)got));
    raw6(SYS_mmap, (long)page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void locked(bool all)
{
    get();
    show_result("lock", all ? mlockall(MCL_CURRENT | MCL_FUTURE) : mlock(inner(), inner_size()));
    put();
    show("locked");
    pairs(5);
    show("locked still");
}

static void locks_the_buffer(void)
{
    locked(false);
}

static void locks_all_memory(void)
{
    locked(true);
}

static void lock_raw(void)
{
    get();
    show_raw("lock", raw3(SYS_mlock, (long)inner(), (long)inner_size(), 0));
    put();
    pairs(5);
    show("locked");
}

static void huge_pages(void)
{
    size_t huge = 2 << 20;
    char *at = pages_for(4 * huge);
    at = (char *)(((uintptr_t)at + huge - 1) & ~(uintptr_t)(huge - 1));
    madvise(at, 2 * huge, MADV_HUGEPAGE);
    memset(at, 'h', 2 * huge);
    buffer = at + 16;
    length = huge;
    pairs(2);
    at[huge / 2] ^= 1;
    put();
    get();
    show("in a huge page");
    put();
    show_at("around", at, 2 * huge);
}

/* ---- the allocator ---- */

static void from_malloc(size_t n, bool zeroed)
{
    char *kept = buffer;
    for (int i = 0; i < 30; i++) {
        buffer = malloc(n);
        length = n;
        get();
        put();
        if (i == 7)
            show("looked");
        free(buffer);
        if (zeroed) {
            char *zeros = calloc(1, n);
            show_at("zeros", zeros, n);
            free(zeros);
        }
    }
    buffer = kept;
    length = 65536;
}

static void small_from_malloc(void)
{
    from_malloc(50000, false);
}

static void large_from_malloc(void)
{
    from_malloc(300000, false);
}

static void small_then_calloc(void)
{
    from_malloc(50000, true);
}

static void large_then_calloc(void)
{
    from_malloc(300000, true);
}

static void reallocated(size_t first, size_t second)
{
    char *kept = buffer;
    for (int i = 0; i < 10; i++) {
        buffer = malloc(first);
        length = first < second ? first : second;
        get();
        buffer = realloc(buffer, second);
        if (i % 2)
            show("looked");
        put();
        free(buffer);
    }
    buffer = kept;
    length = 65536;
}

static void realloc_grows_small(void)
{
    reallocated(50000, 90000);
}

static void realloc_grows_large(void)
{
    reallocated(300000, 900000);
}

static void realloc_shrinks(void)
{
    reallocated(900000, 300000);
}

static void break_goes_and_comes(void)
{
    char *kept = buffer;
    buffer = sbrk(100000);
    get();
    char *end = sbrk(0);
    check(brk(buffer) == 0, "lower the break");
    check(brk(end) == 0, "raise the break");
    show("zeros");
    put();
    buffer = kept;
}

static void on_the_stack(void)
{
    char here[200000];
    char *kept = buffer;
    buffer = here + 5;
    for (int i = 0; i < 10; i++) {
        get();
        if (i == 5)
            here[33333] ^= 1;
        put();
    }
    show_at("stack", here + 5, (size_t)got);
    buffer = kept;
}

/* ---- other processes and threads ---- */

static void wait_for(pid_t child)
{
    int status;
    check(waitpid(child, &status, 0) == child, "wait");
    printf("child ended with %x\n", status);
}

static void child_looks(void)
{
    get();
    pid_t child = fork();
    if (child == 0) {
        show("child");
        _exit(3);
    }
    wait_for(child);
    put();
    show("parent");
}

static void child_looks_after_the_write(void)
{
    get();
    put();
    pid_t child = fork();
    if (child == 0) {
        show("child");
        _exit(3);
    }
    wait_for(child);
    show("parent");
}

static void child_goes_on(void)
{
    get();
    pid_t child = fork();
    if (child == 0) {
        put();
        pairs(5);
        show("child");
        _exit(3);
    }
    wait_for(child);
    pairs(5);
    show("parent");
}

static void vfork_child_looks(void)
{
    get();
    pid_t child = vfork();
    if (child == 0) {
        int fd = (int)raw4(SYS_openat, AT_FDCWD, (long)"seen", O_CREAT | O_WRONLY, 0600);
        raw3(SYS_write, fd, (long)buffer, got);
        raw1(SYS_exit_group, 4);
    }
    wait_for(child);
    put();
}

static void spawns(void)
{
    char *arguments[] = {"sh", "-c", "cksum <copy; stat -c %s copy", NULL};
    pid_t child;
    get();
    fflush(stdout);
    check(posix_spawnp(&child, "sh", NULL, NULL, arguments, environ) == 0, "spawn");
    wait_for(child);
    put();
    show("parent");
}

static void calls_system(void)
{
    get();
    fflush(stdout);
    printf("%d\n", system("cksum <copy"));
    put();
    show("parent");
}

static void execs(void)
{
    get();
    fflush(stdout);
    execlp("cksum", "cksum", "copy", NULL);
}

/* Nothing of the copy goes on beside the program that this one becomes; that something has ended, it has to be told by wait(2). */
static void execs_raw(void)
{
    char *arguments[] = {
        "sh", "-c",
        "for i in $(seq 100); do ps -o stat=,comm= --ppid $$ | grep -q '^[^Z].*offload-fill' || exit 0; sleep 0.1; "
        "done; exit 9",
        NULL};
    get();
    fflush(stdout);
    raw3(SYS_execve, (long)"/bin/sh", (long)arguments, (long)environ);
}

static void *thread_looks(void *nothing)
{
    show("thread");
    return nothing;
}

static void *thread_changes(void *nothing)
{
    buffer[got / 3] ^= 1;
    return nothing;
}

static void by_thread(void *(*does)(void *))
{
    pthread_t thread;
    check(pthread_create(&thread, NULL, does, NULL) == 0, "start a thread");
    pthread_join(thread, NULL);
}

static void new_thread_looks(void)
{
    get();
    by_thread(thread_looks);
    put();
}

static void new_thread_changes(void)
{
    get();
    by_thread(thread_changes);
    put();
}

static void *thread_copies(void *rank)
{
    char name[32];
    snprintf(name, sizeof name, "copy.%ld", (long)rank);
    int from = open("../source", O_RDONLY | O_CLOEXEC), to = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    char *mine = malloc(100000);
    ssize_t n;
    for (int i = 0; (n = read(from, mine, 100000)) > 0; i++) {
        if (i == 60 + (long)rank)
            mine[50000] ^= 1;
        if (write(to, mine, (size_t)n) != n)
            puts("short");
    }
    free(mine);
    close(from);
    close(to);
    return NULL;
}

static void many_threads(void)
{
    pthread_t threads[32];
    get();
    for (long i = 0; i < 32; i++)
        check(pthread_create(&threads[i], NULL, thread_copies, (void *)i) == 0, "start a thread");
    put();
    pairs(20);
    for (int i = 0; i < 32; i++)
        pthread_join(threads[i], NULL);
}

/* A second process, made before the copy begins, which does things to the first when told. */
static int telling[2], told[2];

enum remote {
    READ_MEMORY,
    WRITE_MEMORY,
    OVERWRITE,
    TRUNCATE,
    UNLINK,
    STOP,
    EXCHANGE,
    OVERWRITE_COPY,
    MAP_SOURCE,
    STORE_INTO_SOURCE,
    OVERWRITE_QUIETLY,
    TRACE
};

struct order {
    enum remote what;
    pid_t who;
    void *at;
    size_t n;
};

static void overwrite_copy(void);
static char *mapped;

static void map_source(void)
{
    int fd = open("../changing", O_RDWR | O_CLOEXEC);
    mapped = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(mapped != MAP_FAILED, "map the source");
    memset(mapped + (1 << 20), 'm', 4 << 20);
}

static void overwrite_source(bool all)
{
    char other[8192];
    int fd = open("../changing", O_WRONLY | O_CLOEXEC);
    memset(other, 'Z', sizeof other);
    for (off_t at = 0; at < (all ? 8000000 : 8192); at += (off_t)sizeof other)
        if (pwrite(fd, other, sizeof other, at) < 0)
            puts("cannot overwrite");
    close(fd);
}

/* With the time of modification that it had. */
static void overwrite_quietly(void)
{
    struct stat was;
    check(stat("../changing", &was) == 0, "look at the source");
    overwrite_source(true);
    const struct timespec times[] = {was.st_atim, was.st_mtim};
    check(utimensat(AT_FDCWD, "../changing", times, 0) == 0, "set the time back");
}

/* As a debugger: after a while, in which the program stands still, its memory is looked at. */
static void trace(const struct order *order)
{
    int status;
    long word, sum = 0;
    check(ptrace(PTRACE_ATTACH, order->who, NULL, NULL) == 0, "attach");
    check(waitpid(order->who, &status, 0) == order->who, "wait for the program");
    usleep(300000);
    for (size_t i = 0; i + sizeof word <= order->n; i += 512) {
        errno = 0;
        word = ptrace(PTRACE_PEEKDATA, order->who, (char *)order->at + i, NULL);
        if (errno)
            show_result("peek", -1);
        sum = (sum << 1 | (sum < 0)) ^ word;
    }
    printf("peeked %lx\n", (unsigned long)sum);
    check(ptrace(PTRACE_DETACH, order->who, NULL, NULL) == 0, "detach");
    fflush(stdout);
}

static void carry_out(const struct order *order)
{
    struct iovec there = {order->at, order->n}, here = {malloc(order->n + 1), order->n};
    switch (order->what) {
    case READ_MEMORY:
        show_result("process_vm_readv", process_vm_readv(order->who, &here, 1, &there, 1, 0));
        show_at("from outside", here.iov_base, order->n);
        break;
    case WRITE_MEMORY:
        memset(here.iov_base, 'w', order->n);
        show_result("process_vm_writev", process_vm_writev(order->who, &here, 1, &there, 1, 0));
        break;
    case OVERWRITE:
        overwrite_source(true);
        break;
    case OVERWRITE_QUIETLY:
        overwrite_quietly();
        break;
    case TRUNCATE:
        check(truncate("../changing", 12345) == 0, "truncate");
        break;
    case UNLINK:
        unlink("../changing");
        break;
    case EXCHANGE:
        check(rename("../changing", "../changed") == 0, "rename");
        break;
    case OVERWRITE_COPY:
        overwrite_copy();
        break;
    case MAP_SOURCE:
        map_source();
        break;
    case STORE_INTO_SOURCE:
        memset(mapped + (1 << 20), 'n', 4 << 20);
        break;
    case TRACE:
        trace(order);
        break;
    case STOP:
        kill(order->who, SIGSTOP);
        usleep(200000);
        kill(order->who, SIGCONT);
        break;
    }
    free(here.iov_base);
}

static void serve(void)
{
    struct order order;
    close(telling[1]);
    while (raw3(SYS_read, telling[0], (long)&order, sizeof order) == sizeof order) {
        carry_out(&order);
        raw3(SYS_write, told[1], (long)"", 1);
    }
    _exit(0);
}

static void start_other(void)
{
    check(pipe2(telling, O_CLOEXEC) == 0 && pipe2(told, O_CLOEXEC) == 0, "make pipes");
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    if (fork() == 0)
        serve();
}

static void tell(enum remote what, void *at, size_t n)
{
    struct order order = {what, getpid(), at, n};
    char done;
    fflush(stdout);
    raw3(SYS_write, telling[1], (long)&order, sizeof order);
    raw3(SYS_read, told[0], (long)&done, 1);
}

static void other_process_reads(void)
{
    get();
    tell(READ_MEMORY, buffer, length);
    put();
    get();
    put();
    tell(READ_MEMORY, buffer, length);
}

static void other_process_writes(void)
{
    get();
    tell(WRITE_MEMORY, buffer + 30000, 10);
    put();
    show("written from outside");
}

/* The source of these is a file of the run's own. */
static void begin_changing_file(int before)
{
    close(in);
    in = open("../changing", O_RDWR | O_CLOEXEC);
    check(in >= 0, "open the changing file");
    int again = open("other", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    dup3(again, out, O_CLOEXEC);
    close(again);
    pairs(before);
}

static void from_changing_file(void)
{
    begin_changing_file(BEFORE);
}

#define MEANWHILE(name, what)                                       \
    static void name(void)                                          \
    {                                                               \
        from_changing_file();                                       \
        get();                                                      \
        tell(what, NULL, 0);                                        \
        show("as it was");                                          \
        put();                                                      \
    }                                                               \
    static void name##_unseen(void)                                 \
    {                                                               \
        from_changing_file();                                       \
        get();                                                      \
        tell(what, NULL, 0);                                        \
        put();                                                      \
        show("as it was");                                          \
    }                                                               \
    static void name##_after_the_write(void)                        \
    {                                                               \
        from_changing_file();                                       \
        get();                                                      \
        put();                                                      \
        tell(what, NULL, 0);                                        \
        show("as it was");                                          \
    }                                                               \
    static void name##_and_it_is_written_elsewhere_raw(void)        \
    {                                                               \
        from_changing_file();                                       \
        get();                                                      \
        tell(what, NULL, 0);                                        \
        int fd = open("seen", O_CREAT | O_WRONLY, 0600);            \
        show_raw("write", raw3(SYS_write, fd, (long)buffer, got));  \
        put();                                                      \
    }                                                               \
    static void name##_and_it_is_written_to_the_copy_raw(void)      \
    {                                                               \
        from_changing_file();                                       \
        get();                                                      \
        tell(what, NULL, 0);                                        \
        show_raw("write", raw3(SYS_write, out, (long)buffer, got)); \
    }

MEANWHILE(source_overwritten, OVERWRITE)
MEANWHILE(source_truncated, TRUNCATE)
MEANWHILE(source_unlinked, UNLINK)
MEANWHILE(source_renamed, EXCHANGE)

static void stopped_and_continued(void)
{
    get();
    tell(STOP, NULL, 0);
    put();
    get();
    show("after");
    put();
}

static void looked_at_by_a_debugger(void)
{
    get();
    tell(TRACE, buffer, length);
    put();
    pairs(2);
    get();
    tell(TRACE, buffer, length);
    put();
}

/* ---- more that other programs do to the files ---- */

static void overwrite_copy(void)
{
    char other[8192];
    memset(other, 'Y', sizeof other);
    int fd = open("other", O_WRONLY | O_CLOEXEC);
    for (off_t at = 0; at < 2800000; at += (off_t)sizeof other)
        check(pwrite(fd, other, sizeof other, at) > 0, "overwrite the copy");
    close(fd);
}

static void both_files_overwritten(void)
{
    from_changing_file();
    get();
    tell(OVERWRITE, NULL, 0);
    tell(OVERWRITE_COPY, NULL, 0);
    show("as it was");
}

static void copy_overwritten(void)
{
    from_changing_file();
    get();
    tell(OVERWRITE_COPY, NULL, 0);
    show("as it was");
}

/* What was read and then sought over becomes a hole in the copy, which can give the bytes no more. */
static void sought_over_and_the_source_overwritten(void)
{
    from_changing_file();
    char *first = buffer, *second = pages_for(length + PAGE) + 16;
    ssize_t n = get();
    lseek(out, n, SEEK_CUR);
    buffer = second;
    get();
    put();
    tell(OVERWRITE, NULL, 0);
    show_at("as it was", first, (size_t)n);
    buffer = first;
}

static void copy_overwritten_before_the_write(void)
{
    from_changing_file();
    get();
    tell(OVERWRITE_COPY, NULL, 0);
    put();
}

/* Of what lies before the mark the copy may have other bytes than the source. */
static void reads_again_what_it_has_changed(void)
{
    begin_changing_file(3);
    check(pwrite(out, "changed", 7, 4096) == 7, "change the copy");
    pairs(20);
    off_t at = lseek(in, 0, SEEK_CUR);
    lseek(in, 0, SEEK_SET);
    get();
    tell(OVERWRITE, NULL, 0);
    show("as it was");
    lseek(in, at, SEEK_SET);
}

/* Nor has it what was never written: there it has a hole. */
static void reads_what_it_has_sought_over(void)
{
    from_changing_file();
    off_t at = lseek(in, 0, SEEK_CUR);
    lseek(in, (off_t)length, SEEK_CUR);
    lseek(out, (off_t)length, SEEK_CUR);
    pairs(3);
    off_t on = lseek(in, 0, SEEK_CUR);
    lseek(in, at, SEEK_SET);
    get();
    tell(OVERWRITE, NULL, 0);
    show("as it was");
    lseek(in, on, SEEK_SET);
}

static void source_overwritten_and_its_time_set_back(void)
{
    from_changing_file();
    get();
    tell(OVERWRITE_QUIETLY, NULL, 0);
    show("as it was");
}

/* Then the copy alone has the bytes, though it is not quite as it was. */
static void source_overwritten_and_the_copy_given_rights_raw(void)
{
    char other[65536];
    from_changing_file();
    off_t at = lseek(in, 0, SEEK_CUR);
    get();
    memset(other, 'Z', sizeof other);
    show_raw("pwrite", raw4(SYS_pwrite64, in, (long)other, sizeof other, at));
    show_raw("fchmod", raw3(SYS_fchmod, out, 0640, 0));
    show("as it was");
    put();
}

static void source_mapped_and_changed(void)
{
    tell(MAP_SOURCE, NULL, 0);
    from_changing_file();
    get();
    tell(STORE_INTO_SOURCE, NULL, 0);
    show("as it was");
    put();
}

static void not_in_the_cache(void)
{
    posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(in, 0, 0, POSIX_FADV_RANDOM);
    posix_fadvise(out, 0, 0, POSIX_FADV_DONTNEED);
    get();
    show("cold");
    put();
    get();
    put();
    show("cold after the write");
}

static volatile sig_atomic_t lease_broken;

static void break_comes(int number)
{
    (void)number;
    lease_broken = 1;
}

static void copy_is_leased(void)
{
    signal(SIGIO, break_comes);
    show_result("lease", fcntl(out, F_SETLEASE, F_WRLCK));
    rest();
    printf("broken: %d, held: %d\n", (int)lease_broken, fcntl(out, F_GETLEASE));
}

static void copy_is_watched(void)
{
    char events[65536];
    ssize_t n;
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    unsigned seen = 0;
    close(out);
    out = open("watched", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    check(inotify_add_watch(watch, "watched", IN_OPEN | IN_CLOSE_NOWRITE) >= 0, "watch");
    rest();
    while ((n = read(watch, events, sizeof events)) > 0)
        for (ssize_t at = 0; at < n;) {
            struct inotify_event *event = (struct inotify_event *)(events + at);
            seen |= event->mask;
            at += (ssize_t)(sizeof *event + event->len);
        }
    printf("events: %x\n", seen);
}

static void new_user_namespace(void)
{
    get();
    show_result("unshare", unshare(CLONE_NEWUSER));
    put();
    show("after");
}

static void new_root(void)
{
    mkdir("root", 0700);
    get();
    show_result("chroot", chroot("root"));
    show("after");
    put();
    pairs(5);
    get();
}

static void other_user(void)
{
    get();
    show_result("setuid", setresuid(65534, 65534, 65534));
    show("after");
    put();
}

static void *copies_on_its_stack(void *nothing)
{
    char here[100000];
    char *kept = buffer;
    buffer = here + 7;
    for (int i = 0; i < 4; i++) {
        get();
        put();
    }
    show("on its stack");
    buffer = kept;
    return nothing;
}

static void *finds_zeros_on_its_stack(void *nothing)
{
    char here[100000];
    got = 90000;
    memset(here, 0, 10000);
    memset(here + 80000, 0, 20000);
    here[50000] = 7;
    printf("%d\n", here[50000]);
    return nothing;
}

static void threads_in_turn(void)
{
    get();
    for (int i = 0; i < 10; i++) {
        by_thread(copies_on_its_stack);
        by_thread(finds_zeros_on_its_stack);
    }
    get();
    put();
}

static void names_from_the_buffer(void)
{
    char name[64];
    get();
    snprintf(name, sizeof name, "%.40s", buffer + 20000);
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    show_result("named by the buffer", fd < 0 ? fd : 0);
    show_result("unlink", unlink(buffer + 30000));
    put();
}

/* The time of the last read, where the file system keeps it. */
static void time_of_access(void)
{
    struct timespec late;
    struct stat st;
    buffer = inner();
    length = 15 * PAGE;
    pairs(10);
    usleep(30000);
    clock_gettime(CLOCK_REALTIME_COARSE, &late);
    usleep(30000);
    pairs(10);
    /* So that nothing is read for the buffer at the end, which would be an access, too. */
    unmaps(true, true);
    close(in);
    check(stat("../source", &st) == 0, "look at the source");
    printf("read since: %d\n",
           st.st_atim.tv_sec > late.tv_sec || (st.st_atim.tv_sec == late.tv_sec && st.st_atim.tv_nsec > late.tv_nsec));
}

/* The number of the source's descriptor is given to another of the same file, by which nothing can be read. */
static void source_for_writing_alone_raw(void)
{
    from_changing_file();
    buffer = inner();
    length = 15 * PAGE;
    pairs(5);
    int fd = open("../changing", O_WRONLY | O_CLOEXEC);
    lseek(fd, lseek(in, 0, SEEK_CUR) + (off_t)length, SEEK_SET);
    raw3(SYS_dup3, fd, in, O_CLOEXEC);
    close(fd);
    get();
}

/* Whatever is started for a copy must not be the first process there: with its end nothing can be started any more. */
static void first_of_a_new_pid_namespace(void)
{
    rest();
    close(in);
    close(out);
    show_result("unshare", unshare(CLONE_NEWPID));
    in = open("../source", O_RDONLY | O_CLOEXEC);
    out = open("other", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    rest();
    close(in);
    close(out);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(3);
        show_result("forked", child < 0 ? -1 : 0);
        if (child > 0)
            wait_for(child);
    }
}

/* ---- the kernel looks ---- */

static int other_file(const char *name, int flags)
{
    int fd = open(name, O_CREAT | O_RDWR | flags, 0600);
    check(fd >= 0, "make a file");
    return fd;
}

#define KERNEL_LOOKS(name, ...)         \
    static void name(void)              \
    {                                   \
        int fd = other_file("seen", 0); \
        get();                          \
        __VA_ARGS__;                    \
        put();                          \
        get();                          \
        put();                          \
        __VA_ARGS__;                    \
        close(fd);                      \
    }

KERNEL_LOOKS(pwritten, show_result("pwrite", pwrite(fd, buffer, (size_t)got, 5)))
KERNEL_LOOKS(pwritten_raw, show_raw("pwrite", raw4(SYS_pwrite64, fd, (long)buffer, got, 5)))
KERNEL_LOOKS(write_elsewhere, show_result("write", write(fd, buffer, (size_t)got)))
KERNEL_LOOKS(write_to_copy_raw, show_raw("write", raw3(SYS_write, out, (long)buffer, got)))
KERNEL_LOOKS(pwrite_to_copy_raw, show_raw("pwrite", raw4(SYS_pwrite64, out, (long)buffer, got, 4096)))
KERNEL_LOOKS(pwrite_to_copy, show_result("pwrite", pwrite(out, buffer, (size_t)got, 4096)))
KERNEL_LOOKS(getrandom_into, show_raw("getrandom", raw3(SYS_getrandom, (long)buffer + 5000, 16, 0));
             memset(buffer + 5000, 'r', 16))
KERNEL_LOOKS(zeros_read_into, {
    int zero = open("/dev/zero", O_RDONLY);
    show_result("read", read(zero, buffer + 20000, 10000));
    close(zero);
})
KERNEL_LOOKS(source_read_into_raw, show_raw("pread", raw4(SYS_pread64, in, (long)buffer + 4096, 20000, 77)))
KERNEL_LOOKS(source_pread_into, show_result("pread", pread(in, buffer + 4096, 20000, 77)))
KERNEL_LOOKS(copy_pread_into, {
    int copy = open("copy", O_RDONLY);
    show_result("pread", pread(copy, buffer + 4096, 20000, 77));
    close(copy);
})
KERNEL_LOOKS(written_as_vector, {
    struct iovec parts[2] = {{buffer + 10, 30000}, {buffer + 4096, 20000}};
    show_result("writev", writev(fd, parts, 2));
})
KERNEL_LOOKS(written_as_vector_to_copy_raw, {
    struct iovec parts[2] = {{buffer + 10, 30000}, {buffer + 4096, 20000}};
    show_raw("writev", raw3(SYS_writev, out, (long)parts, 2));
})
KERNEL_LOOKS(sent, {
    int ends[2];
    static char arrived[65536];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "make a socket pair");
    show_result("send", send(ends[0], buffer, 60000, 0));
    show_result("recv", recv(ends[1], arrived, 60000, MSG_WAITALL));
    show_at("arrived", arrived, 60000);
    close(ends[0]);
    close(ends[1]);
})
KERNEL_LOOKS(piped, {
    int ends[2];
    static char arrived[65536];
    check(pipe(ends) == 0, "make a pipe");
    show_result("write", write(ends[1], buffer, 60000));
    show_result("read", read(ends[0], arrived, 60000));
    show_at("arrived", arrived, 60000);
    close(ends[0]);
    close(ends[1]);
})
KERNEL_LOOKS(spliced, {
    int ends[2];
    static char arrived[65536];
    struct iovec part = {buffer, 60000};
    check(pipe(ends) == 0, "make a pipe");
    show_result("vmsplice", vmsplice(ends[1], &part, 1, 0) > 0);
    /* The pipe may not take all of it: each page is a place in it. */
    ssize_t came = read(ends[0], arrived, 40000);
    show_result("read", came);
    show_at("arrived", arrived, 40000);
    close(ends[0]);
    close(ends[1]);
})
KERNEL_LOOKS(received_into, {
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "make a socket pair");
    show_result("send", send(ends[0], "forty-two", 9, 0));
    show_result("recv", recv(ends[1], buffer + 33000, 9, 0));
    close(ends[0]);
    close(ends[1]);
})
KERNEL_LOOKS(status_put_into, {
    struct stat *st = (struct stat *)(inner() + 4096);
    show_result("fstat", fstat(fd, st));
    memset(st, 's', sizeof *st);
})
KERNEL_LOOKS(memory_file_read, {
    int memory = open("/proc/self/mem", O_RDONLY);
    static char seen[200000];
    show_result("pread", pread(memory, seen, (size_t)got, (off_t)(uintptr_t)buffer));
    show_at("through /proc/self/mem", seen, (size_t)got);
    close(memory);
})

static void written_past_the_cache(void)
{
    int fd = open("seen", O_CREAT | O_RDWR | O_DIRECT, 0600);
    check(fd >= 0, "open for direct writing");
    buffer = inner();
    length = 61440;
    get();
    show_result("pwrite", raw4(SYS_pwrite64, fd, (long)buffer, 61440, 0));
    put();
    get();
    show_result("write", write(fd, buffer, 61440));
    put();
    close(fd);
}

/* The file whose bytes the buffer owes is written to from the very buffer. */
static void source_written_from_the_buffer(void)
{
    from_changing_file();
    get();
    show_raw("pwrite", raw4(SYS_pwrite64, in, (long)buffer, got, 1000));
    put();
    get();
    show_result("pwrite", pwrite(in, buffer, (size_t)got, 3000));
    put();
    show("at the end");
}

static void source_written_at_the_same_place_raw(void)
{
    from_changing_file();
    off_t at = lseek(in, 0, SEEK_CUR);
    get();
    show_raw("pwrite", raw4(SYS_pwrite64, in, (long)buffer, got, at));
    show("same");
    put();
}

static volatile bool writing;

/* Keeps the source's lock taken and waited for. */
static pid_t start_writer(const char *path)
{
    pid_t writer = fork();
    if (writer == 0) {
        char other[65536];
        memset(other, 'Z', sizeof other);
        int fd = open(path, O_WRONLY);
        for (;;)
            if (pwrite(fd, other, sizeof other, 4096) < 0)
                _exit(1);
    }
    usleep(20000);
    return writer;
}

static void read_raw_while_source_is_written(void)
{
    /* What is read differs from run to run; that it ends does not. */
    from_changing_file();
    pid_t writer = start_writer("../changing");
    for (int i = 0; i < 200; i++) {
        if (get() <= 0)
            lseek(in, 0, SEEK_SET);
        raw4(SYS_pread64, in, (long)buffer + 4096, 20000, 6000000);
        put();
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    truncate("other", 0);
    truncate("../changing", 0);
}

static void *raw_writer(void *path)
{
    char other[65536];
    memset(other, 'Z', sizeof other);
    int fd = (int)raw4(SYS_openat, AT_FDCWD, (long)path, O_WRONLY, 0);
    while (writing)
        raw4(SYS_pwrite64, fd, (long)other, sizeof other, 4096);
    raw1(SYS_close, fd);
    return NULL;
}

static void read_while_a_thread_writes_the_source(void)
{
    pthread_t thread;
    from_changing_file();
    get();
    writing = true;
    pthread_create(&thread, NULL, raw_writer, "../changing");
    for (int i = 0; i < 200; i++) {
        raw4(SYS_pread64, in, (long)buffer + 4096, 20000, 6000000);
        put();
        if (get() <= 0)
            lseek(in, 0, SEEK_SET);
    }
    writing = false;
    pthread_join(thread, NULL);
    truncate("other", 0);
    truncate("../changing", 0);
}

/* ---- descriptors and ends ---- */

static void source_closed(void)
{
    get();
    close(in);
    show("after close");
    put();
    in = open("../source", O_RDONLY);
    lseek(in, (BEFORE + 1) * (off_t)length, SEEK_SET);
}

static void source_closed_raw(void)
{
    get();
    raw1(SYS_close, in);
    show("after close");
    put();
    in = open("../source", O_RDONLY);
    lseek(in, (BEFORE + 1) * (off_t)length, SEEK_SET);
}

static void range_closed(void)
{
    get();
    show_result("close_range", close_range(3, ~0U, 0));
    show("after close");
}

static void range_closed_raw(void)
{
    get();
    show_raw("close_range", raw3(SYS_close_range, 3, ~0U, 0));
    show("after close");
    show_result("next", open("/dev/null", O_RDONLY));
}

static void descriptors_seen(void)
{
    get();
    int fd = open("/dev/null", O_RDONLY);
    show_result("next", fd);
    close(fd);
    put();
}

static void all_closed_one_by_one_raw(void)
{
    get();
    for (int fd = 3; fd < 1024; fd++)
        raw1(SYS_close, fd);
    show("after close");
}

static void exits(void)
{
    get();
    exit(7);
}

static void exits_at_once(void)
{
    get();
    fflush(stdout);
    _exit(7);
}

static void exits_raw(void)
{
    get();
    fflush(stdout);
    raw1(SYS_exit_group, 7);
}

static void main_thread_exits_raw(void)
{
    get();
    fflush(stdout);
    raw1(SYS_exit, 7);
}

static void main_thread_exits(void)
{
    get();
    fflush(stdout);
    pthread_exit(NULL);
}

static void *waits_then_looks(void *nothing)
{
    usleep(300000);
    show("other thread");
    return nothing;
}

static void main_thread_exits_and_another_looks(void)
{
    pthread_t thread;
    get();
    pthread_create(&thread, NULL, waits_then_looks, NULL);
    pthread_detach(thread);
    pthread_exit(NULL);
}

static void aborts(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    get();
    fflush(stdout);
    abort();
}

static void crashes(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    get();
    fflush(stdout);
    raise(SIGSEGV);
}

static void killed(void)
{
    get();
    fflush(stdout);
    raise(SIGKILL);
}

static void prints(int number)
{
    (void)number;
    show("in a handler");
}

static void signal_handler_looks(void)
{
    signal(SIGUSR1, prints);
    get();
    raise(SIGUSR1);
    put();
}

static void reads_nothing(int number)
{
    (void)number;
    char few[8192];
    if (read(in, few, sizeof few) != sizeof few || write(out, few, sizeof few) != sizeof few)
        puts("short");
}

static void signal_handler_copies(void)
{
    signal(SIGUSR1, reads_nothing);
    get();
    put();
    raise(SIGUSR1);
}

static void threads_shown(void)
{
    /* A thread of ours that can be seen is nothing a program may not see; one that stays is. */
    rest();
    close(in);
    close(out);
    struct stat tasks;
    check(stat("/proc/self/task", &tasks) == 0, "look at the threads");
    printf("%d\n", (int)tasks.st_nlink);
}

static void waits_for_children_of_all_kinds(void)
{
    siginfo_t info;
    show_result("waitpid", waitpid(-1, NULL, (int)__WALL | WNOHANG));
    get();
    show_result("wait4", wait4(-1, NULL, (int)__WCLONE | WNOHANG, NULL));
    put();
    get();
    show_result("waitid", waitid(P_ALL, 0, &info, WEXITED | __WALL | WNOHANG));
    put();
}

static void stack_size_asked_for(void)
{
    pthread_attr_t attributes;
    size_t size = 0;
    char here[9 * PAGE];
    char *kept = buffer;
    buffer = here;
    length = sizeof here;
    pairs(BEFORE);
    get();
    check(pthread_getattr_np(pthread_self(), &attributes) == 0, "ask for the stack");
    pthread_attr_getstacksize(&attributes, &size);
    printf("%s\n", size >> 20 ? "megabytes" : "less");
    put();
    buffer = kept;
}

/* Each page by itself, of hundreds. */
static void cut_in_pieces(bool by_advice)
{
    char *kept = buffer;
    size_t pages = 512;
    length = pages * PAGE;
    buffer = pages_for(length);
    pairs(3);
    get();
    for (size_t i = 1; i < pages; i += 2) {
        if (by_advice)
            raw3(SYS_madvise, (long)buffer + (long)i * PAGE, PAGE, MADV_DONTNEED);
        else
            mmap(buffer + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    }
    show("pieces");
    put();
    buffer = kept;
    length = 65536;
}

static void emptied_in_pieces(void)
{
    cut_in_pieces(true);
}

static void mapped_over_in_pieces(void)
{
    cut_in_pieces(false);
}

static void no_more_mappings(void)
{
    get();
    /* Neighbours of different rights are not made one. */
    for (int i = 0; mmap(NULL, PAGE, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
         i++)
        ;
    show("seen");
    put();
}

static void whole_pages_moved_raw(void)
{
    get();
    char *to = pages_for(inner_size());
    show_raw("move", raw6(SYS_mremap, (long)inner(), (long)inner_size(), (long)inner_size(),
                          MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0) == (long)to);
    show_at("moved", to, inner_size());
    buffer = pages_for(length + PAGE);
    get();
    put();
}

#define GUARD_INSTALL 102
#define GUARD_REMOVE 103

static void guards_come_and_go(void)
{
    get();
    show_result("install", madvise(inner(), inner_size(), GUARD_INSTALL));
    show_result("remove", madvise(inner(), inner_size(), GUARD_REMOVE));
    show("after the guards");
    put();
}

static void not_to_be_looked_into(void)
{
    get();
    show_result("prctl", prctl(PR_SET_DUMPABLE, 0));
    show("seen");
    put();
    get();
    show("seen again");
    put();
}

static long call(bool raw, long number, long a, long b, long c, long d)
{
    long result = raw ? raw4(number, a, b, c, d) : syscall(number, a, b, c, d, NULL, 0);
    return result < 0 ? -1 : result;
}

/* io_uring(7), of two entries: its buffer stays pinned, whatever becomes of the memory. */
static void pinned_and_written_by(bool raw)
{
    struct io_uring_params how = {0};
    struct iovec pinned = {inner(), inner_size()};
    int ring = (int)call(raw, SYS_io_uring_setup, 2, (long)&how, 0, 0);
    int seen = open("seen", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (ring < 0 || call(raw, SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, (long)&pinned, 1) != 0) {
        puts("not to be had");
        return;
    }
    struct io_uring_sqe *entry =
        mmap(NULL, 2 * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    char *queue = mmap(NULL, how.sq_off.array + 2 * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                       IORING_OFF_SQ_RING);
    check(entry != MAP_FAILED && queue != MAP_FAILED, "map the ring");
    get();
    *entry = (struct io_uring_sqe){
        .opcode = IORING_OP_WRITE_FIXED, .fd = seen, .addr = (uintptr_t)inner(), .len = (unsigned)inner_size()};
    *(unsigned *)(queue + how.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(queue + how.sq_off.tail), 1, __ATOMIC_RELEASE);
    show_result("written", call(raw, SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS));
    put();
}

static void pinned_and_written(void)
{
    pinned_and_written_by(false);
}

static void pinned_and_written_raw(void)
{
    pinned_and_written_by(true);
}

static void locks_future_memory(void)
{
    get();
    show_result("lock", mlockall(MCL_FUTURE));
    show("seen");
    put();
    pairs(3);
    get();
    show("seen");
    put();
}

/* How many the kernel says that this process has. */
static int children(void)
{
    char list[4096];
    int count = 0, fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : raw3(SYS_read, fd, (long)list, sizeof list);
    for (ssize_t i = 0; i < n; i++)
        count += list[i] == ' ';
    close(fd);
    return count;
}

/* The copy that comes after is begun with that, and has no filler. */
static void locks_future_memory_first_raw(void)
{
    rest();
    close(in);
    close(out);
    show_raw("lock", raw3(SYS_mlockall, MCL_FUTURE, 0, 0));
    in = open("../source", O_RDONLY | O_CLOEXEC);
    out = open("other", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    pairs(BEFORE);
    get();
    printf("children: %d\n", children());
    /* Until no more may be locked. */
    for (int i = 0; i < 2000 && raw6(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) > 0; i++)
        ;
    show("seen");
    put();
    rest();
}

/* A copy by a program that may not start what it needs to be lazy, nor ask whether it may. */
static void execs_under_a_filter_raw(void)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_ctl, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof lines / sizeof *lines, lines};
    rest();
    fflush(stdout);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    show_raw("filter", raw4(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&filter, 0));
    execlp("dd", "dd", "if=../source", "of=other", "bs=8k", "status=none", NULL);
}

/* ---- the table ---- */

#define ACT(name)   \
    {               \
#name, name \
    }
#define ACTS_BETWEEN(name) \
    ACT(name##_before_the_write), ACT(name##_and_looks), ACT(name##_after_the_write), ACT(name##_part_before_the_write)
#define ACTS_MEANWHILE(name)                                                                                 \
    ACT(name), ACT(name##_unseen), ACT(name##_after_the_write), ACT(name##_and_it_is_written_elsewhere_raw), \
        ACT(name##_and_it_is_written_to_the_copy_raw)

static const struct act {
    const char *name;
    void (*does)(void);
} acts[] = {
    ACT(looks_always),
    ACT(looks_once),
    ACT(reads_more_than_memory),
    ACT(looks_at_first_byte),
    ACT(looks_at_last_byte),
    ACT(looks_at_one_byte_in_each_page),
    ACT(looks_after_the_write),
    ACT(looks_for_zeros),
    ACT(looks_at_the_end),
    ACT(shorter_reads),
    ACT(shorter_reads_unseen),
    ACT(reads_many_then_looks),
    ACT(buffers_in_turn),
    ACT(swapped_buffers),
    ACT(reads_twice_before_writing),
    ACT(writes_twice),
    ACT(writes_half_from_the_middle),
    ACT(overlapping_buffers),
    ACT(changes_and_changes_back),
    ACT(changes_after_the_write),
    ACT(fills_by_memcpy),
    ACTS_BETWEEN(unmaps),
    ACTS_BETWEEN(unmaps_raw),
    ACTS_BETWEEN(maps_over),
    ACTS_BETWEEN(maps_over_raw),
    ACTS_BETWEEN(dontneed),
    ACTS_BETWEEN(dontneed_raw),
    ACTS_BETWEEN(free_raw),
    ACTS_BETWEEN(cuts_the_mapping_raw),
    ACTS_BETWEEN(protects_none_and_back_raw),
    ACT(maps_file_over_raw),
    ACT(mremap_moves),
    ACT(mremap_leaves),
    ACT(mremap_grows),
    ACT(mremap_grows_what_is_new),
    ACT(mremap_shrinks),
    ACT(none_before_the_read),
    ACT(read_only_before_the_read),
    ACT(none_before_the_write),
    ACT(read_only_before_the_write),
    ACT(unmapped_before_the_read),
    ACT(unmapped_before_the_write_raw),
    ACT(locks_the_buffer),
    ACT(locks_all_memory),
    ACT(lock_raw),
    ACT(huge_pages),
    ACT(small_from_malloc),
    ACT(large_from_malloc),
    ACT(small_then_calloc),
    ACT(large_then_calloc),
    ACT(realloc_grows_small),
    ACT(realloc_grows_large),
    ACT(realloc_shrinks),
    ACT(break_goes_and_comes),
    ACT(on_the_stack),
    ACT(child_looks),
    ACT(child_looks_after_the_write),
    ACT(child_goes_on),
    ACT(vfork_child_looks),
    ACT(spawns),
    ACT(calls_system),
    ACT(execs),
    ACT(execs_raw),
    ACT(new_thread_looks),
    ACT(new_thread_changes),
    ACT(many_threads),
    ACT(other_process_reads),
    ACT(other_process_writes),
    ACTS_MEANWHILE(source_overwritten),
    ACTS_MEANWHILE(source_truncated),
    ACTS_MEANWHILE(source_unlinked),
    ACTS_MEANWHILE(source_renamed),
    ACT(both_files_overwritten),
    ACT(source_overwritten_and_its_time_set_back),
    ACT(copy_overwritten_before_the_write),
    ACT(reads_again_what_it_has_changed),
    ACT(reads_what_it_has_sought_over),
    ACT(sought_over_and_the_source_overwritten),
    ACT(copy_overwritten),
    ACT(source_mapped_and_changed),
    ACT(not_in_the_cache),
    ACT(copy_is_leased),
    ACT(copy_is_watched),
    ACT(new_user_namespace),
    ACT(new_root),
    ACT(other_user),
    ACT(threads_in_turn),
    ACT(names_from_the_buffer),
    ACT(stopped_and_continued),
    ACT(pwritten),
    ACT(pwritten_raw),
    ACT(write_elsewhere),
    ACT(write_to_copy_raw),
    ACT(pwrite_to_copy_raw),
    ACT(pwrite_to_copy),
    ACT(getrandom_into),
    ACT(zeros_read_into),
    ACT(source_read_into_raw),
    ACT(source_pread_into),
    ACT(copy_pread_into),
    ACT(written_as_vector),
    ACT(written_as_vector_to_copy_raw),
    ACT(sent),
    ACT(piped),
    ACT(spliced),
    ACT(received_into),
    ACT(status_put_into),
    ACT(memory_file_read),
    ACT(written_past_the_cache),
    ACT(source_written_from_the_buffer),
    ACT(source_written_at_the_same_place_raw),
    ACT(read_raw_while_source_is_written),
    ACT(read_while_a_thread_writes_the_source),
    ACT(source_closed),
    ACT(source_closed_raw),
    ACT(range_closed),
    ACT(range_closed_raw),
    ACT(descriptors_seen),
    ACT(all_closed_one_by_one_raw),
    ACT(exits),
    ACT(exits_at_once),
    ACT(exits_raw),
    ACT(main_thread_exits_raw),
    ACT(main_thread_exits),
    ACT(main_thread_exits_and_another_looks),
    ACT(aborts),
    ACT(crashes),
    ACT(killed),
    ACT(signal_handler_looks),
    ACT(signal_handler_copies),
    ACT(threads_shown),
    ACT(waits_for_children_of_all_kinds),
    ACT(stack_size_asked_for),
    ACT(no_more_mappings),
    ACT(locks_future_memory),
    ACT(whole_pages_moved_raw),
    ACT(guards_come_and_go),
    ACT(not_to_be_looked_into),
    ACT(pinned_and_written),
    ACT(pinned_and_written_raw),
    ACT(time_of_access),
    ACT(locks_future_memory_first_raw),
    ACT(execs_under_a_filter_raw),
    ACT(source_for_writing_alone_raw),
    ACT(first_of_a_new_pid_namespace),
    ACT(source_overwritten_and_the_copy_given_rights_raw),
    ACT(looked_at_by_a_debugger),
    ACT(emptied_in_pieces),
    ACT(mapped_over_in_pieces),
};

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    size_t offset = count > 2 ? (size_t)atoi(arguments[2]) : 16;
    if (count > 3)
        length = (size_t)atoi(arguments[3]);
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (strcmp(arguments[1], "--list") == 0)
            puts(acts[i].name);
        if (strcmp(arguments[1], acts[i].name) != 0)
            continue;
        start_other();
        in = open("../source", O_RDONLY | O_CLOEXEC);
        out = open("copy", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        check(in >= 0 && out >= 0, "open the files");
        area_size = length + 2 * PAGE;
        area = pages_for(area_size);
        memset(area, '.', area_size);
        buffer = area + offset;
        pairs(BEFORE);
        acts[i].does();
        rest();
        printf("at %ld and %ld\n", (long)lseek(in, 0, SEEK_CUR), (long)lseek(out, 0, SEEK_CUR));
        return 0;
    }
    return strcmp(arguments[1], "--list") == 0 ? 0 : 2;
}
