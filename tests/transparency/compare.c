/* What two runs of one program may not differ in: every result that was written down, how the
 * process ended, and the files it left. */
#include "pair.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CONTEXT = 3, NAMES_ROOM = 64, LONG_AGO = 1000001000 };

static const char *const what_names[WHATS] = {
    [N_OPEN] = "open",
    [N_CLOSE] = "close",
    [N_DUP] = "dup",
    [N_OFFSET_SRC] = "source offset",
    [N_OFFSET_DST] = "destination offset",
    [N_OFFSET] = "offset",
    [N_READ] = "read",
    [N_WRITE] = "write",
    [N_LOOP] = "loop sum",
    [N_KCOPY] = "kernel copy",
    [N_HASH] = "bytes seen",
    [N_STAT] = "stat",
    [N_SIZE] = "size",
    [N_MODE] = "mode",
    [N_LINKS] = "links",
    [N_OWNER] = "owner",
    [N_TIME] = "set time",
    [N_RESIZE] = "resize",
    [N_MAP] = "mapping",
    [N_META] = "attribute",
    [N_NAME] = "name",
    [N_FLAGS] = "flags",
    [N_SYNC] = "sync",
    [N_LOCK] = "lock",
    [N_LEASE] = "lease",
    [N_LIMIT] = "limit",
    [N_NUMBERS] = "open numbers",
    [N_STREAM] = "stream",
    [N_BUFFER] = "buffer",
    [N_CHILD] = "child",
    [N_HANDLER] = "handler",
    [N_FOREIGN] = "foreign",
    [N_SPAWN] = "spawn",
    [N_PASS] = "passed descriptor",
    [N_TIMER] = "timer",
    [N_EXEC] = "exec",
    [N_EXIT] = "exit",
    [N_MAKE] = "make",
};

__attribute__((format(printf, 3, 4))) static void differ(struct pair *pair, FILE *out, const char *format, ...)
{
    char line[SIGNATURE_ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (!pair->signature[0])
        memcpy(pair->signature, line, sizeof line);
    fprintf(out, "  differs: %s\n", line);
}

/* ---- the records ---- */

static bool same_record(const struct record *plain, const struct record *other)
{
    if (plain->what != other->what || plain->op != other->op || plain->iteration != other->iteration ||
        plain->error != other->error || plain->hash != other->hash)
        return false;
    return plain->value == other->value || ((plain->flags & AT_LEAST) && other->value >= plain->value);
}

static void print_record(FILE *out, const struct record *record, const char *side)
{
    fprintf(out, "    %-9s op %u", side, record->op);
    if (record->iteration)
        fprintf(out, " round %u", record->iteration);
    fprintf(out, ": %s %lld", record->what < WHATS ? what_names[record->what] : "?", (long long)record->value);
    if (record->error != ERRNO_MARK && record->error)
        fprintf(out, " errno %d (%s)", record->error, strerror(record->error));
    if (record->hash)
        fprintf(out, " [%016llx]", (unsigned long long)record->hash);
    fputc('\n', out);
}

static uint32_t record_count(const struct side *side)
{
    return side->trace->count < RECORDS ? side->trace->count : RECORDS;
}

static void tell_records(struct pair *pair, FILE *out, uint32_t at)
{
    uint32_t counts[2] = {record_count(&pair->plain), record_count(&pair->preloaded)};
    const struct record *plain = pair->plain.trace->records, *other = pair->preloaded.trace->records;
    const struct record *first = at < counts[0] ? &plain[at] : &other[at];
    differ(pair, out, "op %u %s", first->op, first->what < WHATS ? what_names[first->what] : "?");
    fputs("    ", out);
    print_op(out, &pair->program, first->op);
    for (uint32_t i = at > CONTEXT ? at - CONTEXT : 0; i < at; i++)
        print_record(out, &plain[i], "both");
    for (uint32_t i = at; i < at + 2; i++) {
        if (i < counts[0])
            print_record(out, &plain[i], "plain");
        if (i < counts[1])
            print_record(out, &other[i], "preloaded");
    }
}

static void compare_records(struct pair *pair, FILE *out)
{
    uint32_t counts[2] = {record_count(&pair->plain), record_count(&pair->preloaded)};
    uint32_t most = counts[0] > counts[1] ? counts[0] : counts[1];
    for (uint32_t i = 0; i < most; i++) {
        if (i >= counts[0] || i >= counts[1] ||
            !same_record(&pair->plain.trace->records[i], &pair->preloaded.trace->records[i])) {
            tell_records(pair, out, i);
            return;
        }
    }
}

static void print_status(FILE *out, const char *side, int status)
{
    if (status == TIMED_OUT)
        fprintf(out, "    %-9s did not end\n", side);
    else if (WIFSIGNALED(status))
        fprintf(out, "    %-9s died by signal %d (%s)\n", side, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        fprintf(out, "    %-9s exit status %d\n", side, WEXITSTATUS(status));
}

/* ---- the files ---- */

struct content {
    unsigned char *bytes;
    size_t size;
};

static struct content load(int directory, const char *name)
{
    struct content content = {NULL, 0};
    struct stat status;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &status) == 0 && (content.bytes = malloc((size_t)status.st_size + 8))) {
        ssize_t got = pread(fd, content.bytes, (size_t)status.st_size, 0);
        content.size = got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0)
        close(fd);
    return content;
}

