/*
 * Engines: the ways to have bytes copied without moving them through the program. Each is one file that fills one
 * struct engine; engine_list() has them in the order in which they are asked.
 *
 * Engine functions may run in a signal handler of the program: system calls only (memory is mmap(2)'s), no lock.
 */
#ifndef LIBOFFLOAD_ENGINE_H
#define LIBOFFLOAD_ENGINE_H

#include "../core/guards.h"
#include "../core/reasons.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The two files of a copy, as far as an engine wants to know them. The descriptors are the program's own. */
struct file_pair {
    int source, destination; /* source open for reading, destination for writing, not O_APPEND */
    dev_t source_device, destination_device;
    uint64_t source_fs, destination_fs; /* statfs(2) f_type */
    bool raw_source;      /* no file of a file system: a block device itself, whose number is source_device */
    bool raw_destination; /* the same */
    unsigned block;       /* bytes: the destination file system's block */
    unsigned kernel;      /* as LINUX_VERSION_CODE */
    bool compares;        /* the program's buffers are compared with the source, so the source is read all the same */
    bool no_clone;        /* the server engine's: it has found that these files cannot share extents */
    size_t longest_copy;  /* the server engine's: bytes of one copy that is no clone; 0: not known yet */
    bool smb_alone;    /* the user's word that nobody else changes what is copied on SMB shares (OFFLOAD_SMB_ALONE) */
    bool array_failed; /* the array engine's: the disks are not to be asked again for these files */
    enum reason why;   /* what an engine whose copy() failed knows better than its `failure`; or REASON_NONE */
};

struct engine {
    const char *name;

    /* Can the engine serve these files? REASON_NONE, or why not. */
    enum reason (*refuses)(const struct file_pair *pair);

    /*
     * Copies n bytes from `from` in the source to `to` in the destination; both offsets are multiples of granule(),
     * and so is n unless it reaches the source's end. Returns how many bytes the destination holds, which may be fewer,
     * or a negative errno. The descriptors' own offsets do not move.
     */
    int64_t (*copy)(struct file_pair *pair, off_t from, off_t to, size_t n);

    /* What the user is told when a copy fails. */
    enum reason failure;

    /* Bytes of the first step. Later ones are longer while they are quick, and shorter, down to a quarter, if not. */
    size_t first_step;

    /* The bytes to a multiple of which offsets must be aligned. */
    unsigned (*granule)(const struct file_pair *pair);

    /*
     * What a finished copy proves. True: the destination holds the source as it stood during the call, and any later
     * change of the source, by a store into a mapping too, moves its time of change; so the copy may run ahead of the
     * program. False: it holds what the source gave at some moment of the call. Then what is copied ahead of a program
     * that writes is read here before and after the call, and what the kernel is to copy is not copied ahead.
     */
    bool freezes_source;

    /*
     * copy() may be given a place at which the destination has data or blocks: these blocks then hold the source's
     * bytes, and the file's size stays, or becomes `to` + n if that is more. Otherwise it is given holes, and what lies
     * beyond the end, alone: it replaces blocks, and space that the program was promised (fallocate(2)) would be lost.
     */
    bool in_place;

    /*
     * The kernel's own copy_file_range(2) does not know this way. Programs' calls of it are served then; to the other
     * engines the kernel comes by itself, and the calls are left to it.
     */
    bool beyond_kernel;

    /* Serves block devices too, though only where nothing runs ahead: nobody can be kept from writing to one. */
    bool raw;

    /* The files lie on a server, whom others may ask too: a look at one must ask the server, and may have to wait. */
    bool remote;

    /* NULL, or: how many bytes one call of copy() does at most, as far as that is known by now. */
    size_t (*longest_step)(const struct file_pair *pair);

    /*
     * NULL, or: whether the source is in truth as this machine has just found it. For a server whose client may answer
     * out of what it believes to know. May have to wait.
     */
    bool (*confirms)(const struct file_pair *pair, const struct file_state *source);
};

/* All engines in the order in which they are asked, with a NULL behind them. */
const struct engine *const *engine_list(void);

/* The bit of the engine whose name is the n bytes at `name` (bit i: at place i of the list), or 0 if none has it. */
unsigned engine_bit(const char *name, size_t n);

/*
 * Why the engine at that place of the list does not serve the pair, or REASON_NONE; `allowed` as for engine_choose(),
 * which asks this for one engine after the other.
 */
enum reason engine_refusal(unsigned place, const struct file_pair *pair, unsigned allowed);

/*
 * The first engine that serves the pair among those that the user allows (bit i of `allowed`: the engine at place i
 * of the list). NULL if none does; *why is then the reason of the first that was asked.
 */
const struct engine *engine_choose(const struct file_pair *pair, unsigned allowed, enum reason *why);

/* Whether any of the allowed engines is beyond_kernel. */
bool engine_any_beyond_kernel(unsigned allowed);

/*
 * For engines after whose copy the two files share extents: REASON_QUOTA if the destination's file system counts space
 * in a way that a shared copy would pass and a plain one not.
 */
enum reason quota_refuses(const struct file_pair *pair);

extern const struct engine engine_clone, engine_array, engine_server, engine_kernel;

#endif
