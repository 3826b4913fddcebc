/*
 * streams NAME             copies from ../source to ./copy by stdio and does something unusual on the way, printing what it sees
 * streams --standard NAME  the same, but the copy is made by standard output
 * streams --list           prints each NAME, and how much of the source the copy is to share with it
 *
 * What it prints, and what it leaves, must be the same with the library and without.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <mntent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>
#include <utmp.h>
#include <utmpx.h>
#include <wchar.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* In small pieces no write is offloaded by itself; after so many a copy goes ahead again that was stopped once or twice. */
enum { BLOCK = 65536, HALF = 30, SMALL = 8192, ENOUGH = 130 };

static char buffer[1 << 20], program_buffer[1 << 17];
static FILE *source, *copy, *report;
static int to_standard;

static void die(const char *what)
{
    perror(what);
    exit(99);
}

static void say(const char *what, long result)
{
    fprintf(report, "%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static FILE *opened(FILE *stream)
{
    if (!stream)
        die("fopen");
    return stream;
}

/* Standard output comes to lead to the file as it does in a shell's child. */
static FILE *open_copy(const char *mode)
{
    int fd;

    if (!to_standard || strcmp(mode, "w") != 0)
        return opened(fopen("copy", mode));
    fd = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
        die("open");
    close(fd);
    return stdout;
}

static void open_both(const char *mode)
{
    source = opened(fopen("../source", "r"));
    copy = open_copy(mode);
}

/* What can be known of the stream, and of its file by its descriptor. */
static void say_state(void)
{
    struct stat st;

    fstat(fileno(copy), &st);
    fprintf(report, "pending %zu of %zu, at %ld and %ld, size %ld, error %d\n", __fpending(copy), __fbufsize(copy),
            ftell(copy), (long)lseek(fileno(copy), 0, SEEK_CUR), (long)st.st_size, ferror(copy));
}

/* The file's size, asked without a hook: what another thread would meet if it wrote now. */
static long size_unseen(long fd)
{
    struct stat st;
    long result;

#if defined(__x86_64__)
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_fstat), "D"(fd), "S"(&st) : "rcx", "r11", "memory");
#else
    result = syscall(SYS_fstat, fd, &st);
#endif
    return result == 0 ? (long)st.st_size : -1;
}

static void say_size_unseen(void)
{
    say("size, unseen", size_unseen(fileno(copy)));
}

static long copy_pieces(size_t piece, int pieces)
{
    long done = 0;

    for (int i = 0; i < pieces; i++) {
        size_t n = fread(buffer, 1, piece, source), written = fwrite(buffer, 1, n, copy);

        done += (long)written;
        if (n != piece || written != n)
            break;
    }
    return done;
}

static void copy_rest(void)
{
    say("copied the rest", copy_pieces(BLOCK, 10000));
}

static void close_both(void)
{
    say("closed", fclose(copy));
    fclose(source);
}

/* ---- plain copies ----------------------------------------------------------------------------------- */

static void by_blocks(void)
{
    open_both("w");
    copy_pieces(BLOCK, 1);
    say_state();
    copy_rest();
    say_state();
    close_both();
}

static void by_small_pieces(void)
{
    open_both("w");
    say("copied", copy_pieces(1000, 3000));
    copy_pieces(100, 100000);
    say_state();
    close_both();
}

static void by_elements(void)
{
    size_t n;

    open_both("w");
    while ((n = fread(buffer, 1234, 50, source)) > 0)
        say("written", (long)fwrite(buffer, 1234, n, copy));
    say_state();
    close_both();
}

static void unlocked(void)
{
    size_t n;

    open_both("w");
    while ((n = (fread_unlocked)(buffer, 1, 8192, source)) > 0)
        if ((fwrite_unlocked)(buffer, 1, n, copy) != n)
            die("fwrite_unlocked");
    say_state();
    close_both();
}

/* As tee, head and curl do. */
static void read_from_a_descriptor(void)
{
    ssize_t n;

    open_both("w");
    setvbuf(copy, NULL, _IONBF, 0);
    while ((n = read(fileno(source), buffer, 8192)) > 0)
        if (fwrite(buffer, 1, (size_t)n, copy) != (size_t)n)
            die("fwrite");
    say_state();
    close_both();
}

static void all_at_once(void)
{
    size_t n;

    open_both("w");
    n = fread(buffer, 1, sizeof buffer, source);
    say("written", (long)fwrite(buffer, n, 1, copy));
    say_state();
    close_both();
}

static void pieces_of_all_sizes(void)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 100, 65536, 70000, 3, 20000};

    open_both("w");
    for (size_t i = 0; i < 100; i++) {
        copy_pieces(sizes[i % 13], 1);
        say_state();
    }
    copy_rest();
    close_both();
}

/* Of every size of buffer that libc treats in a way of its own; in the end the buffer holds what it holds plainly. */
static void buffers_of_all_sizes(void)
{
    static const size_t sizes[] = {65536, 4096, 1, 2, 64, 127, 128, 129, 1000, 10000, 100000};
    size_t sum;

    for (size_t i = 0; i < 11; i++) {
        memset(program_buffer, 0, sizeof program_buffer);
        open_both("w");
        setvbuf(copy, program_buffer, _IOFBF, sizes[i]);
        copy_pieces(BLOCK, (int)i % 3);
        for (int round = 0; round < 5; round++) {
            copy_pieces(50, 2);
            say("pending", (long)__fpending(copy));
            copy_pieces(8192, 1);
            say("pending", (long)__fpending(copy));
            copy_pieces(70000, 1);
            say("pending", (long)__fpending(copy));
        }
        sum = 0;
        for (size_t byte = 0; byte < sizes[i]; byte++)
            sum = sum * 31 + (unsigned char)program_buffer[byte];
        fprintf(report, "buffer of %zu holds %zx\n", sizes[i], sum);
        say_state();
        close_both();
    }
}

/* ---- what libc writes by itself ------------------------------------------------------------------------ */

static void puts_a_word(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    say("put", fputs("a word", copy));
    say_state();
    copy_rest();
    close_both();
}

static void put_much(void)
{
    memset(program_buffer, 'p', 20000);
    program_buffer[20000] = 0;
    fputs(program_buffer, copy);
}

static void puts_more_than_the_buffer(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    put_much();
    close_both();
}

static void puts_more_and_goes_on(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    put_much();
    say_state();
    copy_pieces(BLOCK, 3);
    say_state();
    close_both();
}

static void puts_more_and_exits(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    put_much();
    exit(3);
}

static void puts_more_and_ends_at_once(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    put_much();
    fflush(report);
    _exit(3);
}

static void puts_bytes(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    for (int i = 0; i < 9000; i++)
        putc_unlocked('b', copy);
    close_both();
}

static void prints_without_a_buffer(void)
{
    open_both("w");
    setvbuf(copy, NULL, _IONBF, 0);
    copy_pieces(BLOCK, HALF);
    fprintf(copy, "%d%s", 77, "printed");
    say_state();
    copy_rest();
    close_both();
}

