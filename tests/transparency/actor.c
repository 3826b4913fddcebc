/* actor SEED DIR TRACE: carries out the program of a seed in DIR and writes down what it sees.
 * actor --continue SEED TRACE: the same program, gone on after an exec.
 * actor --print SEED: the program in words. */
#include "world.h"

#include <alloca.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world world;

static void sleep_briefly(const struct op *op)
{
    usleep((useconds_t)op->a[0] * 1000);
}

static void perform_one(const struct op *op, unsigned index)
{
    static void (*const simple[KINDS])(const struct op *) = {
        [K_MKSOURCE] = perform_mksource, [K_MKDEST] = perform_mkdest,
        [K_BUFFER] = perform_buffer,     [K_OPEN] = perform_open,
        [K_CLOSE] = perform_close,       [K_DUP] = perform_dup,
        [K_SWAP] = perform_swap,         [K_CLOSERANGE] = perform_closerange,
        [K_PASS] = perform_pass,         [K_SEEK] = perform_seek,
        [K_COPY] = perform_copy,         [K_KCOPY] = perform_kcopy,
        [K_WRITE] = perform_write,       [K_READ] = perform_read,
        [K_STAT] = perform_stat,         [K_RESIZE] = perform_resize,
        [K_MAP] = perform_map,           [K_MAPUSE] = perform_mapuse,
        [K_UNMAP] = perform_unmap,       [K_META] = perform_meta,
        [K_NAME] = perform_name,         [K_SETFL] = perform_setfl,
        [K_SYNC] = perform_sync,         [K_LOCK] = perform_lock,
        [K_PROBE] = perform_probe,       [K_LEASE] = perform_lease,
        [K_LIMIT] = perform_limit,       [K_NUMBERS] = perform_numbers,
        [K_STREAM] = perform_stream,     [K_BUFOP] = perform_bufop,
        [K_VFORK] = perform_vfork,       [K_SPAWN] = perform_spawn,
        [K_HELPER] = perform_helper,     [K_TIMER] = perform_timer,
        [K_SLEEP] = sleep_briefly,       [K_EXIT] = perform_exit,
        [K_MANY] = perform_many,
    };
    static void (*const grouped[KINDS])(const struct op *, unsigned) = {
        [K_FORK] = perform_fork,         [K_SIGNAL] = perform_signal,   [K_THREAD] = perform_thread,
        [K_PARALLEL] = perform_parallel, [K_FOREIGN] = perform_foreign, [K_EXEC] = perform_exec,
    };
    if (simple[op->kind])
        simple[op->kind](op);
    else if (grouped[op->kind])
        grouped[op->kind](op, index);
}

void perform(unsigned from, unsigned to)
{
    unsigned outer = current_op;
    for (unsigned i = from; i < to && i < world.program.count; i += 1u + world.program.ops[i].group) {
        if (shared->skip[i])
            continue;
        current_op = i;
        errno = ERRNO_MARK;
        perform_one(&world.program.ops[i], i);
    }
    current_op = outer;
}

static bool has_direct(const struct program *program)
{
    bool found = false;
    for (unsigned i = 0; i < program->count; i++) {
        const struct op *op = &program->ops[i];
        found |= op->kind == K_OPEN && (op->a[2] & O_DIRECT);
        found |= op->kind == K_SETFL && (op->a[1] & O_DIRECT);
    }
    return found;
}

static void start(const char *seed, const char *trace)
{
    generate(&world.program, strtoull(seed, NULL, 10));
    world.direct = has_direct(&world.program);
    setenv("TRANSPARENCY_TRACE", trace, 1);
    trace_open(trace);
    memset(world.slots, -1, sizeof world.slots);
    umask(022);
}

int main(int count, char **arguments)
{
    unsigned from = 0;
    if (count == 3 && strcmp(arguments[1], "--print") == 0) {
        generate(&world.program, strtoull(arguments[2], NULL, 10));
        print_program(stdout, &world.program, NULL);
        return 0;
    }
    if (count != 4)
        return 124;
    bool continued = strcmp(arguments[1], "--continue") == 0;
    start(arguments[continued ? 2 : 1], arguments[3]);
    if (continued) {
        memcpy(world.slots, shared->slots, sizeof world.slots);
        memcpy(world.slot_files, shared->slot_files, sizeof world.slot_files);
        from = shared->next;
    } else if (chdir(arguments[2]) != 0) {
        return 123;
    }
    world.stack = alloca(STACK_BUFFER + 64);
    perform(from, world.program.count);
    return world.exit_status;
}
