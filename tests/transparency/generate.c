/* From a seed to a program. Nearly every program is a copy of a file that does one or two other
 * things on its way. */
#include "program.h"

#include <fcntl.h>
#include <string.h>

enum { KIB = 1024, PAGE = 4096 };
enum { IN_MAIN = 1, IN_HANDLER = 2, IN_CHILD = 4, IN_THREAD = 8, ANYWHERE = 15 };

struct generator {
    struct program *program;
    uint64_t state;
    int32_t size; /* of the first source */
    int32_t chunk;
    bool holes; /* the destination may have holes, which the file system places */
    bool streams;
    bool streams_alone; /* the program copies by them and, mostly, by nothing else */
    bool helper;
    bool finish; /* another process has changed the destination: now copy to the end and stop */
    bool timed;
    bool limited; /* writes may fail, and the first that does may end the process */
    int where;
    int depth;
};

static uint32_t scatter(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

static uint32_t next_random(struct generator *g)
{
    return scatter(g->state += 0x9e3779b97f4a7c15u);
}

/* Which of several calls for one thing is made. It takes nothing from the stream of random numbers, so that a seed's
 * program keeps its shape when ways are added. */
static int32_t way(const struct generator *g, uint32_t ways)
{
    return (int32_t)(scatter(~g->state) % ways);
}

static int32_t below(struct generator *g, int32_t limit)
{
    return limit > 0 ? (int32_t)(next_random(g) % (uint32_t)limit) : 0;
}

static bool chance(struct generator *g, int percent)
{
    return below(g, 100) < percent;
}

static int weighted(struct generator *g, const uint8_t *weights, int count)
{
    int total = 0, i = 0;
    for (i = 0; i < count; i++)
        total += weights[i];
    int at = below(g, total);
    for (i = 0; i < count - 1 && at >= weights[i]; i++)
        at -= weights[i];
    return i;
}

#define PICK(g, ...)                                                \
    __extension__({                                                 \
        const int32_t list_[] = {__VA_ARGS__};                      \
        list_[below((g), (int32_t)(sizeof list_ / sizeof *list_))]; \
    })

static unsigned emit_op(struct generator *g, enum kind kind, const int32_t *arguments)
{
    struct program *p = g->program;
    if (p->count >= OPERATIONS)
        return OPERATIONS - 1;
    p->ops[p->count].kind = (uint8_t)kind;
    memcpy(p->ops[p->count].a, arguments, sizeof p->ops[0].a);
    return p->count++;
}

#define EMIT(g, kind, ...) emit_op((g), (kind), (const int32_t[ARGUMENTS]){__VA_ARGS__})

static void close_group(struct generator *g, unsigned index)
{
    g->program->ops[index].group = (uint8_t)(g->program->count - index - 1);
}

/* ---- pieces ---- */

static int32_t some_offset(struct generator *g)
{
    int32_t at = below(g, g->size + g->size / 4);
    return PICK(g, at, at, at / PAGE * PAGE, at / 65536 * 65536, 0, g->size, g->size / 2);
}

static int32_t some_file(struct generator *g)
{
    return PICK(g, F_DST, F_DST, F_DST, F_DST, F_SRC, F_SRC, F_DST2, F_OTHER);
}

static int32_t slot_of(int32_t file)
{
    return file == F_SRC ? S_SRC : file == F_SRC2 ? S_SRC2 : file == F_DST2 ? S_DST2 : S_DST;
}

static int32_t some_chunk(struct generator *g)
{
    int32_t small = PICK(g, 512, 1000, 4096, 4095, 5120);
    return PICK(g, small, 4096, 8191, 8192, 8192, 10240, 16384, 32768, 65536, 65536, 65536, 131072, 131072, 131072,
                262144, 100000, 64512, 1048576, 40960);
}

static int some_read(struct generator *g)
{
    static const uint8_t weights[READ_HOWS] = {120, 8, 6, 4, 4, 3, 4, 2, 4, 0, 2, 0};
    return g->streams && chance(g, g->streams_alone ? 80 : 60) ? PICK(g, R_FREAD, R_FREAD, R_FREAD_UNLOCKED)
                                                               : weighted(g, weights, READ_HOWS);
}

static int some_write(struct generator *g)
{
    static const uint8_t weights[WRITE_HOWS] = {130, 8, 6, 4, 4, 3, 4, 2, 4, 0, 0};
    return g->streams && chance(g, g->streams_alone ? 95 : 75) ? PICK(g, W_FWRITE, W_FWRITE, W_FWRITE_UNLOCKED)
                                                               : weighted(g, weights, WRITE_HOWS);
}

static int some_deviation(struct generator *g)
{
    static const uint8_t weights[DEVIATIONS] = {
        [D_NONE] = 90,     [D_FLIP] = 12,        [D_LOOK] = 5,      [D_LOOK_ALL] = 5,     [D_TOUCH] = 4,
        [D_TERMINATE] = 3, [D_OTHER_BUFFER] = 3, [D_OTHER_ALL] = 4, [D_PART] = 4,         [D_SPLIT] = 4,
        [D_JOIN] = 4,      [D_TWO] = 4,          [D_LAG] = 4,       [D_GAP] = 5,          [D_SKIP] = 4,
        [D_PWRITE] = 5,    [D_FREE] = 4,         [D_THREAD] = 3,    [D_STAT] = 3,         [D_TELL] = 3,
        [D_DUP] = 3,       [D_REREAD] = 3,       [D_SHIFT] = 2,     [D_STRAY] = 2,        [D_SIGNAL] = 4,
        [D_PROTECT] = 3,   [D_NOACCESS] = 3,     [D_REVERSE] = 2,   [D_APPENDFLAG] = 2,   [D_LOOKAFTER] = 6,
        [D_SEEKOVER] = 5,  [D_SPARSE] = 6,       [D_MAPPED] = 6,    [D_MAPPED_OTHER] = 2,
    };
    int deviation = weighted(g, weights, DEVIATIONS);
    if (g->where != IN_MAIN && (deviation == D_SIGNAL || deviation == D_THREAD || deviation == D_FREE))
        return D_NONE;
    g->holes |= deviation == D_GAP || deviation == D_SKIP || deviation == D_PWRITE || deviation == D_REVERSE ||
                deviation == D_SEEKOVER || deviation == D_SPARSE;
    return deviation;
}

/* A byte of the buffer: the first, the last, the edges of pages, any. */
static int32_t some_byte(struct generator *g, int32_t chunk)
{
    return PICK(g, 0, chunk - 1, chunk / 2, 4095, 4096, 8191, below(g, chunk), below(g, chunk));
}

static int32_t deviation_place(struct generator *g, int deviation, int32_t chunk)
{
    if (deviation == D_GAP || deviation == D_SKIP)
        return PICK(g, 1, 100, 4096, 65536, 131072, 10000);
    if (deviation == D_PWRITE || deviation == D_REREAD)
        return some_offset(g);
    if (deviation == D_SIGNAL)
        return below(g, 6);
    return some_byte(g, chunk);
}

static void copy_between(struct generator *g, int src, int dst, int32_t bytes, bool deviate)
{
    int32_t chunk = chance(g, 85) ? g->chunk : some_chunk(g);
    int deviation = deviate ? some_deviation(g) : D_NONE;
    int32_t rounds = (bytes < 0 ? g->size : bytes) / chunk + 1;
    int32_t round = chance(g, 20) ? PICK(g, 0, 1, 2) : below(g, rounds);
    if (deviation == D_THREAD && chunk < 16384)
        chunk = 16384;
    if (chunk < 1000 && rounds > 600)
        chunk = 4096;
    EMIT(g, K_COPY, src, dst, chance(g, 85) ? 0 : 1, chunk, bytes, deviate ? some_read(g) : R_READ,
         deviate ? some_write(g) : W_WRITE, deviation, round, deviation_place(g, deviation, chunk), 1, S_DST2);
}

static void kernel_copy(struct generator *g, int32_t bytes)
{
    static const uint8_t weights[KCOPY_HOWS] = {5, 3, 5, 3, 2, 4, 2, 2, 1};
    int how = weighted(g, weights, KCOPY_HOWS);
    int32_t chunk = PICK(g, 16 << 20, 16 << 20, 65536, 131072, 100000, 1 << 20);
    if (how >= C_SPLICE && how <= C_TEE)
        chunk = 65536;
    g->holes |= how >= C_RANGE && how <= C_RANGE_SYSCALL;
    EMIT(g, K_KCOPY, S_SRC, S_DST, how, chunk, bytes);
}

static void copy_segment(struct generator *g, bool to_end)
{
    int32_t whole = to_end && chance(g, 80)
                        ? -1
                        : below(g, g->size / g->chunk + 2) * g->chunk + (chance(g, 15) ? below(g, g->chunk) : 0);
    if (chance(g, 8))
        kernel_copy(g, whole);
    else
        copy_between(g, S_SRC, S_DST, whole, true);
}

static int32_t destination_flags(struct generator *g)
{
    int32_t flags = chance(g, 70) ? O_WRONLY : O_RDWR;
    flags |= chance(g, 94) ? O_CREAT : 0;
    flags |= chance(g, 85) ? O_TRUNC : 0;
    flags |= chance(g, 6) ? O_APPEND : 0;
    flags |= chance(g, 4) ? PICK(g, O_EXCL, O_NONBLOCK, O_NOFOLLOW, O_CLOEXEC, O_DIRECT) : 0;
    flags |= chance(g, 1) ? PICK(g, O_SYNC, O_DSYNC) : 0;
    if (chance(g, 1))
        flags = O_RDONLY | O_CREAT;
    if (chance(g, 1))
        flags = O_TMPFILE | O_RDWR;
    return flags;
}

static void open_destination(struct generator *g, int slot, int file)
{
    int32_t flags = destination_flags(g), mode = PICK(g, 0644, 0644, 0600, 0666, 0200);
    int32_t via = chance(g, 80) ? 0 : below(g, 7);
    EMIT(g, K_OPEN, slot, file, flags, mode, via || way(g, 12) ? via : 7);
}

static void open_source(struct generator *g, int slot, int file)
{
    int32_t flags = chance(g, 70) ? O_RDONLY : O_RDWR;
    flags |= chance(g, 6) ? PICK(g, O_NONBLOCK, O_NOFOLLOW, O_CLOEXEC, O_DIRECT, O_NOATIME, O_APPEND) : 0;
    EMIT(g, K_OPEN, slot, file, flags, 0, chance(g, 80) ? PICK(g, 0, 0, 1) : below(g, 7));
}

/* ---- the other things that happen on the way ---- */

static void do_stat(struct generator *g)
{
    int32_t file = some_file(g);
    EMIT(g, K_STAT, slot_of(file), file, below(g, 9));
}

static void do_seek(struct generator *g)
{
    int32_t whence = PICK(g, SEEK_SET, SEEK_CUR, SEEK_CUR, SEEK_END, SEEK_END, SEEK_DATA, SEEK_HOLE);
    int32_t slot = PICK(g, S_DST, S_DST, S_SRC, S_EXTRA), via = PICK(g, 0, 0, 0, 1, 3, 2);
    int32_t offset = whence == SEEK_CUR   ? PICK(g, 0, 0, 0, 4096, -4096, 65536, 1)
                     : whence == SEEK_END ? PICK(g, 0, 0, -100)
                                          : some_offset(g);
    bool about_holes = whence == SEEK_DATA || whence == SEEK_HOLE;
    if (whence == SEEK_END || about_holes)
        via = via == 2 ? 0 : via;
    bool inexact = about_holes && g->holes;
    EMIT(g, K_SEEK, slot, offset, whence, via, inexact);
    if (chance(g, 50) && !inexact)
        EMIT(g, K_SEEK, slot, below(g, g->size / PAGE + 1) * PAGE, SEEK_SET, 0, 0);
    g->holes = true;
}

static void do_write(struct generator *g)
{
    int32_t offset = chance(g, 50) ? -1 : some_offset(g), slot = PICK(g, S_DST, S_DST, S_DST, S_SRC, S_DST2, S_EXTRA);
    g->holes = true;
    EMIT(g, K_WRITE, slot, offset, PICK(g, 1, 100, 4096, 8191, 65536), below(g, 256), PICK(g, 0, 0, 0, 1, 2),
         way(g, 6));
}

static void do_read(struct generator *g)
{
    int32_t file = some_file(g);
    EMIT(g, K_READ, slot_of(file), file, below(g, 3), chance(g, 60) ? 0 : some_offset(g),
         chance(g, 60) ? -1 : below(g, 100000));
}

static void do_resize(struct generator *g)
{
    int32_t file = some_file(g), how = PICK(g, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9);
    if (g->timed && how >= 2 && how != 3)
        how = 0; /* an allocation may be interrupted */
    g->holes = true;
    EMIT(g, K_RESIZE, slot_of(file), file, how, some_offset(g), PICK(g, 4096, 65536, 100, 8192));
}

static void do_map(struct generator *g)
{
    int32_t map = below(g, MAPS), slot = PICK(g, S_DST, S_SRC, S_SRC, S_EXTRA), shared = chance(g, 70);
    EMIT(g, K_MAP, map, slot, (g->size + PAGE) / PAGE * PAGE, shared, chance(g, 60));
    EMIT(g, K_MAPUSE, map, below(g, 3), some_offset(g), PICK(g, 4096, 65536, g->size), below(g, 256), S_DST);
}

static void do_mapuse(struct generator *g)
{
    EMIT(g, K_MAPUSE, below(g, MAPS), below(g, 3), some_offset(g), PICK(g, 4096, 65536, g->size), below(g, 256), S_DST);
    if (chance(g, 20))
        EMIT(g, K_UNMAP, below(g, MAPS));
}

static void do_dup(struct generator *g)
{
    int32_t slot = PICK(g, S_DST, S_SRC), how = below(g, 6);
    int32_t to = chance(g, 80) ? PICK(g, S_EXTRA, S_EXTRA2) : PICK(g, S_SRC, S_DST);
    EMIT(g, K_DUP, slot, to, how, PICK(g, -1, 9, 20, 0, 1, 600));
    if (chance(g, 50))
        copy_between(g, slot == S_SRC ? to : S_SRC, slot == S_DST ? to : S_DST, g->chunk * PICK(g, 1, 2, 3), true);
    if (chance(g, 40))
        EMIT(g, K_CLOSE, PICK(g, slot, to), below(g, 5));
}

static void do_close(struct generator *g)
{
    int32_t slot = PICK(g, S_DST, S_DST, S_SRC, S_EXTRA);
    EMIT(g, K_CLOSE, slot, below(g, 5));
    if (!chance(g, 80))
        return;
    if (slot == S_SRC)
        open_source(g, S_SRC, PICK(g, F_SRC, F_SRC, F_SRC2));
    else if (chance(g, 50))
        EMIT(g, K_OPEN, slot, F_DST,
             PICK(g, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_WRONLY | O_TRUNC, O_RDONLY, O_PATH), 0, below(g, 6));
    else
        open_destination(g, slot, PICK(g, F_DST, F_DST2, F_OTHER));
    if (chance(g, 40) && g->program->count)
        EMIT(g, K_SEEK, slot, PICK(g, 0, g->chunk, g->chunk * 2), SEEK_SET, 0, 0);
    g->holes = true;
}

/* One file through two descriptors with offsets of their own. */
static void do_open_again(struct generator *g)
{
    EMIT(g, K_OPEN, S_EXTRA, F_DST, PICK(g, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND), 0, 0);
    if (chance(g, 60))
        EMIT(g, K_SEEK, S_EXTRA, below(g, g->size / g->chunk + 1) * g->chunk, SEEK_SET, 0, 0);
    copy_between(g, S_SRC, chance(g, 60) ? S_EXTRA : S_DST, g->chunk * PICK(g, 1, 2, 3, 6), true);
    g->holes = true;
}

static void do_swap(struct generator *g)
{
    EMIT(g, K_SWAP, PICK(g, S_DST, S_SRC), PICK(g, S_DST2, S_DST, S_SRC2));
    g->holes = true;
}

static void do_pass(struct generator *g)
{
    EMIT(g, K_PASS, PICK(g, S_DST, S_DST, S_SRC), PICK(g, S_EXTRA, S_EXTRA2), chance(g, 50), way(g, 2));
    if (chance(g, 50))
        EMIT(g, K_WRITE, S_EXTRA, -1, 100, 7, 0);
}

static void do_closerange(struct generator *g)
{
    EMIT(g, K_CLOSERANGE, PICK(g, 3, 4, 5, 64, 100, 700), -1, below(g, 4));
    if (chance(g, 60)) {
        open_source(g, S_SRC, F_SRC);
        EMIT(g, K_OPEN, S_DST, F_DST, O_WRONLY | O_APPEND, 0, 0);
    }
}

static void do_meta(struct generator *g)
{
    int32_t file = chance(g, 85) ? F_DST : F_SRC, how = below(g, 8);
    int32_t value = how < 2    ? PICK(g, 0600, 0755, 04755, 0200, 02755, 0444)
                    : how == 2 ? PICK(g, 65534, 1234, 0)
                               : below(g, 40);
    EMIT(g, K_META, slot_of(file), file, how, value, way(g, 8));
}

static void do_name(struct generator *g)
{
    int32_t how = PICK(g, 0, 0, 1, 1, 2, 3, 4, 5);
    EMIT(g, K_NAME, how, PICK(g, F_DST, F_DST, F_SRC), PICK(g, F_LINK, F_OTHER, F_LINK, F_DST2), S_DST);
}

static void do_setfl(struct generator *g)
{
    EMIT(g, K_SETFL, PICK(g, S_DST, S_DST, S_SRC), PICK(g, O_APPEND, O_APPEND, O_NONBLOCK, O_DIRECT), chance(g, 75));
}

static void do_sync(struct generator *g)
{
    EMIT(g, K_SYNC, PICK(g, S_DST, S_SRC), chance(g, 8) ? below(g, 2) : 2 + below(g, 4));
}

static void do_lock(struct generator *g)
{
    EMIT(g, K_LOCK, PICK(g, S_DST, S_SRC), PICK(g, 0, 0, 1, 2), PICK(g, F_RDLCK, F_WRLCK, F_WRLCK, F_UNLCK),
         below(g, 1000), way(g, 2));
}

static void do_probe(struct generator *g)
{
    EMIT(g, K_PROBE, PICK(g, F_DST, F_SRC));
}

static void do_lease(struct generator *g)
{
    EMIT(g, K_LEASE, PICK(g, S_DST, S_SRC), PICK(g, F_WRLCK, F_RDLCK));
}

static void do_limit(struct generator *g)
{
    bool numbers = chance(g, 30);
    g->limited = true;
    EMIT(g, K_LIMIT, numbers, numbers ? PICK(g, 5, 12, 64) : PICK(g, some_offset(g), some_offset(g), -1), below(g, 3),
         way(g, 2));
}

static void do_numbers(struct generator *g)
{
    EMIT(g, K_NUMBERS, 0);
}

static void do_stream(struct generator *g)
{
    int32_t slot = PICK(g, S_DST, S_DST, S_SRC);
    if (!g->streams || chance(g, 20)) {
        EMIT(g, K_STREAM, slot, T_FDOPEN, slot == S_SRC ? 0 : PICK(g, 1, 2, 3), below(g, 5));
        g->streams = true;
    }
    for (int i = below(g, 3); i >= 0; i--)
        EMIT(g, K_STREAM, slot, T_PRINT + below(g, STREAM_HOWS - T_PRINT), below(g, 4), PICK(g, 1, 2, 100, 4096, 9999),
             PICK(g, 0, 1, 2));
    g->holes = true;
}

/* Both files are copied between streams, as programs do that know no descriptors. */
static void open_streams(struct generator *g)
{
    EMIT(g, K_STREAM, S_DST, chance(g, 25) ? T_STANDARD : T_FDOPEN, 1, PICK(g, 0, 0, 0, 1, 2, 3, 4));
    if (chance(g, 60))
        EMIT(g, K_STREAM, S_SRC, T_FDOPEN, 0, PICK(g, 0, 0, 1, 2, 3));
    g->streams = true;
    g->holes = true;
}

/* As fopen(3) opens them, with modes "r" and "w". */
static void open_for_streams_alone(struct generator *g)
{
    EMIT(g, K_OPEN, S_SRC, F_SRC, O_RDONLY, 0, 0);
    EMIT(g, K_OPEN, S_DST, F_DST, O_WRONLY | O_CREAT | O_TRUNC, 0644, 0);
    open_streams(g);
    g->streams_alone = true;
}

static void do_bufop(struct generator *g)
{
    static const uint8_t weights[BUFOP_HOWS] = {8, 3, 4, 3, 2, 3, 3, 3, 2, 2, 2, 2, 1, 2, 2, 2, 2, 3, 2};
    int how = weighted(g, weights, BUFOP_HOWS);
    int32_t buffer = chance(g, 85) ? 0 : 1;
    EMIT(g, K_BUFOP, buffer, how, chance(g, 40) ? 0 : below(g, g->chunk), PICK(g, g->chunk, 4096, 100), 1 - buffer,
         below(g, 256));
    if (how != P_READONLY && how != P_NONE)
        return;
    copy_between(g, S_SRC, S_DST, g->chunk, false);
    EMIT(g, K_BUFOP, buffer, P_WRITABLE);
}

static void do_buffer_write(struct generator *g)
{
    EMIT(g, K_SEEK, S_DST, -g->chunk, SEEK_CUR, 0, 0);
    copy_between(g, S_SRC, S_DST, g->chunk, true);
    g->holes = true;
}

static void do_vfork(struct generator *g)
{
    EMIT(g, K_VFORK, PICK(g, S_DST, S_SRC), below(g, 6), PICK(g, S_SRC, S_DST));
}

static void do_spawn(struct generator *g)
{
    EMIT(g, K_SPAWN, below(g, 6), S_SRC, S_DST, F_DST, PICK(g, 4096, 10000, 65536));
}

static void do_sleep(struct generator *g)
{
    EMIT(g, K_SLEEP, PICK(g, 1, 5, 12));
}

static void some_other_things(struct generator *g, int where, int most);

static void do_fork(struct generator *g)
{
    static const uint8_t weights[EXIT_HOWS] = {2, 4, 8, 1, 1, 1, 1, 2, 2, 0};
    unsigned at = EMIT(g, K_FORK, chance(g, 25), weighted(g, weights, EXIT_HOWS));
    some_other_things(g, IN_CHILD, 2);
    if (chance(g, 60))
        copy_between(g, S_SRC, S_DST, chance(g, 40) ? -1 : g->chunk * PICK(g, 1, 2, 3, 5), true);
    close_group(g, at);
}

static void do_thread(struct generator *g)
{
    unsigned at = EMIT(g, K_THREAD, 0);
    some_other_things(g, IN_THREAD, 2);
    if (chance(g, 60))
        copy_between(g, S_SRC, S_DST, chance(g, 40) ? -1 : g->chunk * PICK(g, 1, 2, 3, 5), false);
    close_group(g, at);
}

static void do_signal(struct generator *g)
{
    int32_t how = PICK(g, 0, 0, 1, 2);
    unsigned at = EMIT(g, K_SIGNAL, how, below(g, 6), S_SRC, S_DST);
    if (how != 2)
        some_other_things(g, IN_HANDLER, 2);
    if (how != 2 && chance(g, 40))
        copy_between(g, S_SRC, S_DST, g->chunk * PICK(g, 1, 2), false);
    close_group(g, at);
    g->holes = true;
}

static void do_parallel(struct generator *g)
{
    open_source(g, S_SRC2, PICK(g, F_SRC, F_SRC2));
    open_destination(g, S_DST2, F_DST2);
    unsigned at = EMIT(g, K_PARALLEL, 0);
    EMIT(g, K_COPY, S_SRC, S_DST, 0, g->chunk, g->chunk * 6, R_READ, W_WRITE, D_NONE);
    EMIT(g, K_COPY, S_SRC2, S_DST2, 1, g->chunk, g->chunk * 6, R_READ, W_WRITE, PICK(g, D_NONE, D_LOOK_ALL, D_FLIP), 2,
         5);
    close_group(g, at);
}

/* Two threads write to disjoint parts of one file. */
static void do_parts(struct generator *g)
{
    int32_t parts = PICK(g, 2, 3, 6), first = PICK(g, g->chunk, 65536, 131072), from = parts * first;
    open_source(g, S_SRC2, F_SRC);
    EMIT(g, K_OPEN, S_DST2, F_DST, O_RDWR, 0, 0);
    EMIT(g, K_SEEK, S_SRC, 0, SEEK_SET, 0, 0);
    EMIT(g, K_SEEK, S_DST, 0, SEEK_SET, 0, 0);
    EMIT(g, K_SEEK, S_SRC2, from, SEEK_SET, 0, 0);
    EMIT(g, K_SEEK, S_DST2, from, SEEK_SET, 0, 0);
    unsigned at = EMIT(g, K_PARALLEL, 1);
    EMIT(g, K_COPY, S_SRC, S_DST, 0, first, from, PICK(g, R_READ, R_PREAD, R_PREADV), W_PWRITE,
         PICK(g, D_NONE, D_OTHER_ALL), 0, 0, 0);
    EMIT(g, K_COPY, S_SRC2, S_DST2, 1, first, from, PICK(g, R_READ, R_PREAD), PICK(g, W_PWRITE, W_PWRITEV),
         PICK(g, D_NONE, D_NONE, D_FLIP), 1, 5, 1);
    close_group(g, at);
    g->holes = true;
}

/* A few copies or dozens. At a limit one thread may end the process, and where the others are then is not the same from
 * run to run. */
static void many_copies(struct generator *g)
{
    int32_t few = 2 + way(g, 7), chunk = way(g, 3) ? g->chunk : 65536;
    EMIT(g, K_MANY, way(g, 3) ? few : few * 11, chunk < 16384 ? 16384 : chunk, 1 + way(g, 4), !g->limited && way(g, 2),
         way(g, 5) != 0);
}

static void do_two_way(struct generator *g)
{
    if (g->where == IN_MAIN && way(g, 2))
        many_copies(g);
    if (chance(g, 50)) {
        open_destination(g, S_DST2, F_DST2);
        EMIT(g, K_COPY, S_SRC, S_DST2, 0, g->chunk, g->chunk * 4, R_READ, W_WRITE, D_NONE);
    } else {
        open_source(g, S_SRC2, F_SRC2);
        EMIT(g, K_COPY, S_SRC2, S_DST, 0, g->chunk, g->chunk * 4, R_READ, W_WRITE, D_NONE);
    }
}

/* ---- what another process does while the copy runs ---- */

static void foreign_source(struct generator *g)
{
    EMIT(g, K_OPEN, S_FOREIGN, F_SRC, O_RDWR, 0, 0);
    switch (below(g, 4)) {
    case 0:
        EMIT(g, K_WRITE, S_FOREIGN, some_offset(g), PICK(g, 1, 4096, 8191), below(g, 256), 0);
        break;
    case 1:
        EMIT(g, K_RESIZE, S_FOREIGN, F_SRC, 0, some_offset(g), 0);
        break;
    case 2:
        EMIT(g, K_MAP, 2, S_FOREIGN, (g->size + PAGE) / PAGE * PAGE, 1, 1);
        for (int i = 0; i < 3; i++)
            EMIT(g, K_MAPUSE, 2, 1, some_offset(g), 1, below(g, 256));
        break;
    default:
        EMIT(g, K_SEEK, S_FOREIGN, 0, SEEK_END, 0, 0);
        EMIT(g, K_WRITE, S_FOREIGN, -1, 8191, 9, 0);
    }
    EMIT(g, K_CLOSE, S_FOREIGN, 0);
}

static void foreign_destination(struct generator *g)
{
    switch (below(g, 6)) {
    case 0:
        EMIT(g, K_META, S_FOREIGN, F_DST, PICK(g, 1, 4, 6), 0640);
        break;
    case 1:
        EMIT(g, K_NAME, PICK(g, 0, 1, 2), F_DST, F_LINK, 0);
        break;
    case 2:
        EMIT(g, K_RESIZE, S_FOREIGN, F_DST, 1, some_offset(g), 0);
        break;
    default:
        EMIT(g, K_OPEN, S_FOREIGN, F_DST, PICK(g, O_RDWR, O_WRONLY), 0, 0);
        EMIT(g, K_WRITE, S_FOREIGN, some_offset(g), PICK(g, 1, 4096, 8191), below(g, 256), 0);
        EMIT(g, K_CLOSE, S_FOREIGN, 0);
    }
}

static void foreign_look(struct generator *g)
{
    EMIT(g, K_STAT, S_DST, F_DST, PICK(g, 1, 2, 3, 5));
    EMIT(g, K_READ, S_DST, F_DST, 1, 0, -1);
}

static void do_foreign(struct generator *g)
{
    int what = below(g, 10);
    copy_between(g, S_SRC, S_DST, g->chunk * PICK(g, 1, 3, 5, 6), false);
    g->holes = true;
    bool changes = what >= 7;
    unsigned at = EMIT(g, K_FOREIGN, changes);
    if (what < 3)
        foreign_look(g);
    else if (what < 7)
        foreign_source(g);
    else
        foreign_destination(g);
    close_group(g, at);
    g->finish |= changes;
}

static const struct {
    void (*make)(struct generator *g);
    uint8_t weight, where;
} things[] = {
    {do_stat, 12, ANYWHERE},
    {do_seek, 10, ANYWHERE},
    {do_write, 9, ANYWHERE},
    {do_read, 10, ANYWHERE},
    {do_resize, 9, ANYWHERE},
    {do_map, 5, ANYWHERE},
    {do_mapuse, 4, ANYWHERE},
    {do_dup, 7, ANYWHERE},
    {do_close, 6, ANYWHERE},
    {do_open_again, 3, ANYWHERE},
    {do_swap, 3, ANYWHERE},
    {do_pass, 3, IN_MAIN | IN_CHILD | IN_THREAD},
    {do_closerange, 2, ANYWHERE},
    {do_meta, 6, ANYWHERE},
    {do_name, 5, ANYWHERE},
    {do_setfl, 5, ANYWHERE},
    {do_sync, 2, ANYWHERE},
    {do_lock, 4, ANYWHERE},
    {do_probe, 2, IN_MAIN | IN_THREAD},
    {do_lease, 3, ANYWHERE},
    {do_limit, 3, IN_MAIN | IN_CHILD},
    {do_numbers, 3, ANYWHERE},
    {do_stream, 5, IN_MAIN | IN_CHILD},
    {do_bufop, 10, IN_MAIN | IN_CHILD | IN_THREAD},
    {do_buffer_write, 3, ANYWHERE},
    {do_vfork, 3, IN_MAIN},
    {do_spawn, 1, IN_MAIN},
    {do_sleep, 1, IN_MAIN},
    {do_fork, 6, IN_MAIN | IN_CHILD},
    {do_thread, 4, IN_MAIN},
    {do_signal, 5, IN_MAIN},
    {do_parallel, 2, IN_MAIN},
    {do_parts, 5, IN_MAIN},
    {do_two_way, 3, IN_MAIN | IN_THREAD},
};

static void one_other_thing(struct generator *g)
{
    int total = 0;
    for (size_t i = 0; i < sizeof things / sizeof *things; i++)
        total += things[i].where & g->where ? things[i].weight : 0;
    int at = below(g, total);
    for (size_t i = 0; i < sizeof things / sizeof *things; i++) {
        if (!(things[i].where & g->where))
            continue;
        if ((at -= things[i].weight) < 0) {
            things[i].make(g);
            return;
        }
    }
}

static void some_other_things(struct generator *g, int where, int most)
{
    int before = g->where;
    if (g->depth >= 2)
        return;
    g->depth++;
    g->where = where;
    for (int i = below(g, most + 1); i > 0; i--)
        one_other_thing(g);
    g->where = before;
    g->depth--;
}

/* ---- the whole ---- */

static void make_buffers(struct generator *g)
{
    int32_t size = g->chunk * 2 + PICK(g, 64, 4096, 10000);
    int32_t kind = chance(g, 40) ? PICK(g, B_ALIGNED, B_PRIVATE, B_ODD, B_MALLOC) : below(g, BUFFER_KINDS);
    EMIT(g, K_BUFFER, 0, kind, size);
    EMIT(g, K_BUFFER, 1, PICK(g, B_MALLOC, B_PRIVATE, B_CALLOC), size);
}

static void choose_sources(struct generator *g)
{
    static const uint8_t weights[SOURCES] = {8, 8, 8, 12, 12, 14, 8, 6, 5, 6, 1, 2, 3, 3};
    int number = weighted(g, weights, SOURCES);
    bool fresh = chance(g, 15);
    g->size = (int32_t)source_size(number);
    g->holes = source_has_holes(number);
    g->program->source[0] = fresh ? -1 : number;
    g->program->source[1] = (number + 1 + below(g, SOURCES - 5)) % SOURCES;
    g->holes |= source_has_holes(g->program->source[1]);
    if (fresh)
        EMIT(g, K_MKSOURCE, F_SRC, number);
    if (fresh && chance(g, 30))
        EMIT(g, K_SLEEP, 15);
}

static void open_files(struct generator *g)
{
    bool source_first = chance(g, 75);
    if (chance(g, 20)) {
        open_for_streams_alone(g);
        return;
    }
    if (source_first)
        open_source(g, S_SRC, F_SRC);
    open_destination(g, S_DST, F_DST);
    if (!source_first)
        open_source(g, S_SRC, F_SRC);
    if (chance(g, 10))
        EMIT(g, K_DUP, S_SRC, S_SRC, 1, 0);
    if (chance(g, 10))
        EMIT(g, K_DUP, S_DST, S_DST, 1, 1);
    if (chance(g, 5))
        open_destination(g, S_DST2, F_DST2);
    if (chance(g, 10))
        EMIT(g, K_SEEK, S_SRC, PICK(g, 4096, 65536, 100, 512), SEEK_SET, 0, 0);
    if (chance(g, 6)) {
        EMIT(g, K_SEEK, S_DST, PICK(g, 4096, 65536, 100, 512), SEEK_SET, 0, 0);
        g->holes = true;
    }
    if (chance(g, 3)) {
        EMIT(g, K_OPEN, S_DST, F_SRC, O_RDWR, 0, 0);
        EMIT(g, K_SEEK, S_DST, some_offset(g), SEEK_SET, 0, 0);
        g->holes = true;
    }
    if (chance(g, 6))
        do_stream(g);
    else if (chance(g, 12))
        open_streams(g);
}

static void prepare(struct generator *g)
{
    choose_sources(g);
    g->chunk = some_chunk(g);
    if (chance(g, 20)) {
        EMIT(g, K_MKDEST, F_DST, PICK(g, below(g, g->size * 2), 1000, g->size, 65536),
             PICK(g, 0644, 0644, 04755, 0666));
        g->holes = true;
    }
    make_buffers(g);
    if (chance(g, 12)) {
        EMIT(g, K_HELPER, 0);
        g->helper = true;
    }
    open_files(g);
    if (chance(g, 3)) {
        EMIT(g, K_TIMER, PICK(g, 150, 300, 1000));
        g->timed = true;
    }
}

static void copy_with_stops(struct generator *g)
{
    some_other_things(g, IN_MAIN, 1);
    for (int i = below(g, 4); i > 0 && !g->finish; i--) {
        copy_segment(g, false);
        some_other_things(g, IN_MAIN, 3);
        if (g->streams_alone && chance(g, 40))
            do_stream(g);
        if (g->helper && chance(g, 70))
            do_foreign(g);
        if (chance(g, 3)) {
            EMIT(g, K_EXEC, 0);
            make_buffers(g);
            g->timed = g->streams = false;
        }
    }
}

static void finish_copy(struct generator *g)
{
    if (chance(g, 85)) {
        copy_between(g, S_SRC, S_DST, -1, false);
        g->program->ops[g->program->count - 1].a[3] = 65536;
    }
    EMIT(g, K_CLOSE, S_DST, 0);
}

static void end_program(struct generator *g)
{
    static const uint8_t weights[EXIT_HOWS] = {35, 15, 15, 3, 4, 6, 4, 6, 4, 3};
    some_other_things(g, IN_MAIN, 2);
    if (chance(g, 25))
        EMIT(g, K_META, S_DST, F_DST, PICK(g, 0, 3, 3, 5), PICK(g, 0600, 0755, 04711));
    if (chance(g, 60)) {
        EMIT(g, K_CLOSE, S_DST, chance(g, 75) ? 0 : below(g, 5));
        do_read(g);
        do_stat(g);
    }
    if (chance(g, 30))
        EMIT(g, K_NUMBERS, 0);
    EMIT(g, K_EXIT, weighted(g, weights, EXIT_HOWS), below(g, 3));
}

void generate(struct program *program, uint64_t seed)
{
    struct generator g = {.program = program, .state = seed * 0x2545f4914f6cdd1du + 1, .where = IN_MAIN};
    memset(program, 0, sizeof *program);
    program->seed = seed;
    program->unprivileged = chance(&g, 15);
    prepare(&g);
    copy_with_stops(&g);
    if (g.finish) {
        finish_copy(&g);
        return;
    }
    if (chance(&g, 75))
        copy_segment(&g, true);
    end_program(&g);
}