/* The source's own bytes: put as others, they are the copy's all the same. */
static void puts_the_sources_bytes(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    for (int i = 0; i < 5000; i++)
        putc(getc(source), copy);
    copy_rest();
    close_both();
}

static void puts_the_sources_bytes_and_ends(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    for (int i = 0; i < 5000; i++)
        putc(getc(source), copy);
    close_both();
}

/* ---- places ------------------------------------------------------------------------------------------- */

static void seeks_to_the_end(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    say("sought", fseek(copy, 0, SEEK_END));
    say("told", ftell(copy));
    copy_rest();
    close_both();
}

static void seeks_before_the_end(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    say("sought", fseeko(copy, -100, SEEK_END));
    say("told", ftell(copy));
    copy_rest();
    close_both();
}

static void rewrites_its_beginning(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    rewind(copy);
    put_much();
    close_both();
}

static void returns_to_a_position(void)
{
    fpos_t position;

    open_both("w");
    copy_pieces(1000, 10);
    say("got", fgetpos(copy, &position));
    copy_pieces(BLOCK, HALF);
    say("set", fsetpos(copy, &position));
    put_much();
    close_both();
}

static void knows_its_place(void)
{
    open_both("w");
    say("sought", fseek(copy, 0, SEEK_CUR));
    for (int i = 0; i < HALF; i++) {
        copy_pieces(BLOCK, 1);
        copy_pieces(1000, 1);
        say("told", ftell(copy));
    }
    say("sought", fseek(copy, -10, SEEK_CUR));
    put_much();
    say_state();
    close_both();
}

static void descriptor_moved(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    say("moved", lseek(fileno(copy), 100, SEEK_SET));
    copy_rest();
    close_both();
}

/* What libc writes unseen goes there. By the descriptor, or by a duplicate of it. */
static void moved_and_put_bytes(int descriptor, off_t by)
{
    copy_pieces(BLOCK, HALF);
    say("moved", lseek(descriptor, by, SEEK_CUR));
    for (int i = 0; i < 5000; i++)
        putc_unlocked('b', copy);
    say("moved back", lseek(descriptor, 0, SEEK_SET));
    fflush(report);
    _exit(4);
}

static void descriptor_moved_on_and_bytes_put(void)
{
    open_both("w");
    moved_and_put_bytes(fileno(copy), 50000);
}

static void duplicate_moved_on_and_bytes_put(void)
{
    open_both("w");
    moved_and_put_bytes(dup(fileno(copy)), 50000);
}

static void descriptor_moved_back_and_bytes_put(void)
{
    open_both("w");
    moved_and_put_bytes(fileno(copy), -100000);
}

static void bytes_put_and_descriptor_moved_back(void)
{
    open_both("w");
    moved_and_put_bytes(fileno(copy), 0);
}

/* ---- flushing and closing ------------------------------------------------------------------------------ */

static void flushes_each_piece(void)
{
    struct stat st;

    open_both("w");
    for (int i = 0; i < HALF; i++) {
        copy_pieces(10000, 1);
        fflush(copy);
        stat("copy", &st);
        say("size", st.st_size);
        say("told", ftell(copy));
    }
    close_both();
}

static void flushes_all(void)
{
    open_both("w");
    copy_pieces(70000, HALF);
    fflush(NULL);
    say_state();
    copy_rest();
    close_both();
}

static void ends_without_closing(void)
{
    open_both("w");
    copy_pieces(70000, HALF);
}

static void ends_at_once(void)
{
    open_both("w");
    copy_pieces(70000, HALF);
    fflush(report);
    _exit(4);
}

static void is_aborted(void)
{
    open_both("w");
    copy_pieces(70000, HALF);
    fflush(report);
    abort();
}

/* What programs call that are compiled with _FORTIFY_SOURCE. */
extern ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
extern ssize_t __pread_chk(int fd, void *to, size_t n, off_t from, size_t room);
extern ssize_t __pread64_chk(int fd, void *to, size_t n, off_t from, size_t room);
extern size_t __fread_chk(void *to, size_t room, size_t size, size_t n, FILE *stream);
extern size_t __fread_unlocked_chk(void *to, size_t room, size_t size, size_t n, FILE *stream);
extern char *__fgets_chk(char *to, size_t room, int n, FILE *stream);
extern char *__fgets_unlocked_chk(char *to, size_t room, int n, FILE *stream);

/* Has n bytes read to where there is room for ROOM, in one of the ways; each line of the source is longer. */
enum { ROOM = 20, WAYS = 8 };

static void read_checked(int way, size_t n)
{
    size_t many = n > ROOM ? (size_t)1 << 40 : 1;
    ssize_t (*const by_descriptor[])(int, void *, size_t, off_t, size_t) = {__pread_chk, __pread64_chk};
    size_t (*const by_stream[])(void *, size_t, size_t, size_t, FILE *) = {__fread_chk, __fread_unlocked_chk};
    char *(*const by_line[])(char *, size_t, int, FILE *) = {__fgets_chk, __fgets_unlocked_chk};

    if (way < 2)
        by_descriptor[way](fileno(source), buffer, n, 0, ROOM);
    else if (way < 4)
        by_stream[way - 2](buffer, ROOM, way == 2 ? 1 : n, way == 2 ? n : 1, source);
    else if (way < 6)
        by_line[way - 4](buffer, ROOM, (int)n, source);
    else if (way == 6)
        __read_chk(fileno(source), buffer, n, ROOM);
    else /* more than can be said: their product overflows */
        __fread_chk(buffer, (size_t)-1, many, many, source);
}

/* A child that begins a copy and comes to an end: what it leaves is said, and is there no more for the next one. */
static void child_ends(void (*end)(int way), int way)
{
    struct rlimit none = {0, 0};
    struct stat st;
    int status;

    fflush(report);
    if (fork() == 0) {
        setrlimit(RLIMIT_CORE, &none);
        open_both("w");
        copy_pieces(BLOCK, 3);
        end(way);
        _exit(0);
    }
    wait(&status);
    if (stat("copy", &st))
        die("stat");
    fprintf(report, "ended with %d, size %ld\n", status, (long)st.st_size);
    unlink("copy");
}

static void reads_what_fits(int way)
{
    while (getc(source) != '\n')
        ;
    read_checked(way, ROOM);
}

static void reads_too_much(int way)
{
    while (getc(source) != '\n')
        ;
    read_checked(way, ROOM + 1);
}

/* libc aborts the process by itself where there is too little room; where there is just enough it does not. */
static void asks_for_more_than_there_is_room(void)
{
    for (int way = 0; way < WAYS; way++) {
        child_ends(reads_what_fits, way);
        child_ends(reads_too_much, way);
    }
}

/* What compilers put where something has gone wrong. */
extern void __chk_fail(void) __attribute__((noreturn));
extern void __stack_chk_fail(void) __attribute__((noreturn));
enum { FAILURES = 4 };

static void fail_by(int way)
{
    if (way == 0)
        __chk_fail();
    if (way == 1)
        __stack_chk_fail();
    if (way == 2)
        __assert_perror_fail(EIO, "file", 1, "function");
    __assert_fail("assertion", "file", 1, "function");
}

