/* What the running program holds: its descriptors, buffers, mappings and streams. */
#ifndef TRANSPARENCY_WORLD_H
#define TRANSPARENCY_WORLD_H

#include "trace.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

enum { STACK_BUFFER = 1 << 20, STATIC_BUFFER = 300 << 10, ANCIENT = 1000000000 };

struct buffer {
    unsigned char *at;
    size_t size;
    unsigned char *map;
    size_t map_size;
    int kind;
};

struct mapping {
    unsigned char *at;
    size_t size;
    bool writable;
};

struct world {
    struct program program;
    int slots[SLOTS];
    int slot_files[SLOTS];
    FILE *streams[SLOTS];
    struct buffer buffers[BUFFERS];
    struct mapping maps[MAPS];
    unsigned char *stack;
    bool foreign;  /* this is the helper: another process, while the copy runs */
    bool parallel; /* two threads are copying, maybe to one file: neither knows how far it is written */
    bool timer;
    bool direct; /* there is O_DIRECT in the program */
    int exit_status;
};

extern struct world world;

void perform(unsigned from, unsigned to);
const char *name_of(int file);
bool is_destination(int file);

/* buffers.c */
struct buffer *buffer_of(int number);
void buffer_renew(struct buffer *buffer);
void perform_buffer(const struct op *op);
void perform_bufop(const struct op *op);

/* files.c, attributes.c */
void perform_mksource(const struct op *op);
void perform_mkdest(const struct op *op);
void perform_open(const struct op *op);
void perform_close(const struct op *op);
void perform_dup(const struct op *op);
void perform_swap(const struct op *op);
void perform_closerange(const struct op *op);
void perform_pass(const struct op *op);
void perform_seek(const struct op *op);
void perform_write(const struct op *op);
void perform_read(const struct op *op);
void perform_stat(const struct op *op);
void perform_resize(const struct op *op);
void perform_map(const struct op *op);
void perform_mapuse(const struct op *op);
void perform_unmap(const struct op *op);
void perform_meta(const struct op *op);
void perform_name(const struct op *op);
void perform_setfl(const struct op *op);
void perform_sync(const struct op *op);
void perform_lock(const struct op *op);
void perform_probe(const struct op *op);
void perform_lease(const struct op *op);
void perform_limit(const struct op *op);
void perform_numbers(const struct op *op);

/* copy.c, many.c, kcopy.c, stream.c */
void perform_copy(const struct op *op);
void perform_many(const struct op *op);
void remember_place(int file, off_t shift);
void remember_shift(int src_slot, off_t from, off_t to);
void perform_kcopy(const struct op *op);
void perform_stream(const struct op *op);
bool refused_by_direct(int fd, const void *bytes);
ssize_t write_raw(int fd, const void *bytes, size_t count);
ssize_t read_raw(int fd, void *bytes, size_t count);
off_t seek_raw(int fd, off_t offset, int whence);

/* process.c */
void perform_fork(const struct op *op, unsigned index);
void perform_vfork(const struct op *op);
void perform_spawn(const struct op *op);
void perform_signal(const struct op *op, unsigned index);
void perform_thread(const struct op *op, unsigned index);
void perform_parallel(const struct op *op, unsigned index);
void perform_helper(const struct op *op);
void perform_foreign(const struct op *op, unsigned index);
void perform_timer(const struct op *op);
void perform_exec(const struct op *op, unsigned index);
void perform_exit(const struct op *op);
void handle_in_copy(int what, int src, int dst, struct buffer *buffer);

#endif
