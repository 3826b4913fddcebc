/* A random program: a list of file operations made from a seed before anything runs, so that any
 * part of it can be left out when a difference is cut down to its cause. */
#ifndef TRANSPARENCY_PROGRAM_H
#define TRANSPARENCY_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { ARGUMENTS = 12, OPERATIONS = 160, SLOTS = 12, BUFFERS = 4, MAPS = 3, SOURCES = 14 };

enum kind {
    K_MKSOURCE,
    K_MKDEST,
    K_BUFFER,
    K_OPEN,
    K_CLOSE,
    K_DUP,
    K_SWAP,
    K_CLOSERANGE,
    K_PASS,
    K_SEEK,
    K_COPY,
    K_KCOPY,
    K_MANY,
    K_WRITE,
    K_READ,
    K_STAT,
    K_RESIZE,
    K_MAP,
    K_MAPUSE,
    K_UNMAP,
    K_META,
    K_NAME,
    K_SETFL,
    K_SYNC,
    K_LOCK,
    K_PROBE,
    K_LEASE,
    K_LIMIT,
    K_NUMBERS,
    K_STREAM,
    K_BUFOP,
    K_FORK,
    K_VFORK,
    K_SPAWN,
    K_SIGNAL,
    K_THREAD,
    K_PARALLEL,
    K_HELPER,
    K_FOREIGN,
    K_TIMER,
    K_SLEEP,
    K_EXEC,
    K_EXIT,
    KINDS
};

/* Files are named by number; a source of the catalogue keeps its own name. */
enum file { F_SRC, F_SRC2, F_DST, F_DST2, F_OTHER, F_LINK, FILES };

enum slot { S_SRC, S_DST, S_SRC2, S_DST2, S_EXTRA, S_EXTRA2, S_FOREIGN, S_FOREIGN2 };

enum buffer_kind {
    B_MALLOC,
    B_ALIGNED,
    B_CALLOC,
    B_STACK,
    B_PRIVATE,
    B_ODD,
    B_SHARED,
    B_MEMFD,
    B_BSS,
    B_DATA,
    B_FILE,
    BUFFER_KINDS
};

enum read_how {
    R_READ,
    R_PREAD,
    R_READV,
    R_PREADV,
    R_PREADV2_CUR,
    R_PREADV2,
    R_SYSCALL,
    R_ASM,
    R_ALIAS,
    R_FREAD,
    R_CHK,
    R_FREAD_UNLOCKED,
    READ_HOWS
};
enum write_how {
    W_WRITE,
    W_PWRITE,
    W_WRITEV,
    W_PWRITEV,
    W_PWRITEV2_CUR,
    W_PWRITEV2,
    W_SYSCALL,
    W_ASM,
    W_ALIAS,
    W_FWRITE,
    W_FWRITE_UNLOCKED,
    WRITE_HOWS
};
enum kcopy_how {
    C_SENDFILE,
    C_SENDFILE_OFF,
    C_RANGE,
    C_RANGE_OFF,
    C_RANGE_SYSCALL,
    C_SPLICE,
    C_SPLICE_OFF,
    C_TEE,
    C_CLONE,
    KCOPY_HOWS
};

/* What one iteration of a copy loop (or each) does otherwise than a plain copy. */
enum deviation {
    D_NONE,
    D_FLIP,
    D_LOOK,
    D_LOOK_ALL,
    D_TOUCH,
    D_TERMINATE,
    D_OTHER_BUFFER,
    D_OTHER_ALL,
    D_PART,
    D_SPLIT,
    D_JOIN,
    D_TWO,
    D_LAG,
    D_GAP,
    D_SKIP,
    D_PWRITE,
    D_FREE,
    D_THREAD,
    D_STAT,
    D_TELL,
    D_DUP,
    D_REREAD,
    D_SHIFT,
    D_STRAY,
    D_SIGNAL,
    D_PROTECT,
    D_NOACCESS,
    D_REVERSE,
    D_APPENDFLAG,
    D_LOOKAFTER,
    D_SEEKOVER,
    D_SPARSE,
    D_MAPPED,
    D_MAPPED_OTHER,
    DEVIATIONS
};

enum exit_how {
    X_RETURN,
    X_EXIT,
    X_UNDER,
    X_QUICK,
    X_ABORT,
    X_KILL,
    X_TERM,
    X_EXEC_TRUE,
    X_RAW,
    X_THREAD_EXIT,
    EXIT_HOWS
};

enum stream_how {
    T_FDOPEN,
    T_STANDARD, /* standard output's, to which the descriptor moves */
    T_PRINT,
    T_FWRITE,
    T_FREAD,
    T_FLUSH,
    T_SEEK,
    T_TELL,
    T_CLOSE,
    T_REOPEN,
    T_UNGET,
    T_PUTS,
    T_PUTC,
    T_SETVBUF,
    T_REWIND,
    T_DPRINTF,
    STREAM_HOWS
};

enum bufop_how {
    P_HASH,
    P_FILL,
    P_FLIP,
    P_RENEW,
    P_ZEROED,
    P_DONTNEED,
    P_FIXED,
    P_REMAP,
    P_READONLY,
    P_NONE,
    P_WRITABLE,
    P_TAIL,
    P_LOCK,
    P_VMREAD,
    P_PROCMEM,
    P_VMSPLICE,
    P_PIPE,
    P_MEMCPY,
    P_FORKHASH,
    BUFOP_HOWS
};

struct op {
    int32_t a[ARGUMENTS];
    uint8_t kind;
    uint8_t group; /* how many of the operations after this one it runs itself: in a child, a
                      thread, a handler */
};

struct program {
    uint64_t seed;
    int source[2]; /* catalogue number, or -1: the program makes the file itself, and it is young */
    bool unprivileged;
    unsigned count;
    struct op ops[OPERATIONS];
};

void generate(struct program *program, uint64_t seed);
bool is_inline(const struct op *op); /* makes system calls that no library can see */
void print_op(FILE *out, const struct program *program, unsigned index);
void print_program(FILE *out, const struct program *program, const uint8_t *skip);
const char *file_name(const struct program *program, int file, char room[16]);

/* sources.c */
uint64_t source_size(int number);
void source_fill(int number, unsigned char *bytes);
bool source_has_holes(int number);
bool source_make(int dirfd, const char *name, int number);

#endif