static void fails_a_check(void)
{
    for (int way = 0; way < FAILURES; way++)
        child_ends(fail_by, way);
}

static void in_handler(void)
{
    copy_pieces(70000, 3);
}

static void copies_in_an_exit_handler(void)
{
    open_both("w");
    copy_pieces(70000, 3);
    atexit(in_handler);
    exit(0);
}

static void closed_beneath(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    close(fileno(copy));
    say("copied", copy_pieces(BLOCK, 3));
    say("error", ferror(copy));
    close_both();
}

static void opened_anew(void)
{
    open_both("w");
    copy_pieces(70000, HALF);
    copy = opened(freopen("other", "w", copy));
    copy_rest();
    say_state();
    close_both();
}

static void another_buffer(void)
{
    open_both("w");
    copy_pieces(70000, 3);
    say("set", setvbuf(copy, program_buffer, _IOFBF, sizeof program_buffer));
    say_state();
    copy_pieces(70000, 3);
    say("set", setvbuf(copy, NULL, _IONBF, 0));
    copy_pieces(70000, 3);
    say_state();
    close_both();
}

/* One that is larger than what is put: setvbuf(3) leaves no room in it, and all of it is put byte by byte. */
static void larger_buffer(void)
{
    open_both("w");
    setvbuf(copy, program_buffer, _IOLBF, 4096);
    putc_unlocked('p', copy);
    say("set", setvbuf(copy, program_buffer, _IOFBF, 10000));
    for (int i = 0; i < 20; i++) {
        copy_pieces(4096, 1);
        say_state();
    }
    fflush(report);
    _exit(0);
}

/* ---- other streams -------------------------------------------------------------------------------------- */

static void lines(void)
{
    open_both("w");
    setvbuf(copy, NULL, _IOLBF, 0);
    copy_rest();
    say_state();
    close_both();
}

static void appends(void)
{
    open_both("a");
    copy_pieces(BLOCK, HALF);
    say_state();
    copy_rest();
    close_both();
}

/* It goes by the end where it stands, as the stream has it. */
static void appends_no_more(void)
{
    fclose(opened(fopen("other", "w")));
    open_both("a");
    say("set", fcntl(fileno(copy), F_SETFL, 0));
    copy_pieces(BLOCK, HALF);
    fputs("a word", copy);
    say("told", ftell(copy));
    copy_rest();
    close_both();
}

static void reads_too(void)
{
    open_both("w+");
    copy_pieces(BLOCK, HALF);
    fflush(copy);
    say("read", (long)fread(buffer, 1, 100, copy));
    say("sought", fseek(copy, 0, SEEK_CUR));
    copy_rest();
    close_both();
}

static void overwrites(void)
{
    open_both("w");
    copy_rest();
    close_both();
    open_both("r+");
    copy_pieces(BLOCK, HALF);
    say("read", (long)fread(buffer, 1, 100, source));
    close_both();
}

/* fwrite puts nothing into such a stream, and does nothing to it. */
static void wide(void)
{
    open_both("w");
    say("wide", fwide(copy, 1) > 0);
    say("copied", copy_pieces(BLOCK, 3));
    say("error", ferror(copy));
    say("put", fputws(L"a word", copy));
    say_state();
    close_both();
}

/* The functions of wide streams are others; the copy's are those of the stream that was opened before. */
static void another_is_wide(void)
{
    FILE *other;

    open_both("w");
    other = opened(fopen("other", "w,ccs=UTF-8"));
    say("put", fputws(L"a word", other));
    copy_pieces(BLOCK, HALF);
    say("put", fputws(L"a word", other));
    copy_rest();
    fclose(other);
    close_both();
}

/* A stream that is written to, and is neither of bytes nor wide until fwrite makes it one of bytes. */
extern int _IO_file_overflow(FILE *stream, int c);

static void neither_of_bytes_nor_wide(void)
{
    open_both("w");
    say("put", _IO_file_overflow(copy, getc(source)));
    say("wide", fwide(copy, 0));
    copy_pieces(BLOCK, 1);
    say("wide", fwide(copy, 0));
    copy_rest();
    close_both();
}

/* What libc has met an error in is left to libc. */
static void after_an_error(void)
{
    char *page = mmap(NULL, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    open_both("w");
    errno = 0;
    say("written", (long)fwrite(page, 1, BLOCK, copy));
    fprintf(report, "errno %d, error %d\n", errno, ferror(copy) != 0);
    say_state();
    copy_rest();
    say_state();
    close_both();
}

static void two_of_one_descriptor(void)
{
    int fd = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    FILE *again;

    source = opened(fopen("../source", "r"));
    copy = opened(fdopen(fd, "w"));
    again = opened(fdopen(fd, "r"));
    copy_pieces(BLOCK, HALF);
    fflush(copy);
    say("read", (long)fread(buffer, 1, 100, again));
    copy_rest();
    close_both();
}

/* One that appends, as the stream has it, asks for its place at the end where that stands. */
static void appends_beside_another(void)
{
    int fd = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    FILE *appending;

    source = opened(fopen("../source", "r"));
    appending = opened(fdopen(fd, "a"));
    say("set", fcntl(fd, F_SETFL, 0));
    copy = opened(fdopen(fd, "w"));
    copy_pieces(BLOCK, HALF);
    putc('p', appending);
    say("told", ftell(appending));
    fflush(appending);
    copy_pieces(BLOCK, 3);
    close_both();
}

/* A number that two streams had is still that of the one that was not closed, which reads what it has come to mean. */
static void number_outlives_one_stream(void)
{
    int fd = open("other", O_RDWR | O_CREAT, 0644), again;
    FILE *left = opened(fdopen(fd, "r"));

    fclose(opened(fdopen(fd, "w")));
    again = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (again != fd)
        die("open");
    source = opened(fopen("../source", "r"));
    for (int i = 0; i < HALF; i++)
        if (write(fd, buffer, fread(buffer, 1, BLOCK, source)) != BLOCK)
            die("write");
    say("read", getc(left));
    say("at", (long)lseek(fd, 0, SEEK_CUR));
}

/* The same where the number was closed beneath the first, and the second is another file's. */
static void number_taken_and_given_back(void)
{
    FILE *stale = opened(fopen("other", "w+")), *other;
    int number = fileno(stale);

    close(number);
    other = opened(fopen("third", "w"));
    if (fileno(other) != number || fclose(other) || open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644) != number)
        die("open");
    source = opened(fopen("../source", "r"));
    for (int i = 0; i < HALF; i++)
        if (write(number, buffer, fread(buffer, 1, BLOCK, source)) != BLOCK)
            die("write");
    say("read", getc(stale));
    say("at", (long)lseek(number, 0, SEEK_CUR));
}