static struct content original(int number)
{
    struct content content = {malloc(source_size(number) + 8), source_size(number)};
    source_fill(number, content.bytes);
    return content;
}

static int number_of_source(const struct program *program, int source)
{
    if (source > F_SRC2)
        return -1;
    if (program->source[source] >= 0)
        return program->source[source];
    return program->ops[0].kind == K_MKSOURCE ? program->ops[0].a[1] : -1;
}

static bool matches(const struct content *source, int64_t at, unsigned char byte)
{
    return at >= 0 && at < (int64_t)source->size && source->bytes[at] == byte;
}

/* Bytes ahead of a program that died must be the source's at their place. */
static bool from_a_source(struct pair *pair, const struct content *file, size_t from)
{
    const struct shared *trace = pair->plain.trace;
    struct content sources[2][2] = {0};
    bool all = true, lost = false;
    for (int i = 0; i < 2; i++) {
        char room[16];
        int number = number_of_source(&pair->program, i);
        sources[i][0] = number >= 0 ? original(number) : (struct content){NULL, 0};
        sources[i][1] = load(pair->plain.fd, file_name(&pair->program, i, room));
        lost |= !sources[i][1].bytes;
    }
    for (size_t at = from; at < file->size && all; at++) {
        bool found = false;
        for (uint32_t d = 0; d < trace->delta_count && d < DELTAS && !found; d++)
            for (int version = 0; version < 2 && trace->deltas[d].source <= F_SRC2 && !found; version++)
                found = matches(&sources[trace->deltas[d].source][version], (int64_t)at + trace->deltas[d].shift,
                                file->bytes[at]);
        all = found;
    }
    for (int i = 0; i < 4; i++)
        free(sources[i / 2][i % 2].bytes);
    /* What a program changed in a source and then unlinked is not known any more. */
    return all || lost;
}

static bool may_be_longer(const struct pair *pair)
{
    return pair->plain.trace->deaths || pair->plain.trace->outran || WIFSIGNALED(pair->plain.status);
}

static void tell_bytes(FILE *out, const struct content *plain, const struct content *other)
{
    size_t common = plain->size < other->size ? plain->size : other->size, first = 0, last = 0, count = 0;
    for (size_t i = 0; i < common; i++) {
        if (plain->bytes[i] == other->bytes[i])
            continue;
        first = count++ ? first : i;
        last = i;
    }
    fprintf(out, "    plain %zu bytes, preloaded %zu", plain->size, other->size);
    if (count)
        fprintf(out, "; %zu bytes differ, between %zu and %zu (plain %02x, preloaded %02x)", count, first, last,
                plain->bytes[first], other->bytes[first]);
    fputc('\n', out);
}

/* Most files are the same: they are read in pieces into memory that is there already, since fresh memory for each file
 * would cost more than everything else that the driver does. */
static bool same_pieces(int plain, int other)
{
    enum { PIECE = 256 << 10 };
    static unsigned char pieces[2][PIECE];
    ssize_t got = 0;
    for (off_t at = 0;; at += got) {
        got = pread(plain, pieces[0], PIECE, at);
        if (got < 0 || pread(other, pieces[1], PIECE, at) != got)
            return false;
        if (memcmp(pieces[0], pieces[1], (size_t)got) != 0)
            return false;
        if (got == 0)
            return true;
    }
}

