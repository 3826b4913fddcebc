/*
 * A copy in thousands of steps of a few pages each, in one of which the program changes one byte between its read and its
 * write. The copy must differ from the source in that byte and in no other.
 *
 * usage: changes copy KIND PLACE OFFSET SOURCE COPY   copies
 *        changes check PLACE OFFSET SOURCE COPY       looks at a copy, without the library
 *        changes --kinds | --places
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define STEP ((size_t)5 * PAGE) /* of which four or five pages are whole */
#define CHANGED 1500            /* the step with the change */
#define ROOM (STEP + 2 * PAGE)

static char in_bss[ROOM] __attribute__((aligned(PAGE)));
static char in_data[ROOM] __attribute__((aligned(PAGE))) = "not zero";

static void check(bool fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(99);
    }
}

/* ---- kinds of memory: each gives ROOM bytes that start at a page ---- */

static char *aligned(char *at)
{
    return (char *)(((uintptr_t)at + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
}

static char *map(int protection, int flags, int fd, size_t n)
{
    char *at = mmap(NULL, n, protection, flags, fd, 0);
    check(at != MAP_FAILED, "mmap");
    return at;
}

static char *private_memory(void)
{
    return map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, ROOM);
}

static char *shared_memory(void)
{
    return map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, ROOM);
}

static char *memory_file(int flags)
{
    int fd = memfd_create("buffer", MFD_CLOEXEC);
    check(fd >= 0 && ftruncate(fd, ROOM) == 0, "memfd");
    return map(PROT_READ | PROT_WRITE, flags, fd, ROOM);
}

static char *memory_file_shared(void)
{
    return memory_file(MAP_SHARED);
}

static char *memory_file_private(void)
{
    return memory_file(MAP_PRIVATE);
}

static char *huge_page(void)
{
    size_t huge = 2 << 20;
    uintptr_t at = (uintptr_t)map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2 * huge);
    char *page = (char *)((at + huge - 1) & ~(huge - 1));
    madvise(page, huge, MADV_HUGEPAGE);
    memset(page, 'h', huge);
    return page + 17 * PAGE;
}

static char *small_chunk(void)
{
    return aligned(malloc(ROOM + PAGE));
}

static char *large_chunk(void)
{
    char *chunk = malloc((1 << 20) + ROOM + PAGE);
    check(chunk != NULL, "malloc");
    return aligned(chunk + (1 << 19));
}

static char *bss(void)
{
    return in_bss;
}

static char *data(void)
{
    return in_data;
}

static char *read_only_after_the_read(void)
{
    return private_memory();
}

#define KIND(name)  \
    {               \
#name, name \
    }
static const struct kind {
    const char *name;
    char *(*memory)(void);
} kinds[] = {
    KIND(private_memory),
    KIND(shared_memory),
    KIND(memory_file_shared),
    KIND(memory_file_private),
    KIND(huge_page),
    KIND(small_chunk),
    KIND(large_chunk),
    KIND(bss),
    KIND(data),
    {"stack", NULL},
    KIND(read_only_after_the_read),
};

/* ---- places in a buffer that starts `offset` bytes behind a page's start ---- */

static const char *const places[] = {
    "head-first",  "head-last",  "first-first", "first-middle", "first-last", "middle-first", "middle-middle",
    "middle-last", "last-first", "last-middle", "last-last",    "tail-first", "tail-last",
};

/* -1: with this offset there is no such place. */
static long place_in(const char *place, size_t offset)
{
    long head = (long)((PAGE - offset) % PAGE), whole = ((long)STEP - head) / PAGE, tail = ((long)STEP - head) % PAGE;
    const char *within = strchr(place, '-') + 1;
    bool first = strcmp(within, "first") == 0, last = strcmp(within, "last") == 0;
    if (strncmp(place, "head", 4) == 0)
        return head ? first ? 0 : head - 1 : -1;
    if (strncmp(place, "tail", 4) == 0)
        return tail ? first ? head + whole * PAGE : (long)STEP - 1 : -1;
    long page = strncmp(place, "first", 5) == 0 ? 0 : strncmp(place, "last", 4) == 0 ? whole - 1 : whole / 2;
    return head + page * PAGE + (first ? 0 : last ? PAGE - 1 : PAGE / 2);
}

/* ---- copying and checking ---- */

static void copy(char *memory, const char *kind, const char *place, size_t offset, const char *from, const char *to)
{
    bool guarded = strcmp(kind, "read_only_after_the_read") == 0;
    int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    char *buffer = memory + offset;
    ssize_t n;
    check(in >= 0 && out >= 0, "open");
    for (long step = 0; (n = read(in, buffer, STEP)) > 0; step++) {
        if (step == CHANGED)
            buffer[place_in(place, offset)] ^= 1;
        if (guarded)
            mprotect(memory, ROOM, PROT_READ);
        check(write(out, buffer, (size_t)n) == n, "write");
        if (guarded)
            mprotect(memory, ROOM, PROT_READ | PROT_WRITE);
    }
    check(n == 0, "read");
}

__attribute__((noinline)) static void copy_on_stack(const char *place, size_t offset, const char *from, const char *to)
{
    char room[ROOM + PAGE];
    copy(aligned(room), "stack", place, offset, from, to);
}

static size_t fill(int fd, char *bytes, size_t n)
{
    size_t done = 0;
    for (ssize_t got; done < n && (got = read(fd, bytes + done, n - done)) > 0;)
        done += (size_t)got;
    return done;
}

static int differs(const char *place, size_t offset, const char *from, const char *to)
{
    static char a[1 << 20], b[1 << 20];
    int in = open(from, O_RDONLY), out = open(to, O_RDONLY);
    long changed = CHANGED * (long)STEP + place_in(place, offset), at = 0;
    check(in >= 0 && out >= 0, "open");
    for (size_t n; (n = fill(in, a, sizeof a)) > 0; at += (long)n) {
        if (fill(out, b, sizeof b) != n)
            return printf("%s has another size\n", to), 1;
        if (changed >= at && changed < at + (long)n) {
            if (a[changed - at] == b[changed - at])
                return printf("%s lacks the change at %ld\n", to, changed), 1;
            b[changed - at] ^= 1;
        }
        for (size_t i = 0; memcmp(a, b, n) != 0 && i < n; i++)
            if (a[i] != b[i])
                return printf("%s differs at %ld\n", to, at + (long)i), 1;
    }
    return fill(out, b, 1) ? printf("%s is longer\n", to), 1 : 0;
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--kinds") == 0) {
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            puts(kinds[i].name);
        return 0;
    }
    if (count == 2 && strcmp(arguments[1], "--places") == 0) {
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            puts(places[i]);
        return 0;
    }
    if (count == 6 && strcmp(arguments[1], "check") == 0)
        return place_in(arguments[2], (size_t)atoi(arguments[3])) < 0
                   ? 0
                   : differs(arguments[2], (size_t)atoi(arguments[3]), arguments[4], arguments[5]);
    if (count != 7)
        return 2;
    size_t offset = (size_t)atoi(arguments[4]);
    if (place_in(arguments[3], offset) < 0)
        return 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(arguments[2], kinds[i].name) != 0)
            continue;
        if (kinds[i].memory)
            copy(kinds[i].memory(), kinds[i].name, arguments[3], offset, arguments[5], arguments[6]);
        else
            copy_on_stack(arguments[3], offset, arguments[5], arguments[6]);
        return 0;
    }
    return 2;
}