/* The mapping stays when its descriptor is closed, and is written to in the middle of the copy. */
static void mapped_and_closed(void)
{
    int fd = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *bytes = mmap(NULL, HALF * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (bytes == MAP_FAILED)
        die("mmap");
    close(fd);
    open_both("w");
    copy_pieces(BLOCK, 3);
    say_size_unseen();
    bytes[100] = '!';
    copy_pieces(BLOCK, 3);
    say_state();
    close_both();
}

/* How XFS is mounted says how much of a file's number stands in its handle (name_to_handle_at(2)). */
static void mount_again(const char *how)
{
    struct statfs fs;

    if (statfs("..", &fs))
        die("statfs");
    if (fs.f_type == XFS_SUPER_MAGIC && mount(NULL, "..", NULL, MS_REMOUNT | MS_NOATIME, how))
        die(how);
}

static void mapped_and_mounted_again(void)
{
    int fd = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);

    if (mmap(NULL, HALF * BLOCK, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
        die("mmap");
    close(fd);
    mount_again("inode32");
    open_both("w");
    copy_pieces(SMALL, 100);
    say_size_unseen();
    copy_pieces(SMALL, 100);
    say_state();
    close_both();
    mount_again("inode64");
}

static ino_t number_of(int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        die("fstat");
    return st.st_ino;
}

/*
 * Another file was mapped and deleted, and the copy has its inode number. Btrfs gives none twice; XFS does when it has
 * freed it, which it does in the background. Pieces too small to be offloaded each by itself.
 */
static void number_of_a_mapped_one(void)
{
    int fd = open("mapped", O_RDWR | O_CREAT | O_EXCL, 0644);
    ino_t number = number_of(fd);
    void *bytes = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, 0);
    struct statfs fs;

    if (bytes == MAP_FAILED || munmap(bytes, BLOCK) || fstatfs(fd, &fs) || unlink("mapped"))
        die("mapped");
    close(fd);
    open_both("w");
    while (fs.f_type == XFS_SUPER_MAGIC && number_of(fileno(copy)) != number) {
        if (fclose(source) || fclose(copy) || unlink("copy"))
            die("unlink");
        open_both("w");
    }
    say("copied", copy_pieces(SMALL, 100000));
    close_both();
}

static void read_by_another(void)
{
    FILE *other;
    long n = 0;

    open_both("w");
    copy_pieces(BLOCK, 3);
    other = opened(fopen("copy", "r"));
    copy_pieces(SMALL, ENOUGH);
    while (getc(other) != EOF)
        n++;
    say("read", n);
    clearerr(other);
    copy_pieces(SMALL, ENOUGH);
    while (getc(other) != EOF)
        n++;
    say("read", n);
    fclose(other);
    copy_rest();
    close_both();
}

static void duplicated(void)
{
    FILE *again;

    open_both("w");
    copy_pieces(BLOCK, 3);
    again = opened(fdopen(dup(fileno(copy)), "w"));
    fputs("by another", again);
    fflush(again);
    copy_pieces(SMALL, ENOUGH);
    put_much();
    fclose(again);
    close_both();
}

/* It stands at the end of what the first has written, before anything is put into it. */
static void opened_again_to_append(void)
{
    FILE *again;

    open_both("w");
    copy_pieces(BLOCK, HALF);
    again = opened(fopen("copy", "a"));
    say("told", ftell(again));
    say("at", (long)lseek(fileno(again), 0, SEEK_CUR));
    fputs("by another", again);
    fclose(again);
    close_both();
}

/* By every way there is: the place is told before anything is put. */
static void opened_to_append_by_all_ways(void)
{
    FILE *again = opened(fopen("other", "w"));
    int fd;

    open_both("w");
    copy_pieces(BLOCK, 6);
    again = opened(freopen("copy", "a", again));
    say("told", ftell(again));
    fclose(again);
    copy_pieces(BLOCK, 8);
    again = opened(fopen("copy", "a+"));
    say("told", ftell(again));
    fclose(again);
    copy_pieces(BLOCK, 8);
    again = opened(fdopen(dup(fileno(copy)), "a"));
    say("told", ftell(again));
    fclose(again);
    copy_pieces(BLOCK, 8);
    fd = open("copy", O_WRONLY | O_APPEND);
    say("at", (long)lseek(fd, 0, SEEK_CUR));
    say("at", (long)lseek(fd, 0, SEEK_END));
    say("written", (long)write(fd, "by another", 10));
    say("at", (long)lseek(fd, 0, SEEK_CUR));
    close(fd);
    copy_pieces(BLOCK, 8);
    copy = opened(freopen(NULL, "a", copy));
    say_state();
    copy_pieces(BLOCK, 3);
    say_state();
    close_both();
}

/* The descriptor was there before. */
static void descriptor_comes_to_append(void)
{
    FILE *again;
    int fd;

    open_both("w");
    fd = open("copy", O_WRONLY);
    copy_pieces(BLOCK, HALF);
    again = opened(fdopen(fd, "a"));
    say("told", ftell(again));
    fclose(again);
    close_both();
}

/* libc goes to the end by itself, and writes there. */
static void a_line_added_to_a_table(void)
{
    static struct mntent entry = {(char *)"device", (char *)"/place", (char *)"type", (char *)"defaults", 0, 0};

    open_both("w");
    copy_pieces(BLOCK, HALF);
    say("added", addmntent(copy, &entry));
    say_state();
    close_both();
}

/* libc opens it by itself. */
static void a_table_opened_to_append(void)
{
    static struct mntent entry = {(char *)"device", (char *)"/place", (char *)"type", (char *)"defaults", 0, 0};
    FILE *table;

    open_both("w");
    copy_pieces(BLOCK, HALF);
    table = opened(setmntent("copy", "a"));
    say("told", ftell(table));
    say("added", addmntent(table, &entry));
    copy_pieces(BLOCK, 3);
    say("added", addmntent(table, &entry));
    endmntent(table);
    say_state();
    close_both();
}

/* libc opens the file by itself. */
static void a_login_added(void)
{
    static struct utmp entry = {.ut_type = USER_PROCESS, .ut_line = "tty1", .ut_user = "user"};
    static struct utmpx other = {.ut_type = USER_PROCESS, .ut_line = "tty2", .ut_user = "user"};

    open_both("w");
    copy_pieces(BLOCK, HALF);
    updwtmp("copy", &entry);
    say_state();
    copy_pieces(BLOCK, HALF / 2);
    updwtmpx("copy", &other);
    say_state();
    copy_pieces(BLOCK, 3);
    close_both();
}

/* libc writes at the file's end by itself, by a name that it was told of in the middle of the copy, or before it. */
static void a_table_of_logins(void)
{
    static struct utmp entry = {.ut_type = USER_PROCESS, .ut_id = "1", .ut_line = "tty1", .ut_user = "user"};
    static struct utmpx other = {.ut_type = USER_PROCESS, .ut_id = "2", .ut_line = "tty2", .ut_user = "user"};

    open_both("w");
    copy_pieces(BLOCK, HALF);
    utmpname("copy");
    setutent();
    say("put", pututline(&entry) != NULL);
    say_state();
    close_both();
    open_both("w");
    copy_pieces(BLOCK, HALF);
    say("put", pututxline(&other) != NULL);
    say_state();
    copy_pieces(BLOCK, 3);
    close_both();
    endutxent();
}

/* Its descriptor means another file from then on. */
static void other_file_put_beneath(void)
{
    int fd = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    FILE *reads = opened(fopen("other", "w+"));

    source = opened(fopen("../source", "r"));
    dup2(fd, fileno(reads));
    close(fd);
    for (int i = 0; i < HALF; i++)
        if (write(fileno(reads), buffer, fread(buffer, 1, BLOCK, source)) != BLOCK)
            die("write");
    say("read", getc(reads));
    fclose(reads);
}

/* The stream goes on with the number of its descriptor, which means the copy from then on. */
static void number_used_again(void)
{
    FILE *stale = opened(fopen("other", "w+"));
    int number = fileno(stale), fd;

    source = opened(fopen("../source", "r"));
    close(number);
    fd = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd != number)
        die("open");
    for (int i = 0; i < HALF; i++)
        if (write(fd, buffer, fread(buffer, 1, BLOCK, source)) != BLOCK)
            die("write");
    say("read", getc(stale));
    fclose(stale);
}

