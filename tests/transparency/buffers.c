/* Buffers of every kind a program reads into, and what programs do to them between a read and a
 * write. */
#include "../older.h"
#include "raw.h"
#include "world.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGE = 4096, FILLER = 0x5a };

static unsigned char bss[STATIC_BUFFER] __attribute__((aligned(64)));
static unsigned char data[STATIC_BUFFER] __attribute__((aligned(64))) = {1, 2, 3};

struct buffer *buffer_of(int number)
{
    static struct buffer fallback;
    struct buffer *buffer = &world.buffers[number];
    if (buffer->at)
        return buffer;
    if (!fallback.at)
        fallback = (struct buffer){.at = bss, .size = STATIC_BUFFER, .kind = B_BSS};
    return &fallback;
}

static void map_buffer(struct buffer *buffer, int flags, int fd)
{
    buffer->map_size = (buffer->size + PAGE + PAGE - 1) / PAGE * PAGE;
    buffer->map = mmap(NULL, buffer->map_size, PROT_READ | PROT_WRITE, flags, fd, 0);
    buffer->at = buffer->map == MAP_FAILED ? NULL : buffer->map + (buffer->kind == B_ODD ? 1234 : 0);
}

/* Descriptors are closed by number at once, so that this takes the same numbers in every run. */
static void map_descriptor(struct buffer *buffer, int fd, int flags)
{
    map_buffer(buffer, flags, fd);
    close(fd);
}

static int sized_memfd(size_t size)
{
    int fd = memfd_create("buffer", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)size) != 0)
        note(N_BUFFER, -1);
    return fd;
}

