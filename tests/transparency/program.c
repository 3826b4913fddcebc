/* A program in words. */
#include "program.h"

#include <string.h>

#define NAMES(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__       \
    }

struct vocabulary {
    char letter;
    int count;
    const char *const *words;
};

static const struct vocabulary vocabularies[] = {
    {'s', 8, NAMES("src", "dst", "src2", "dst2", "extra", "extra2", "foreign", "foreign2")},
    {'f', FILES, NAMES("SRC", "SRC2", "DST", "DST2", "OTHER", "LINK")},
    {'b', BUFFER_KINDS,
     NAMES("malloc", "aligned", "calloc", "stack", "private", "odd", "shared", "memfd", "bss", "data", "file")},
    {'r', READ_HOWS,
     NAMES("read", "pread", "readv", "preadv", "preadv2(-1)", "preadv2", "syscall", "inline-asm", "__read", "fread",
           "__read_chk", "fread_unlocked")},
    {'w', WRITE_HOWS,
     NAMES("write", "pwrite", "writev", "pwritev", "pwritev2(-1)", "pwritev2", "syscall", "inline-asm", "__write",
           "fwrite", "fwrite_unlocked")},
    {'k', KCOPY_HOWS,
     NAMES("sendfile", "sendfile(off)", "copy_file_range", "copy_file_range(off)", "syscall(copy_file_range)", "splice",
           "splice(off)", "splice+tee", "FICLONERANGE")},
    {'d', DEVIATIONS,
     NAMES("none", "flip", "look", "look-all", "touch", "terminate", "other-buffer", "other-all", "part", "split",
           "join", "two-dsts", "lag", "gap", "skip-src", "pwrite", "free", "thread", "fstat", "tell", "dup", "reread",
           "shift", "stray", "signal", "protect", "no-access", "reverse", "set-append", "look-after", "seek-over",
           "sparse", "mapped", "mapped-changed")},
    {'x', EXIT_HOWS,
     NAMES("return", "exit", "_exit", "quick_exit", "abort", "SIGKILL", "SIGTERM", "exec-true", "syscall(exit_group)",
           "pthread_exit")},
    {'t', STREAM_HOWS,
     NAMES("fdopen", "stdout", "fprintf", "fwrite", "fread", "fflush", "fseek", "ftell", "fclose", "freopen", "ungetc",
           "fputs", "putc_unlocked", "setvbuf", "rewind", "dprintf")},
    {'p', BUFOP_HOWS,
     NAMES("hash", "fill", "flip", "renew", "free+calloc", "madv-dontneed", "map-fixed", "mremap", "prot-read",
           "prot-none", "prot-rw", "unmap-tail", "mlock", "process_vm_readv", "proc-self-mem", "vmsplice", "pipe",
           "memcpy", "fork+hash")},
    {'O', 8, NAMES("open", "openat", "creat", "__open", "__open64_2", "syscall", "inline-asm", "mkostemp+rename")},
    {'I', 3, NAMES("write", "syscall", "inline-asm")},
    {'L', 4, NAMES("lseek", "syscall", "inline-asm", "lseek64")},
    {'C', 5, NAMES("close", "syscall", "inline-asm", "__close", "close_range")},
    {'D', 6, NAMES("dup", "dup2", "dup3", "F_DUPFD", "F_DUPFD_CLOEXEC", "syscall(dup2)")},
    {'W', 5, NAMES("SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE")},
    {'S', 9,
     NAMES("fstat", "stat", "lstat", "statx", "statx(fd)", "fstatat", "fstatat(fd)", "syscall(fstat)", "fstat64")},
    {'R', 10,
     NAMES("ftruncate", "truncate", "posix_fallocate", "syscall(ftruncate)", "fallocate", "fallocate(keep)", "punch",
           "zero-range", "collapse", "insert")},
    {'M', 8, NAMES("fchmod", "chmod", "fchown", "futimens", "utimensat", "fsetxattr", "setxattr", "fremovexattr")},
    {'N', 6, NAMES("rename", "link", "unlink", "symlink", "link-descriptor", "exchange")},
    {'U', 4, NAMES("hash", "store", "write", "msync")},
    {'Y', 6, NAMES("fdatasync", "fsync", "sync_file_range", "fadvise-dontneed", "fadvise-sequential", "readahead")},
    {'V', 6, NAMES("close", "dup2-to-1", "write", "dup2", "lseek", "exec")},
    {'P', 6, NAMES("echo-to-dst", "true", "cksum", "stat", "dd-continues", "cat>>")},
};