/* The file is standard output's as well, which has a place of its own there. */
static void standard_output_leads_there(void)
{
    int kept = dup(1), fd = open("copy", O_RDWR | O_CREAT, 0644);

    dup2(fd, 1);
    close(fd);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    open_both("w");
    copy_pieces(BLOCK, HALF);
    for (int i = 0; i < 1000; i++)
        printf("line %d\n", i);
    copy_pieces(BLOCK, 1);
    fclose(copy);
    fflush(stdout);
    dprintf(kept, "done\n");
}

/* It leads there from the middle of the copy on, standard error too. */
static void standard_streams_come_to_lead_there(void)
{
    int kept = dup(1), fd;

    setvbuf(stdout, NULL, _IOFBF, 4096);
    fflush(stdout);
    open_both("w");
    copy_pieces(BLOCK, 10);
    fd = open("copy", O_RDWR);
    dup2(fd, 1);
    close(fd);
    copy_pieces(BLOCK, 10);
    for (int i = 0; i < 1000; i++)
        printf("line %d\n", i);
    copy_pieces(BLOCK, 10);
    fd = open("copy", O_RDWR);
    lseek(fd, 100, SEEK_SET);
    dup2(fd, 2);
    close(fd);
    fprintf(stderr, "an error\n");
    copy_pieces(BLOCK, 10);
    perror("another");
    puts("a line");
    copy_pieces(BLOCK, 1);
    fclose(copy);
    fflush(stdout);
    dprintf(kept, "done\n");
}

/* Descriptor 1 is the program's own, as dd has it, and written to by write(2) and printf(3). */
static int descriptor_1_begun(int lines)
{
    int from = open("../source", O_RDONLY);

    fflush(stdout);
    close(1);
    if (open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0644) != 1)
        die("open");
    setvbuf(stdout, NULL, _IOFBF, 4096);
    for (int i = 0; i < HALF; i++)
        if (read(from, buffer, BLOCK) != BLOCK || write(1, buffer, BLOCK) != BLOCK)
            die("copy");
    for (int i = 0; i < lines; i++)
        printf("line %d\n", i);
    return from;
}

static void descriptor_1(void)
{
    descriptor_1_begun(3000);
}

static void standard_output(void)
{
    int kept = dup(1);

    source = opened(fopen("../source", "r"));
    copy = opened(freopen("copy", "w", stdout));
    copy_pieces(BLOCK, HALF);
    for (int i = 0; i < 3000; i++)
        printf("line %d\n", i);
    copy_pieces(BLOCK, 3);
    puts("end");
    fclose(copy);
    dprintf(kept, "done\n");
}

/* Descriptor 0 is the program's own, and standard input reads there what has been written, or the end. */
static void descriptor_0(void)
{
    int from = open("../source", O_RDONLY);

    close(0);
    if (open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644) != 0)
        die("open");
    for (int i = 0; i < HALF; i++)
        if (read(from, buffer, BLOCK) != BLOCK || write(0, buffer, BLOCK) != BLOCK)
            die("copy");
    say("read", getchar());
    say("at", (long)lseek(0, 0, SEEK_CUR));
}

static ssize_t cookie_write(void *where, const char *bytes, size_t n)
{
    return write(*(int *)where, bytes, n);
}

static void functions_of_its_own(void)
{
    static int fd;
    cookie_io_functions_t functions = {.write = cookie_write};

    fd = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    source = opened(fopen("../source", "r"));
    copy = opened(fopencookie(&fd, "w", functions));
    say("copied", copy_pieces(BLOCK, 10000));
    say("closed", fclose(copy));
}

static void in_memory(void)
{
    source = opened(fopen("../source", "r"));
    copy = opened(fmemopen(program_buffer, sizeof program_buffer, "w"));
    say("copied", copy_pieces(BLOCK, 3));
    say("closed", fclose(copy));
}

static void of_every_mode(void)
{
    static const char *const modes[] = {"we", "wb", "wx", "wm", "wc", "wcme", "w,ccs=UTF-8", "wb+", "a", "r+", "r+m"};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (modes[i][1] == 'x')
            unlink("copy");
        open_both(modes[i]);
        copy_pieces(BLOCK, 3);
        say_state();
        copy_pieces(1000, 10);
        say("flushed", fflush_unlocked(copy));
        say_state();
        close_both();
    }
}

/*
 * What is put begins in the stream's own buffer, and holds what the source holds until the putting changes it: 3000 bytes
 * wait in the buffer, the next 1096 are the buffer's from 1000 on, and take the place of those behind the 3000.
 */
static void own_buffer_as_data(void)
{
    enum { WAIT = 3000, FROM = 1000, AT = 3 * BLOCK, MADE = 5 * BLOCK };
    char *own = program_buffer + 8192;
    int fd = open("made", O_RDWR | O_CREAT | O_TRUNC, 0644), from = open("../source", O_RDONLY);

    if (read(from, buffer, MADE) != MADE)
        die("read");
    memcpy(buffer + AT + WAIT, buffer + AT + FROM, WAIT - FROM);
    if (write(fd, buffer, MADE) != MADE || fsync(fd))
        die("write");
    close(fd);
    close(from);
    source = opened(fopen("made", "r"));
    copy = open_copy("w");
    setvbuf(copy, own, _IOFBF, 4096);
    copy_pieces(BLOCK, 3);
    copy_pieces(WAIT, 1);
    say("read", (long)fread(buffer, 1, 8192, source));
    memcpy(own + WAIT, buffer + WAIT - FROM, 8192 - (WAIT - FROM));
    say("put", (long)fwrite(own + FROM, 1, 8192, copy));
    say_state();
    close_both();
}

static void read_from_though_for_writing(void)
{
    open_both("w");
    copy_pieces(BLOCK, HALF);
    copy_pieces(100, 1);
    say("got", getc(copy));
    say_state();
    say("copied", copy_pieces(BLOCK, 3));
    clearerr(copy);
    say("copied", copy_pieces(BLOCK, 3));
    say_state();
    say("pushed back", ungetc('u', copy));
    say("copied", copy_pieces(BLOCK, 3));
    say_state();
    close_both();
}

