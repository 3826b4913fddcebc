/* stdio on the program's descriptors, mixed with the calls below it. */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool only_reads[SLOTS];

static const char *mode_for(const struct op *op)
{
    static const char *const modes[] = {"r", "w", "a", "r+"};
    return modes[op->a[2] % 4];
}

static char buffers[SLOTS][1 << 17];

/* As the stream is opened or, once more, in its course. */
static void set_buffer(int slot, int how)
{
    static const struct {
        int mode;
        size_t size;
    } ways[] = {{_IONBF, 0}, {_IOFBF, 1 << 16}, {_IOFBF, 100}, {_IOLBF, 1 << 12}, {_IOFBF, 10000}, {_IOFBF, 1 << 17}};
    const size_t way = (size_t)how % (sizeof ways / sizeof *ways);
    TRY(N_STREAM, setvbuf(world.streams[slot], ways[way].size ? buffers[slot] : NULL, ways[way].mode, ways[way].size));
}

static void open_stream(int slot, const char *mode, int buffer)
{
    errno = ERRNO_MARK;
    only_reads[slot] = mode[0] == 'r' && !mode[1];
    FILE *stream = fdopen(world.slots[slot], mode);
    note(N_STREAM, stream != NULL);
    world.streams[slot] = stream;
    if (stream && buffer)
        set_buffer(slot, buffer - 1);
}

/* As behind a shell's `>`. Once: what is closed then is not opened again. */
static void become_standard(int slot, int buffer)
{
    static bool has_been;
    if (has_been || world.slots[slot] < 0)
        return;
    has_been = true;
    only_reads[slot] = false;
    note(N_STREAM, dup2(world.slots[slot], STDOUT_FILENO));
    if (world.slots[slot] != STDOUT_FILENO)
        close(world.slots[slot]);
    world.slots[slot] = STDOUT_FILENO;
    world.streams[slot] = stdout;
    if (buffer)
        set_buffer(slot, buffer - 1);
}

static void write_stream(FILE *stream, size_t count)
{
    char bytes[10000];
    if (count > sizeof bytes)
        count = sizeof bytes;
    memset(bytes, 's', sizeof bytes);
    TRY(N_STREAM, fwrite(bytes, 1, count, stream));
}

static void put_bytes(FILE *stream, int count)
{
    for (int i = 0; i < count; i++)
        TRY(N_STREAM, putc_unlocked('p', stream));
}

static void put_string(FILE *stream, int count)
{
    char text[10001];
    memset(text, 'q', sizeof text);
    text[count < 10000 ? count : 10000] = 0;
    TRY(N_STREAM, fputs(text, stream) < 0);
}

static void read_stream(FILE *stream, size_t count)
{
    char bytes[10000];
    memset(bytes, 0, sizeof bytes);
    TRY(N_STREAM, fread(bytes, 1, count > sizeof bytes ? sizeof bytes : count, stream));
    note_full(N_HASH, 0, hash_bytes(bytes, sizeof bytes), 0);
}

static void reopen_stream(int slot, int file, const char *mode)
{
    only_reads[slot] = mode[0] == 'r' && !mode[1];
    FILE *stream = freopen(name_of(file), mode, world.streams[slot]);
    world.streams[slot] = stream;
    world.slots[slot] = stream ? fileno(stream) : -1;
    world.slot_files[slot] = file;
    note(N_STREAM, world.slots[slot]);
}

/* On a stream for writing this would write out whatever memory its buffer holds. */
static void unget(FILE *stream, int slot)
{
    if (only_reads[slot])
        TRY(N_STREAM, ungetc('u', stream));
}

void perform_stream(const struct op *op)
{
    int slot = op->a[0];
    FILE *stream = world.streams[slot];
    if (op->a[1] == T_FDOPEN) {
        open_stream(slot, mode_for(op), op->a[3]);
        return;
    }
    if (op->a[1] == T_STANDARD) {
        become_standard(slot, op->a[3]);
        return;
    }
    if (refused_by_direct(world.slots[slot], (const void *)1))
        return;
    if (op->a[1] == T_DPRINTF) {
        TRY(N_STREAM, dprintf(world.slots[slot], "%0*d", op->a[3] % 200, 7));
        return;
    }
    if (!stream)
        return;
    switch (op->a[1]) {
    case T_PRINT:
        TRY(N_STREAM, fprintf(stream, "%0*d", op->a[3] % 200, 7));
        break;
    case T_FWRITE:
        write_stream(stream, (size_t)op->a[3]);
        break;
    case T_FREAD:
        read_stream(stream, (size_t)op->a[3]);
        break;
    case T_FLUSH:
        TRY(N_STREAM, fflush(stream));
        break;
    case T_SEEK:
        TRY(N_STREAM, fseeko(stream, op->a[3], op->a[4]));
        break;
    case T_TELL:
        TRY(N_STREAM, ftello(stream));
        break;
    case T_UNGET:
        unget(stream, slot);
        break;
    case T_PUTS:
        put_string(stream, op->a[3]);
        break;
    case T_PUTC:
        put_bytes(stream, op->a[3]);
        break;
    case T_SETVBUF:
        set_buffer(slot, op->a[3]);
        break;
    case T_REWIND:
        rewind(stream);
        break;
    case T_REOPEN:
        reopen_stream(slot, op->a[4] % FILES, mode_for(op));
        break;
    default:
        world.streams[slot] = NULL;
        TRY(N_STREAM, fclose(stream));
    }
}