static const struct {
    const char *name, *arguments;
} shapes[KINDS] = {
    [K_MKSOURCE] = {"make-source", "file:f number"},
    [K_MKDEST] = {"make-destination", "file:f size mode:o"},
    [K_BUFFER] = {"buffer", "buf kind:b size"},
    [K_OPEN] = {"open", "slot:s file:f flags:o mode:o via:O"},
    [K_CLOSE] = {"close", "slot:s via:C"},
    [K_DUP] = {"dup", "slot:s to:s how:D target"},
    [K_SWAP] = {"swap", "slot:s with:s"},
    [K_CLOSERANGE] = {"close-many", "first last how"},
    [K_PASS] = {"pass-descriptor", "slot:s to:s pidfd way"},
    [K_SEEK] = {"lseek", "slot:s offset whence:W via:L inexact"},
    [K_COPY] = {"copy", "src:s dst:s buf chunk bytes read:r write:w deviation:d round at other-buf second:s"},
    [K_KCOPY] = {"kernel-copy", "src:s dst:s how:k chunk bytes"},
    [K_MANY] = {"many-copies", "count chunk rounds threads close"},
    [K_WRITE] = {"write", "slot:s offset count byte via:I way"},
    [K_READ] = {"read-back", "slot:s file:f how offset count"},
    [K_STAT] = {"stat", "slot:s file:f how:S"},
    [K_RESIZE] = {"resize", "slot:s file:f how:R offset length"},
    [K_MAP] = {"mmap", "map slot:s length shared writable"},
    [K_MAPUSE] = {"use-map", "map how:U offset count byte slot:s"},
    [K_UNMAP] = {"munmap", "map"},
    [K_META] = {"attribute", "slot:s file:f how:M value:o way"},
    [K_NAME] = {"name", "how:N from:f to:f slot:s"},
    [K_SETFL] = {"F_SETFL", "slot:s flag:o on"},
    [K_SYNC] = {"sync", "slot:s how:Y"},
    [K_LOCK] = {"lock", "slot:s how type start way"},
    [K_PROBE] = {"probe-locks", "file:f"},
    [K_LEASE] = {"lease", "slot:s type"},
    [K_LIMIT] = {"limit", "nofile value signal way"},
    [K_NUMBERS] = {"open-numbers", ""},
    [K_STREAM] = {"stream", "slot:s how:t mode count whence"},
    [K_BUFOP] = {"buffer-op", "buf how:p offset count other byte"},
    [K_FORK] = {"fork-child", "clone exit:x"},
    [K_VFORK] = {"vfork", "slot:s how:V other:s"},
    [K_SPAWN] = {"spawn", "how:P src:s dst:s file:f count"},
    [K_SIGNAL] = {"in-handler", "how action src:s dst:s"},
    [K_THREAD] = {"in-thread", ""},
    [K_PARALLEL] = {"two-threads", ""},
    [K_HELPER] = {"start-helper", ""},
    [K_FOREIGN] = {"in-helper", "may-outrun"},
    [K_TIMER] = {"timer", "microseconds"},
    [K_SLEEP] = {"sleep", "milliseconds"},
    [K_EXEC] = {"exec-and-go-on", ""},
    [K_EXIT] = {"exit", "how:x status"},
};

const char *file_name(const struct program *program, int file, char room[16])
{
    static const char *const names[FILES] = {"fresh0", "fresh1", "dst", "dst2", "other", "link"};
    if (file <= F_SRC2 && program->source[file] >= 0)
        snprintf(room, 16, "s%d", program->source[file] % 100);
    else
        snprintf(room, 16, "%s", names[file]);
    return room;
}

bool is_inline(const struct op *op)
{
    switch (op->kind) {
    case K_COPY:
        return op->a[5] == R_ASM || op->a[6] == W_ASM;
    case K_CLOSE:
        return op->a[1] == 2;
    case K_OPEN:
        return op->a[4] == 6;
    case K_SEEK:
        return op->a[3] == 2;
    case K_WRITE:
        return op->a[4] == 2 && op->a[1] < 0;
    default:
        return false;
    }
}

static const char *word_for(char letter, int value)
{
    for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++)
        if (vocabularies[i].letter == letter && value >= 0 && value < vocabularies[i].count)
            return vocabularies[i].words[value];
    return NULL;
}

static void print_argument(FILE *out, const char *name, size_t length, int value)
{
    char letter = 0;
    if (length > 2 && name[length - 2] == ':') {
        letter = name[length - 1];
        length -= 2;
    }
    const char *word = word_for(letter, value);
    if (word)
        fprintf(out, " %.*s=%s", (int)length, name, word);
    else
        fprintf(out, letter == 'o' ? " %.*s=%#o" : " %.*s=%d", (int)length, name, value);
}

void print_op(FILE *out, const struct program *program, unsigned index)
{
    const struct op *op = &program->ops[index];
    fprintf(out, "%3u %s", index, shapes[op->kind].name);
    const char *at = shapes[op->kind].arguments;
    for (int i = 0; *at; i++) {
        size_t length = strcspn(at, " ");
        print_argument(out, at, length, op->a[i]);
        at += length + (at[length] == ' ');
    }
    if (op->group)
        fprintf(out, " {next %d}", op->group);
    fputc('\n', out);
}

void print_program(FILE *out, const struct program *program, const uint8_t *skip)
{
    fprintf(out, "seed %llu", (unsigned long long)program->seed);
    for (int i = 0; i < 2; i++)
        if (program->source[i] >= 0)
            fprintf(out, "  %s: %s s%d, %llu bytes%s", i ? "SRC2" : "SRC", "old file", program->source[i],
                    (unsigned long long)source_size(program->source[i]),
                    source_has_holes(program->source[i]) ? " with holes" : "");
    fprintf(out, "%s\n", program->unprivileged ? "  (without privileges)" : "");
    for (unsigned i = 0; i < program->count; i++) {
        if (skip && skip[i])
            i += program->ops[i].group;
        else
            print_op(out, program, i);
    }
}