static void flushed_by_all_names(void)
{
    open_both("w");
    copy_pieces(10000, HALF);
    say("flushed", fflush_unlocked(copy));
    say_state();
    copy_pieces(10000, HALF);
    setlinebuf(copy);
    say_state();
    copy_pieces(10000, HALF);
    __fpurge(copy);
    say_state();
    copy_pieces(10000, HALF);
    setbuf(copy, program_buffer);
    copy_pieces(10000, HALF);
    _flushlbf();
    say_state();
    copy_rest();
    say("all closed", fcloseall());
}

/* Another file, written through the stream that has been opened on the first. */
static void other_file_put_beneath_and_written(void)
{
    int fd;

    source = opened(fopen("../source", "r"));
    copy = opened(fopen("other", "w"));
    copy_pieces(BLOCK, 3);
    copy_pieces(100, 1);
    fd = open("copy", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(fd, fileno(copy));
    copy_pieces(BLOCK, HALF);
    say_state();
    say("at", (long)lseek(fd, 0, SEEK_CUR));
    put_much();
    close(fd);
    say_state();
    copy_rest();
    close_both();
}

static void straight_to_the_disk(void)
{
    static char aligned[2 * BLOCK] __attribute__((aligned(4096)));
    int fd = open("copy", O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_SYNC, 0644);

    source = opened(fopen("../source", "r"));
    copy = opened(fdopen(fd, "w"));
    setvbuf(copy, aligned, _IOFBF, BLOCK);
    for (int i = 0; i < HALF; i++)
        if (fread(aligned + BLOCK, 1, BLOCK, source) != BLOCK || fwrite(aligned + BLOCK, 1, BLOCK, copy) != BLOCK)
            die("fwrite");
    say_state();
    errno = 0;
    say("read", (long)fread(buffer + 1, 1, BLOCK, source));
    say("written", (long)fwrite(buffer + 1, 1, 2 * BLOCK, copy));
    fprintf(report, "errno %d\n", errno);
    say_state();
    close_both();
}

/* ---- the source ---------------------------------------------------------------------------------------- */

static void bytes_pushed_back(void)
{
    open_both("w");
    for (int i = 0; i < HALF; i++) {
        copy_pieces(BLOCK, 1);
        if (i % 10 == 5)
            ungetc(getc(source) ^ 1, source);
    }
    close_both();
}

static void bytes_taken_one_by_one(void)
{
    open_both("w");
    for (int i = 0; i < HALF; i++) {
        putc(getc(source), copy);
        copy_pieces(8191, 1);
    }
    copy_rest();
    close_both();
}

static void changed_in_place(void)
{
    size_t n;

    open_both("w");
    for (int i = 0; (n = fread(buffer, 1, BLOCK, source)) > 0; i++) {
        if (i % 7 == 3)
            buffer[BLOCK / 2] ^= 1;
        fwrite(buffer, 1, n, copy);
    }
    close_both();
}

/* Another process that writes the whole source anew, of other bytes, when it is told to, and to the copy if that is told. */
enum { SOURCE_ALONE, COPY_TOO };
static struct {
    int asks[2], tells[2];
    pid_t id;
} rewriter;

static void start_rewriter(void)
{
    struct stat st;
    char word = 0;
    int fd;

    if (pipe(rewriter.asks) || pipe(rewriter.tells))
        die("pipe");
    rewriter.id = fork();
    if (rewriter.id != 0)
        return;
    fd = open("../source", O_RDWR);
    memset(buffer, 'n', sizeof buffer);
    if (read(rewriter.asks[0], &word, 1) == 1 && fstat(fd, &st) == 0)
        for (off_t at = 0; at < st.st_size; at += BLOCK)
            if (pwrite(fd, buffer, at + BLOCK < st.st_size ? BLOCK : (size_t)(st.st_size - at), at) < 0)
                die("pwrite");
    fsync(fd);
    if (word == COPY_TOO && pwrite(open("copy", O_WRONLY), "by another", 10, 2 * HALF * BLOCK) != 10)
        die("pwrite");
    _exit(write(rewriter.tells[1], &word, 1) != 1);
}

static void have_rewritten(char word)
{
    if (write(rewriter.asks[1], &word, 1) != 1 || read(rewriter.tells[0], &word, 1) != 1)
        die("the other process");
    waitpid(rewriter.id, NULL, 0);
}

static void have_it_rewritten(void)
{
    have_rewritten(SOURCE_ALONE);
}

/* That is so when what libc has written unseen comes to light. */
static void rewritten_by_another(void)
{
    start_rewriter();
    open_both("w");
    copy_pieces(BLOCK, HALF);
    put_much();
    have_it_rewritten();
    say_state();
    close_both();
}

/* ---- copies by the descriptor alone, as streams of C++ make them, while libc's stream of it stays ------- */

static void write_pieces(int pieces)
{
    for (int i = 0; i < pieces; i++) {
        size_t n = fread(buffer, 1, BLOCK, source);

        if (write(fileno(copy), buffer, n) != (ssize_t)n)
            die("write");
        if (n != BLOCK)
            break;
    }
}

static void by_the_descriptor(void)
{
    open_both("w");
    write_pieces(10000);
    say_state();
    close_both();
}

static void by_the_descriptor_and_puts_in_between(void)
{
    open_both("w");
    write_pieces(HALF);
    fputs("some words", copy);
    write_pieces(3);
    say("flushed", fflush(copy));
    write_pieces(10000);
    put_much();
    say_state();
    close_both();
}

static void by_the_descriptor_and_seeks_to_the_end(void)
{
    open_both("w");
    write_pieces(HALF);
    say("sought", fseek(copy, 0, SEEK_END));
    say_state();
    write_pieces(3);
    close_both();
}

static void by_the_descriptor_and_exits(void)
{
    open_both("w");
    write_pieces(HALF);
    put_much();
    exit(3);
}

/* The stream writes in the midst of it. */
static void by_descriptor_and_rewritten(void)
{
    start_rewriter();
    open_both("w");
    for (int i = 0; i < HALF; i++)
        if (write(fileno(copy), buffer, fread(buffer, 1, BLOCK, source)) != BLOCK)
            die("write");
    put_much();
    have_it_rewritten();
    say_state();
    close_both();
}

/* What was flushed others may go on from, and what they write stays: here the stream is none whose writes are foreseen. */
static void by_the_descriptor_and_flushed(void)
{
    start_rewriter();
    open_both("w");
    setvbuf(copy, NULL, _IOLBF, 0);
    write_pieces(HALF);
    fputs("a word", copy);
    say("flushed", fflush(copy));
    have_rewritten(COPY_TOO);
    say_state();
    close_both();
}

static void descriptor_1_and_rewritten(void)
{
    start_rewriter();
    descriptor_1_begun(3000);
    have_it_rewritten();
}

/* ---- what fails ----------------------------------------------------------------------------------------- */

static void limited(void)
{
    struct rlimit limit = {20 * BLOCK + 1000, 1 << 30};

    signal(SIGXFSZ, SIG_IGN);
    open_both("w");
    copy_pieces(BLOCK, 3);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 25; i++) {
        errno = 0;
        fprintf(report, "copied %ld, errno %d\n", copy_pieces(BLOCK, 1), errno);
    }
    say_state();
    close_both();
}