static bool same_bytes(const struct pair *pair, const char *name)
{
    int plain = openat(pair->plain.fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int other = openat(pair->preloaded.fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool same = plain >= 0 && other >= 0 && same_pieces(plain, other);
    if (plain >= 0)
        close(plain);
    if (other >= 0)
        close(other);
    return same;
}

static void compare_bytes(struct pair *pair, FILE *out, const char *name)
{
    if (same_bytes(pair, name))
        return;
    struct content plain = load(pair->plain.fd, name), other = load(pair->preloaded.fd, name);
    bool prefix = other.size >= plain.size && (plain.size == 0 || memcmp(plain.bytes, other.bytes, plain.size) == 0);
    bool same = prefix && other.size == plain.size;
    if (!same && prefix && may_be_longer(pair))
        same = from_a_source(pair, &other, plain.size);
    if (!same) {
        differ(pair, out, prefix ? "file %s longer" : "file %s bytes", name);
        tell_bytes(out, &plain, &other);
    }
    free(plain.bytes);
    free(other.bytes);
}

static void compare_mark(struct pair *pair, FILE *out, const char *name)
{
    char paths[2][600];
    int values[2] = {0, 0};
    snprintf(paths[0], sizeof paths[0], "%s/%s", pair->plain.path, name);
    snprintf(paths[1], sizeof paths[1], "%s/%s", pair->preloaded.path, name);
    for (int i = 0; i < 2; i++)
        if (lgetxattr(paths[i], "user.mark", &values[i], sizeof values[i]) < 0)
            values[i] = -1;
    if (values[0] != values[1])
        differ(pair, out, "file %s xattr", name);
}

static bool times_differ(const struct timespec *plain, const struct timespec *other)
{
    bool set = plain->tv_sec < LONG_AGO;
    return set != (other->tv_sec < LONG_AGO) || (set && plain->tv_sec != other->tv_sec);
}

static bool before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool changed_in_run(const struct side *side, const struct timespec *time)
{
    return !before(time, &side->began) && !before(&side->ended, time);
}

static void compare_file(struct pair *pair, FILE *out, const char *name)
{
    struct stat plain, other;
    bool have[2] = {fstatat(pair->plain.fd, name, &plain, AT_SYMLINK_NOFOLLOW) == 0,
                    fstatat(pair->preloaded.fd, name, &other, AT_SYMLINK_NOFOLLOW) == 0};
    if (!have[0] || !have[1]) {
        differ(pair, out, "file %s %s", name, have[0] ? "missing" : "unwanted");
        return;
    }
    if (plain.st_mode != other.st_mode)
        differ(pair, out, "file %s mode %o not %o", name, other.st_mode, plain.st_mode);
    if (plain.st_uid != other.st_uid || plain.st_gid != other.st_gid)
        differ(pair, out, "file %s owner", name);
    if (plain.st_nlink != other.st_nlink)
        differ(pair, out, "file %s links", name);
    if (!may_be_longer(pair) && times_differ(&plain.st_mtim, &other.st_mtim))
        differ(pair, out, "file %s mtime that was set", name);
    if (!may_be_longer(pair) &&
        changed_in_run(&pair->plain, &plain.st_mtim) != changed_in_run(&pair->preloaded, &other.st_mtim))
        differ(pair, out, "file %s mtime not of the run", name);
    if (changed_in_run(&pair->plain, &plain.st_ctim) && !changed_in_run(&pair->preloaded, &other.st_ctim))
        differ(pair, out, "file %s ctime not of the run", name);
    /* A source is read, and whether that moves its time is not the same from run to run. */
    if (strcmp(name, "dst") == 0 && plain.st_atim.tv_sec < LONG_AGO && plain.st_atim.tv_sec != other.st_atim.tv_sec)
        differ(pair, out, "file %s atime that was set", name);
    compare_mark(pair, out, name);
    if (S_ISREG(plain.st_mode))
        compare_bytes(pair, out, name);
}

static bool unused_source(const struct program *program, const char *name)
{
    return name[0] == 's' && atoi(name + 1) != program->source[0] && atoi(name + 1) != program->source[1];
}

static void compare_directory(struct pair *pair, FILE *out, bool only_unwanted)
{
    const struct side *side = only_unwanted ? &pair->preloaded : &pair->plain;
    DIR *directory = fdopendir(openat(side->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.' || unused_source(&pair->program, entry->d_name))
            continue;
        if (!only_unwanted || faccessat(pair->plain.fd, entry->d_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            compare_file(pair, out, entry->d_name);
    }
    if (directory)
        closedir(directory);
}

/* Whether anything was offloaded shows in the extents of the destination. */
static bool shares_extents(const struct side *side)
{
    union {
        struct fiemap head;
        char room[sizeof(struct fiemap) + 16 * sizeof(struct fiemap_extent)];
    } map;
    bool shares = false;
    int fd = openat(side->fd, "dst", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    memset(&map, 0, sizeof map);
    map.head.fm_length = FIEMAP_MAX_OFFSET;
    map.head.fm_extent_count = 16;
    if (fd >= 0 && ioctl(fd, FS_IOC_FIEMAP, &map) == 0)
        for (unsigned i = 0; i < map.head.fm_mapped_extents && i < 16; i++)
            shares |= (map.head.fm_extents[i].fe_flags & FIEMAP_EXTENT_SHARED) != 0;
    if (fd >= 0)
        close(fd);
    return shares;
}

bool compare(struct pair *pair, FILE *out)
{
    pair->signature[0] = 0;
    pair->engaged = !pair->settings->self && shares_extents(&pair->preloaded) && !shares_extents(&pair->plain);
    compare_records(pair, out);
    if (pair->plain.status != pair->preloaded.status) {
        differ(pair, out, pair->preloaded.status == TIMED_OUT ? "hangs" : "how it ended");
        print_status(out, "plain", pair->plain.status);
        print_status(out, "preloaded", pair->preloaded.status);
    }
    compare_directory(pair, out, false);
    compare_directory(pair, out, true);
    return pair->signature[0] == 0;
}