static int sized_file(size_t size)
{
    int fd = open("buffer-file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, (off_t)size) != 0)
        note(N_BUFFER, -1);
    return fd;
}

/* A page at a time is what memory costs that is touched for the first time; so the kernel is asked for all of it. Where
 * it refuses (a stack that has not grown so far), the pages come as they are filled. */
static void fill(unsigned char *at, size_t size)
{
    uintptr_t first = (uintptr_t)at / PAGE * PAGE;
    raw3(SYS_madvise, (long)first, (long)((uintptr_t)at + size - first), MADV_POPULATE_WRITE);
    memset(at, FILLER, size);
}

static void allocate(struct buffer *buffer)
{
    size_t size = buffer->size;
    buffer->map = NULL;
    switch (buffer->kind) {
    case B_MALLOC:
        buffer->at = malloc(size);
        break;
    case B_ALIGNED:
        buffer->at = aligned_alloc(PAGE, (size + PAGE - 1) / PAGE * PAGE);
        break;
    case B_CALLOC:
        buffer->at = calloc(1, size);
        break;
    case B_STACK:
        buffer->at = world.stack;
        break;
    case B_PRIVATE:
    case B_ODD:
        map_buffer(buffer, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        break;
    case B_SHARED:
        map_buffer(buffer, MAP_SHARED | MAP_ANONYMOUS, -1);
        break;
    case B_MEMFD:
        map_descriptor(buffer, sized_memfd(size + 2 * PAGE), MAP_SHARED);
        break;
    case B_FILE:
        map_descriptor(buffer, sized_file(size + 2 * PAGE), MAP_PRIVATE);
        break;
    case B_BSS:
        buffer->at = bss;
        break;
    default:
        buffer->at = data;
        break;
    }
    /* What malloc hands out may hold addresses left by others, which differ from run to run. */
    if (buffer->at && (buffer->kind == B_MALLOC || buffer->kind == B_ALIGNED || buffer->kind == B_STACK))
        fill(buffer->at, size);
}

static void release(struct buffer *buffer)
{
    if (buffer->map)
        munmap(buffer->map, buffer->map_size);
    else if (buffer->kind == B_MALLOC || buffer->kind == B_ALIGNED || buffer->kind == B_CALLOC)
        free(buffer->at);
    buffer->at = buffer->map = NULL;
}

void buffer_renew(struct buffer *buffer)
{
    release(buffer);
    allocate(buffer);
}

void perform_buffer(const struct op *op)
{
    struct buffer *buffer = &world.buffers[op->a[0]];
    if (buffer->at)
        release(buffer);
    buffer->kind = op->a[1];
    buffer->size = (size_t)op->a[2];
    if (buffer->kind == B_STACK && buffer->size > STACK_BUFFER)
        buffer->size = STACK_BUFFER;
    if ((buffer->kind == B_BSS || buffer->kind == B_DATA) && buffer->size > STATIC_BUFFER)
        buffer->size = STATIC_BUFFER;
    allocate(buffer);
    note(N_BUFFER, buffer->at != NULL);
}

static void note_hash(const struct buffer *buffer, size_t from, size_t count)
{
    note_full(N_HASH, (int64_t)count, hash_bytes(buffer->at + from, count), 0);
}

/* Memory fresh from calloc is zero, whatever was read into that address before. */
static void check_zeroed(struct buffer *buffer)
{
    release(buffer);
    unsigned char *fresh = calloc(1, buffer->size);
    int64_t dirty = 0;
    for (size_t i = 0; fresh && i < buffer->size; i++)
        dirty += fresh[i] != 0;
    note(N_BUFFER, dirty);
    free(fresh);
    allocate(buffer);
}

static void replace_pages(struct buffer *buffer, size_t from, size_t count)
{
    unsigned char *page = buffer->map + from / PAGE * PAGE;
    size_t length = (count + PAGE - 1) / PAGE * PAGE;
    if (page + length > buffer->map + buffer->map_size)
        length = PAGE;
    note(N_BUFFER, mmap(page, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
}

static void remap(struct buffer *buffer)
{
    ptrdiff_t inside = buffer->at - buffer->map;
    unsigned char *moved = mremap(buffer->map, buffer->map_size, buffer->map_size + 16 * PAGE, MREMAP_MAYMOVE);
    note(N_BUFFER, moved != MAP_FAILED);
    if (moved == MAP_FAILED)
        return;
    buffer->map = moved;
    buffer->map_size += 16 * PAGE;
    buffer->at = moved + inside;
}

static void through_pipe(struct buffer *buffer, size_t from, size_t count, bool splice)
{
    unsigned char room[16384];
    int ends[2];
    struct iovec part = {buffer->at + from, count > sizeof room ? sizeof room : count};
    if (TRY(N_BUFFER, pipe(ends)) != 0)
        return;
    if (splice)
        TRY(N_BUFFER, vmsplice(ends[1], &part, 1, 0));
    else
        TRY(N_BUFFER, write(ends[1], part.iov_base, part.iov_len));
    close(ends[1]);
    ssize_t got = read(ends[0], room, sizeof room);
    note_full(N_HASH, got, got > 0 ? hash_bytes(room, (size_t)got) : 0, 0);
    close(ends[0]);
}

static void through_kernel(struct buffer *buffer, size_t from, size_t count, bool proc)
{
    unsigned char room[16384];
    struct iovec mine = {room, count > sizeof room ? sizeof room : count}, theirs = {buffer->at + from, mine.iov_len};
    ssize_t got;
    if (proc) {
        int fd = open("/proc/self/mem", O_RDONLY);
        note(N_OPEN, fd);
        got = pread(fd, room, mine.iov_len, (off_t)(uintptr_t)theirs.iov_base);
        close(fd);
    } else {
        got = process_vm_readv(getpid(), &mine, 1, &theirs, 1, 0);
    }
    note_full(N_HASH, got, got > 0 ? hash_bytes(room, (size_t)got) : 0, 0);
}

static void hash_in_child(const struct buffer *buffer, size_t from, size_t count)
{
    pid_t child = fork();
    if (child == 0) {
        note_hash(buffer, from, count);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    note(N_CHILD, status);
}

static void protect(struct buffer *buffer, int how)
{
    static const int rights[] = {PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE};
    if (buffer->map)
        TRY(N_BUFFER, mprotect(buffer->map, buffer->map_size, rights[how]));
}

/* The place is kept: what a run maps next would land in it or not, as the addresses fall. */
static void cut_tail(struct buffer *buffer, size_t from)
{
    size_t keep = (from + PAGE) / PAGE * PAGE;
    if (keep + PAGE >= buffer->map_size)
        return;
    unsigned char *tail = buffer->map + keep;
    note(N_BUFFER,
         mmap(tail, buffer->map_size - keep, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == tail);
}

static void mapped_bufop(struct buffer *buffer, int how, size_t from, size_t count)
{
    switch (how) {
    case P_DONTNEED:
        TRY(N_BUFFER, madvise(buffer->map + from / PAGE * PAGE, PAGE, MADV_DONTNEED));
        break;
    case P_FIXED:
        replace_pages(buffer, from, count);
        break;
    case P_REMAP:
        remap(buffer);
        break;
    case P_READONLY:
        protect(buffer, 0);
        break;
    case P_NONE:
        protect(buffer, 1);
        break;
    case P_TAIL:
        cut_tail(buffer, from);
        break;
    default:
        protect(buffer, 2);
        break;
    }
}

void perform_bufop(const struct op *op)
{
    struct buffer *buffer = buffer_of(op->a[0]), *other = buffer_of(op->a[4]);
    int how = op->a[1];
    size_t from = (size_t)op->a[2] % buffer->size, count = (size_t)op->a[3];
    if (count > buffer->size - from)
        count = buffer->size - from;
    switch (how) {
    case P_HASH:
        note_hash(buffer, from, count);
        break;
    case P_FILL:
        memset(buffer->at + from, op->a[5], count);
        break;
    case P_FLIP:
        buffer->at[from] ^= 0x55;
        break;
    case P_RENEW:
        buffer_renew(buffer);
        break;
    case P_ZEROED:
        check_zeroed(buffer);
        break;
    case P_LOCK:
        TRY(N_BUFFER, mlock(buffer->at, PAGE));
        break;
    case P_VMREAD:
        through_kernel(buffer, from, count, false);
        break;
    case P_PROCMEM:
        through_kernel(buffer, from, count, true);
        break;
    case P_VMSPLICE:
        through_pipe(buffer, from, count, true);
        break;
    case P_PIPE:
        through_pipe(buffer, from, count, false);
        break;
    case P_MEMCPY:
        memmove(other->at, buffer->at, buffer->size < other->size ? buffer->size : other->size);
        break;
    case P_FORKHASH:
        hash_in_child(buffer, from, count);
        break;
    default:
        if (buffer->map)
            mapped_bufop(buffer, how, from, count);
    }
}