/* The first write of a stream is one write, not one of a buffer and another. */
static void limited_at_once(void)
{
    struct rlimit limit = {2000, 1 << 30};

    signal(SIGXFSZ, SIG_IGN);
    open_both("w");
    setrlimit(RLIMIT_FSIZE, &limit);
    errno = 0;
    fprintf(report, "copied %ld, errno %d\n", copy_pieces(BLOCK, 1), errno);
    say_state();
    close_both();
}

static void memory_that_is_not_there(void)
{
    char *pages = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    open_both("w");
    setvbuf(copy, NULL, _IONBF, 0);
    copy_pieces(BLOCK, 3);
    mprotect(pages + BLOCK, BLOCK, PROT_NONE);
    say("read", (long)fread(pages, 1, BLOCK, source));
    errno = 0;
    say("written", (long)fwrite(pages + BLOCK / 2, 1, BLOCK, copy));
    fprintf(report, "errno %d\n", errno);
    say_state();
    close_both();
}

static void numbers_that_overflow(void)
{
    volatile size_t huge = (size_t)1 << 60;

    open_both("w");
    copy_pieces(BLOCK, 3);
    say("of none", (long)fwrite(buffer, 0, 5, copy));
    say("none of it", (long)fwrite(buffer, 5, 0, copy));
    say("overflowing", (long)fwrite(buffer, huge, 16, copy));
    say("overflowing", (long)fwrite(buffer, huge + 512, 16, copy) > 0);
    /* Nothing is put into no stream: volatile, as compilers know that there has to be one. */
    FILE *volatile none = NULL;
    say("nowhere", (long)fwrite(buffer, 1, 0, none));
    say("nowhere", (long)(fwrite_unlocked)(buffer, 0, 1, none));
    say_state();
    close_both();
}

/* ---- processes and threads -------------------------------------------------------------------------------- */

static void child_writes_too(void)
{
    pid_t child;

    open_both("w");
    copy_pieces(70000, HALF);
    fflush(report);
    child = fork();
    if (child == 0) {
        put_much();
        fclose(copy);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    copy_pieces(70000, 3);
    say_state();
    close_both();
}

static void copying_before_fork(void)
{
    copy = open_copy("w");
    copy_pieces(BLOCK, HALF);
}

/* A handler of the program's copies while the fork is under way. */
static void child_after_a_handler(void)
{
    struct stat st;
    pid_t child;

    source = opened(fopen("../source", "r"));
    pthread_atfork(copying_before_fork, NULL, NULL);
    fflush(report);
    child = fork();
    if (child == 0) {
        fstat(fileno(copy), &st);
        say("the child saw", st.st_size);
        fflush(report);
        _exit(write(fileno(copy), "by the child", 12) != 12);
    }
    waitpid(child, NULL, 0);
    say_state();
    close_both();
}

/* Started by number. It has the descriptor from then on, and sees what is there. */
static void child_started_by(long (*start)(void))
{
    int asks[2], tells[2];
    struct stat st;
    pid_t child;
    char word = 0;

    open_both("w");
    copy_pieces(BLOCK, 3);
    if (pipe(asks) || pipe(tells))
        die("pipe");
    fflush(report);
    child = (pid_t)start();
    if (child == 0) {
        if (read(asks[0], &word, 1) != 1 || fstat(fileno(copy), &st) || write(fileno(copy), "by the child", 12) != 12)
            _exit(1);
        _exit(write(tells[1], &st.st_size, sizeof st.st_size) != sizeof st.st_size);
    }
    copy_pieces(8192, 200);
    if (write(asks[1], &word, 1) != 1 || read(tells[0], &st.st_size, sizeof st.st_size) != sizeof st.st_size)
        die("the child");
    waitpid(child, NULL, 0);
    say("the child saw", st.st_size);
    say_state();
    close_both();
}

static long by_clone(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long by_clone3(void)
{
    struct clone_args with = {.exit_signal = SIGCHLD};

    return syscall(SYS_clone3, &with, sizeof with);
}

/* Not every machine has one of its own. */
static long by_fork(void)
{
#if defined(SYS_fork)
    return syscall(SYS_fork);
#else
    return by_clone();
#endif
}

static void child_by_number(void)
{
    child_started_by(by_clone);
}

static void child_by_newer_number(void)
{
    child_started_by(by_clone3);
}

static void child_by_oldest_number(void)
{
    child_started_by(by_fork);
}

static void *nothing_done_by_it(void *nothing)
{
    return nothing;
}

static void *putting(void *nothing)
{
    for (int i = 0; i < 300; i++) {
        flockfile(copy);
        for (int byte = 0; byte < 1000; byte++)
            putc_unlocked('t', copy);
        funlockfile(copy);
    }
    return nothing;
}

/* It might print, while this one settles. */
static void descriptor_1_and_a_thread(void)
{
    pthread_t thread;
    int kept = dup(1), from = descriptor_1_begun(0);

    pthread_create(&thread, NULL, nothing_done_by_it, NULL);
    pthread_join(thread, NULL);
    dprintf(kept, "size, unseen: %ld\n", size_unseen(1));
    for (int i = 0; i < ENOUGH; i++)
        if (write(1, buffer, (size_t)read(from, buffer, SMALL)) != SMALL)
            die("copy");
    dprintf(kept, "size, unseen: %ld\n", size_unseen(1));
}

/* What the thread puts must all be there, while this one asks about the file, which settles a copy. */
static void thread_puts_too(void)
{
    pthread_t thread;
    struct stat st;
    long there = 0;

    open_both("w");
    copy_pieces(BLOCK, HALF);
    pthread_create(&thread, NULL, nothing_done_by_it, NULL);
    pthread_join(thread, NULL);
    say_size_unseen();
    pthread_create(&thread, NULL, putting, NULL);
    for (int i = 0; i < 2000; i++)
        stat("copy", &st);
    pthread_join(thread, NULL);
    close_both();
    source = opened(fopen("copy", "r"));
    while (getc(source) != EOF)
        there++;
    say("there", there);
}

/* Whose bytes come first is chance, and so only their number is looked at. */
static void thread_puts_all_along(void)
{
    pthread_t thread;
    struct stat st;

    open_both("w");
    pthread_create(&thread, NULL, putting, NULL);
    while (copy_pieces(BLOCK, 1) == BLOCK)
        stat("copy", &st);
    pthread_join(thread, NULL);
    close_both();
    stat("copy", &st);
    say("size", st.st_size);
    unlink("copy");
}

static int nothing_done(void *nothing)
{
    (void)nothing;
    return 0;
}

static void thread_of_the_standard(void)
{
    thrd_t thread;

    open_both("w");
    copy_pieces(BLOCK, HALF);
    thrd_create(&thread, nothing_done, NULL);
    thrd_join(thread, NULL);
    say_size_unseen();
    copy_rest();
    close_both();
}

/* How many bytes of the source the copy shares, at least, in hundredths; LEFT_ALONE: no byte. */
enum { LEFT_ALONE = -1, NONE, ALL = 99, HALF_OF_IT = 40 };

static const struct corner {
    const char *name;
    int shared;
    void (*turn)(void);
} corners[] = {
#define CORNER(name, shared) \
    {                        \
#name, shared, name  \
    }
    CORNER(by_blocks, ALL),
    CORNER(by_small_pieces, ALL),
    CORNER(by_elements, ALL),
    CORNER(unlocked, ALL),
    CORNER(read_from_a_descriptor, ALL),
    CORNER(all_at_once, 10),
    CORNER(pieces_of_all_sizes, HALF_OF_IT),
    CORNER(buffers_of_all_sizes, NONE),
    CORNER(puts_a_word, HALF_OF_IT),
    CORNER(puts_more_than_the_buffer, NONE),
    CORNER(puts_more_and_goes_on, HALF_OF_IT),
    CORNER(puts_more_and_exits, NONE),
    CORNER(puts_more_and_ends_at_once, NONE),
    CORNER(puts_bytes, NONE),
    CORNER(prints_without_a_buffer, HALF_OF_IT),
    CORNER(puts_the_sources_bytes, HALF_OF_IT),
    CORNER(puts_the_sources_bytes_and_ends, NONE),
    CORNER(seeks_to_the_end, NONE),
    CORNER(seeks_before_the_end, NONE),
    CORNER(rewrites_its_beginning, NONE),
    CORNER(returns_to_a_position, NONE),
    CORNER(knows_its_place, HALF_OF_IT),
    CORNER(descriptor_moved, NONE),
    CORNER(descriptor_moved_on_and_bytes_put, NONE),
    CORNER(duplicate_moved_on_and_bytes_put, NONE),
    CORNER(descriptor_moved_back_and_bytes_put, NONE),
    CORNER(bytes_put_and_descriptor_moved_back, NONE),
    CORNER(flushes_each_piece, NONE),
    CORNER(flushes_all, HALF_OF_IT),
    CORNER(ends_without_closing, NONE),
    CORNER(ends_at_once, NONE),
    CORNER(is_aborted, NONE),
    CORNER(asks_for_more_than_there_is_room, NONE),
    CORNER(fails_a_check, NONE),
    CORNER(copies_in_an_exit_handler, NONE),
    CORNER(closed_beneath, NONE),
    CORNER(opened_anew, NONE),
    CORNER(another_buffer, NONE),
    CORNER(larger_buffer, NONE),
    CORNER(lines, NONE),
    CORNER(appends, NONE),
    CORNER(appends_no_more, NONE),
    CORNER(reads_too, NONE),
    CORNER(overwrites, HALF_OF_IT),
    CORNER(wide, NONE),
    CORNER(another_is_wide, ALL),
    CORNER(neither_of_bytes_nor_wide, NONE),
    CORNER(after_an_error, LEFT_ALONE),
    CORNER(two_of_one_descriptor, NONE),
    CORNER(read_by_another, NONE),
    CORNER(duplicated, NONE),
    CORNER(opened_again_to_append, NONE),
    CORNER(opened_to_append_by_all_ways, NONE),
    CORNER(descriptor_comes_to_append, NONE),
    CORNER(a_line_added_to_a_table, HALF_OF_IT),
    CORNER(a_table_opened_to_append, NONE),
    CORNER(a_login_added, NONE),
    CORNER(a_table_of_logins, NONE),
    CORNER(other_file_put_beneath, NONE),
    CORNER(number_used_again, NONE),
    CORNER(standard_output_leads_there, NONE),
    CORNER(standard_streams_come_to_lead_there, NONE),
    CORNER(standard_output, HALF_OF_IT),
    CORNER(descriptor_1, HALF_OF_IT),
    CORNER(descriptor_0, NONE),
    CORNER(mapped_and_closed, NONE),
    CORNER(mapped_and_mounted_again, NONE),
    CORNER(number_of_a_mapped_one, ALL),
    CORNER(appends_beside_another, NONE),
    CORNER(number_outlives_one_stream, NONE),
    CORNER(number_taken_and_given_back, NONE),
    CORNER(functions_of_its_own, NONE),
    CORNER(in_memory, NONE),
    CORNER(of_every_mode, NONE),
    CORNER(own_buffer_as_data, NONE),
    CORNER(read_from_though_for_writing, NONE),
    CORNER(flushed_by_all_names, NONE),
    CORNER(other_file_put_beneath_and_written, NONE),
    CORNER(straight_to_the_disk, HALF_OF_IT),
    CORNER(bytes_pushed_back, NONE),
    CORNER(bytes_taken_one_by_one, NONE),
    CORNER(changed_in_place, NONE),
    CORNER(rewritten_by_another, NONE),
    CORNER(by_the_descriptor, ALL),
    CORNER(by_the_descriptor_and_puts_in_between, HALF_OF_IT),
    CORNER(by_the_descriptor_and_seeks_to_the_end, NONE),
    CORNER(by_the_descriptor_and_exits, NONE),
    CORNER(by_descriptor_and_rewritten, NONE),
    CORNER(by_the_descriptor_and_flushed, NONE),
    CORNER(descriptor_1_and_rewritten, NONE),
    CORNER(limited, NONE),
    CORNER(limited_at_once, NONE),
    CORNER(memory_that_is_not_there, NONE),
    CORNER(numbers_that_overflow, NONE),
    CORNER(child_writes_too, NONE),
    CORNER(child_after_a_handler, NONE),
    CORNER(child_by_number, NONE),
    CORNER(child_by_newer_number, NONE),
    CORNER(child_by_oldest_number, NONE),
    CORNER(thread_puts_too, NONE),
    CORNER(thread_puts_all_along, NONE),
    CORNER(descriptor_1_and_a_thread, HALF_OF_IT),
    CORNER(thread_of_the_standard, HALF_OF_IT),
};

static void list(void)
{
    for (size_t i = 0; i < sizeof(corners) / sizeof(corners[0]); i++)
        printf("%s %d\n", corners[i].name, corners[i].shared);
}

static FILE *report_to(void)
{
    FILE *stream = to_standard ? opened(fdopen(dup(STDOUT_FILENO), "w")) : stdout;

    setvbuf(stream, NULL, _IOFBF, 65536);
    return stream;
}

int main(int argc, char **argv)
{
    const char *name = argv[argc - 1];

    to_standard = argc == 3 && strcmp(argv[1], "--standard") == 0;
    if (argc == 2 && strcmp(name, "--list") == 0) {
        list();
        return 0;
    }
    for (size_t i = 0; argc == 2 + to_standard && i < sizeof(corners) / sizeof(corners[0]); i++) {
        if (strcmp(name, corners[i].name) == 0) {
            report = report_to();
            corners[i].turn();
            return 0;
        }
    }
    return 2;
}
