/*
 * corners NAME    copies from ../source to ./copy and does something unusual on the way, printing what it sees
 * corners --list  prints each NAME
 *
 * What it prints, and what it leaves, must be the same with the library and without.
 */
#include "../older.h"

#include <aio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <ulimit.h>
#include <unistd.h>
#include <utmp.h>

enum { BLOCK = 65536, HALF = 30 };

static char buffer[BLOCK] __attribute__((aligned(4096)));
static int source, copy;

static void die(const char *what)
{
    perror(what);
    exit(99);
}

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

/* Without a hook: the program is no witness of what it sees through one. */
static long raw(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = 0;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
#else
    return syscall(number, a, b, c, d, 0L);
#endif
}

static void open_both(void)
{
    source = open("../source", O_RDONLY);
    copy = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (source < 0 || copy < 0)
        die("open");
}

static int copy_blocks(int blocks)
{
    int done = 0;

    while (done < blocks) {
        ssize_t n = read(source, buffer, BLOCK);

        if (n <= 0)
            break;
        if (write(copy, buffer, (size_t)n) != n)
            die("write");
        done++;
    }
    return done;
}

static void say_place(void)
{
    struct stat st;

    fstat(copy, &st);
    printf("at %ld and %ld, size %ld\n", (long)lseek(source, 0, SEEK_CUR), (long)lseek(copy, 0, SEEK_CUR),
           (long)st.st_size);
}

/* Unseen: no hook settles for it. */
static long size_of_copy(void)
{
    struct stat st;

    return raw(SYS_newfstatat, AT_FDCWD, (long)"copy", (long)&st, 0) < 0 ? -1 : (long)st.st_size;
}

/* ---- buffers -------------------------------------------------------------------------------------- */

static void buffer_that_wraps(void)
{
    volatile size_t huge = (size_t)-1;

    copy_blocks(HALF);
    say("wraps", write(copy, (char *)-4096L, 8192));
    say("ends at the end", write(copy, (char *)-4096L, 4096));
    say("huge", write(copy, buffer, huge));
    say("of nothing", write(copy, (char *)-4096L, 0));
    say("kernel's", write(copy, (char *)(1UL << 63), 4096));
    copy_blocks(1000);
    say_place();
}

static void buffer_that_ends_early(void)
{
    char *pages = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    copy_blocks(HALF);
    mprotect(pages + BLOCK, BLOCK, PROT_NONE);
    say("read", read(source, pages, BLOCK));
    say("half there", write(copy, pages + BLOCK / 2, BLOCK));
    say_place();
    copy_blocks(3);
    say_place();
}

/* What is read into two blocks is there still when the second may not be read any more, by one way or another. */
static void with_half_forbidden_of(char *pages, void forbid(char *at))
{
    copy_blocks(HALF);
    say("read", read(source, pages, 2 * BLOCK));
    forbid(pages + BLOCK);
    say("half there", write(copy, pages, 2 * BLOCK));
    say_place();
    copy_blocks(3);
    say_place();
}

static void with_half_of_it_forbidden(void forbid(char *at))
{
    with_half_forbidden_of(mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), forbid);
}

static void forbid(char *at)
{
    mprotect(at, BLOCK, PROT_NONE);
}

static void buffer_that_is_forbidden(void)
{
    with_half_of_it_forbidden(forbid);
}

static void forbid_by_number(char *at)
{
    syscall(SYS_mprotect, at, BLOCK, PROT_NONE);
}

static void buffer_forbidden_by_number(void)
{
    with_half_of_it_forbidden(forbid_by_number);
}

static void map_over(char *at)
{
    if (mmap(at, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        die("mmap");
}

static void buffer_mapped_over(void)
{
    with_half_of_it_forbidden(map_over);
}

/* Where there are no keys, the call fails, and the write does not. */
static void lock_up(char *at)
{
    int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

    pkey_mprotect(at, BLOCK, PROT_READ | PROT_WRITE, key);
}

static void buffer_that_is_locked_up(void)
{
    with_half_of_it_forbidden(lock_up);
}

/* MADV_GUARD_INSTALL, of shared memory since Linux 6.15; before, the call fails and the write does not. */
static void guard(char *at)
{
    madvise(at, BLOCK, 102);
}

static void buffer_that_is_guarded(void)
{
    with_half_of_it_forbidden(guard);
}

static void shared_buffer_that_is_guarded(void)
{
    with_half_forbidden_of(mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), guard);
}

static void shared_buffer_by_number(void)
{
    with_half_forbidden_of(
        (char *)syscall(SYS_mmap, NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), guard);
}

static void segment_that_is_guarded(void)
{
    int id = shmget(IPC_PRIVATE, 2 * BLOCK, 0600);
    char *pages = id < 0 ? (char *)-1 : shmat(id, NULL, 0);

    if (pages == (char *)-1 || shmctl(id, IPC_RMID, NULL))
        die("shmat");
    with_half_forbidden_of(pages, guard);
}

static void buffer_of_a_file_cut_short(void)
{
    int other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *pages;

    if (ftruncate(other, BLOCK) < 0)
        die("ftruncate");
    pages = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
    copy_blocks(HALF);
    say("read", read(source, pages, BLOCK));
    if (ftruncate(other, 4096) < 0)
        die("ftruncate");
    say("write", write(copy, pages, BLOCK));
    say_place();
    copy_blocks(3);
    say_place();
}

static void buffer_in_the_copy_itself(void)
{
    char *pages;

    copy_blocks(HALF);
    pages = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0);
    say("read into the copy", read(source, pages, BLOCK));
    say("write from the copy", write(copy, pages, BLOCK));
    copy_blocks(5);
    say_place();
}

static void buffer_in_the_source_itself(void)
{
    int own = open("own", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *pages;
    ssize_t n;

    while ((n = read(source, buffer, BLOCK)) > 0)
        if (write(own, buffer, (size_t)n) != n)
            die("write");
    source = own;
    lseek(source, 0, SEEK_SET);
    pages = mmap(NULL, 64 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
    copy_blocks(HALF);
    /* The first byte of the block is changed by the read's own destination. */
    say("read into itself", read(source, pages + (HALF + 2) * BLOCK, BLOCK));
    say("write from itself", write(copy, pages + (HALF + 2) * BLOCK, BLOCK));
    pages[(HALF + 4) * BLOCK] ^= 1;
    copy_blocks(5);
    say_place();
}

/* ---- descriptors ---------------------------------------------------------------------------------- */

static void send_descriptor(int over, int fd, bool by_number)
{
    char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    if ((by_number ? syscall(SYS_sendmsg, over, &message, 0) : sendmsg(over, &message, 0)) < 0)
        die("sendmsg");
}

static int receive_descriptor(int over)
{
    char byte, room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int fd;

    if (recvmsg(over, &message, 0) < 0)
        die("recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return fd;
}

/* A helper that was there before: it writes through the description that it is sent, when it is told. */
static void passed_as(int from, bool by_number)
{
    int ends[2];
    char byte = 0;

    close(source);
    close(copy);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    if (fork() == 0) {
        int theirs = receive_descriptor(ends[1]);

        if (read(ends[1], &byte, 1) != 1 || write(theirs, "a marker", 8) != 8 || write(ends[1], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    open_both();
    send_descriptor(ends[0], from ? fcntl(copy, F_DUPFD, from) : copy, by_number);
    copy_blocks(HALF);
    say("size", size_of_copy());
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
        die("socket");
    copy_blocks(3);
    wait(NULL);
    say_place();
}

static void passed_before_the_copy(void)
{
    passed_as(0, false);
}

static void duplicate_passed_before_the_copy(void)
{
    passed_as(3, false);
}

/* The library remembers of no more than 4096 numbers what they lead to. */
static void high_duplicate_passed_before_the_copy(void)
{
    const struct rlimit many = {5000, 5000};

    if (setrlimit(RLIMIT_NOFILE, &many) < 0)
        die("setrlimit");
    passed_as(4500, false);
}

static void passed_by_number_before_the_copy(void)
{
    passed_as(0, true);
}

/* The child's description, by a number that was an own file's until it was closed, which was not told to anybody. */
static void fetched(bool by_number)
{
    int ends[2], process, theirs, old;
    char byte = 0;
    DIR *directory;
    pid_t child;

    close(source);
    close(copy);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    child = fork();
    if (child == 0) {
        open_both();
        if (write(ends[1], &copy, sizeof(copy)) != sizeof(copy) || read(ends[1], &byte, 1) != 1 ||
            lseek(copy, 0, SEEK_END) < 0 || write(copy, "a marker", 8) != 8 || write(ends[1], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    source = open("../source", O_RDONLY);
    process = pidfd_open(child, 0);
    if (process < 0 || read(ends[0], &theirs, sizeof(theirs)) != sizeof(theirs))
        die("child");
    directory = fdopendir(open(".", O_RDONLY));
    old = dirfd(directory);
    closedir(directory);
    if (by_number)
        copy = (int)syscall(SYS_pidfd_getfd, process, theirs, 0);
    else
        copy = pidfd_getfd(process, theirs, 0);
    if (copy != old)
        die("pidfd_getfd");
    copy_blocks(HALF);
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
        die("socket");
    copy_blocks(3);
    wait(NULL);
    say_place();
}

static void fetched_with_an_old_number(void)
{
    fetched(false);
}

static void fetched_by_number_with_an_old_number(void)
{
    fetched(true);
}

/* The number of an own file is given the description that a child has too. */
static void doubled_by_number(void)
{
    int ends[2], other = open("other", O_RDWR | O_CREAT, 0644);
    char byte = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    if (fork() == 0) {
        if (read(ends[1], &byte, 1) != 1 || lseek(copy, 0, SEEK_END) < 0 || write(copy, "a marker", 8) != 8 ||
            write(ends[1], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    close(other);
    other = open("other", O_RDWR);
    if (syscall(SYS_dup3, copy, other, 0) != other)
        die("dup3");
    copy = other;
    copy_blocks(HALF);
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
        die("socket");
    copy_blocks(3);
    wait(NULL);
    say_place();
}

/* The program is sent a description that its sender goes on to use; its number was one of its own before. */
static void received_with_an_old_number(void)
{
    int ends[2];
    char byte = 0;
    DIR *directory;

    close(source);
    close(copy);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    if (fork() == 0) {
        open_both();
        send_descriptor(ends[1], copy, false);
        if (read(ends[1], &byte, 1) != 1 || write(copy, "a marker", 8) != 8 || write(ends[1], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    source = open("../source", O_RDONLY);
    directory = fdopendir(open(".", O_RDONLY));
    closedir(directory);
    copy = receive_descriptor(ends[0]);
    copy_blocks(HALF);
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
        die("socket");
    copy_blocks(3);
    wait(NULL);
    say_place();
}

/* What stdio says through a descriptor that the copy was put behind, with no call of the program's that flushes. */
static void puts_on_standard_output(void)
{
    int kept = dup(1);

    setvbuf(stdout, NULL, _IONBF, 0);
    dup2(copy, 1);
    close(copy);
    copy = 1;
    copy_blocks(HALF);
    fputs("a marker", stdout);
    close(kept);
    _exit(0);
}

static void perror_on_standard_error(void)
{
    dup2(copy, 2);
    close(copy);
    copy = 2;
    copy_blocks(HALF);
    errno = ENOENT;
    perror("a marker");
    copy_blocks(3);
    say_place();
}

static void stream_flushes_by_itself(void)
{
    int kept = dup(1);

    dup2(copy, 1);
    close(copy);
    copy = 1;
    copy_blocks(HALF);
    for (int i = 0; i < 2000; i++)
        printf("line %d\n", i);
    copy_blocks(3);
    fflush(stdout);
    dup2(kept, 1);
    say("size", lseek(1, 0, SEEK_CUR) < 0 ? -1 : 0);
}

static void closed_and_opened_unseen(void)
{
    copy_blocks(HALF);
    raw(SYS_close, copy, 0, 0, 0);
    say("same number", open("other", O_RDWR | O_CREAT | O_TRUNC, 0644) == copy);
    say("write", copy_blocks(2));
    say_place();
    /* That the copy may be longer then, the manual says. */
    unlink("copy");
}

static void all_others_closed_unseen(void)
{
    copy_blocks(HALF);
    for (int fd = 3; fd < 4096; fd++)
        if (fd != source && fd != copy)
            raw(SYS_close, fd, 0, 0, 0);
    copy_blocks(1000);
    say_place();
}

static void standard_descriptors_closed(void)
{
    int kept = fcntl(1, F_DUPFD_CLOEXEC, 100);

    close(source);
    close(copy);
    close(0);
    close(1);
    close(2);
    open_both();
    copy_blocks(1000);
    dup2(kept, 1);
    say("source", source);
    say_place();
}

static void lowest_number_is_free(void)
{
    copy_blocks(HALF);
    for (int i = 0; i < 3; i++) {
        int fd = open("/dev/null", O_RDONLY);

        say("opened", fd);
        copy_blocks(3);
    }
    say_place();
}

/* ---- limits --------------------------------------------------------------------------------------- */

static void limited_by_another_process(void)
{
    struct rlimit limit = {(HALF + 2) * BLOCK + 777, (HALF + 2) * BLOCK + 777};
    pid_t parent = getpid();
    ssize_t n;

    signal(SIGXFSZ, SIG_IGN);
    copy_blocks(HALF);
    /* By number: a child whose hooks settle its own sessions, of which it has none. */
    if (fork() == 0) {
        raw(SYS_prlimit64, parent, RLIMIT_FSIZE, (long)&limit, 0);
        _exit(0);
    }
    wait(NULL);
    for (int i = 0; i < 5; i++) {
        n = read(source, buffer, BLOCK);
        say("write", write(copy, buffer, (size_t)n));
    }
    say_place();
}

/* The child was there before the copy, so that its start does not end it. */
static void limited_in_mid_copy(void)
{
    struct rlimit limit = {(HALF + 2) * BLOCK + 777, (HALF + 2) * BLOCK + 777};
    int ends[2];
    char byte = 0;
    pid_t parent = getpid();

    signal(SIGXFSZ, SIG_IGN);
    close(source);
    close(copy);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    if (fork() == 0) {
        if (read(ends[1], &byte, 1) != 1)
            _exit(1);
        raw(SYS_prlimit64, parent, RLIMIT_FSIZE, (long)&limit, 0);
        _exit(write(ends[1], &byte, 1) != 1);
    }
    open_both();
    copy_blocks(HALF);
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
        die("socket");
    for (int i = 0; i < 5; i++) {
        ssize_t n = read(source, buffer, BLOCK);

        say("write", write(copy, buffer, (size_t)n));
    }
    say_place();
    wait(NULL);
}

static void no_descriptor_to_spare(void)
{
    struct rlimit limit = {(rlim_t)copy + 1, (rlim_t)copy + 1};

    setrlimit(RLIMIT_NOFILE, &limit);
    copy_blocks(HALF);
    say("open", open("/dev/null", O_RDONLY));
    copy_blocks(1000);
    say_place();
}

static void no_memory_to_spare(void)
{
    struct rlimit limit = {0, RLIM_INFINITY};

    setrlimit(RLIMIT_AS, &limit);
    copy_blocks(HALF);
    say("mmap", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    copy_blocks(1000);
    say_place();
}

static void no_memory_in_mid_copy(void)
{
    struct rlimit limit = {0, RLIM_INFINITY};

    copy_blocks(HALF);
    raw(SYS_prlimit64, 0, RLIMIT_AS, (long)&limit, 0);
    copy_blocks(1000);
    say_place();
}

static void *copies(void *nothing)
{
    (void)nothing;
    copy_blocks(1000);
    return NULL;
}

static void thread_with_the_smallest_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN) + 4096);
    errno = pthread_create(&thread, &attributes, copies, NULL);
    if (errno)
        die("pthread_create");
    pthread_join(thread, NULL);
    say_place();
}

/* What is allocated far behind the end stays. */
static void space_behind_the_end(void)
{
    struct stat st;

    say("fallocate", fallocate(copy, FALLOC_FL_KEEP_SIZE, 1 << 30, 16 * BLOCK));
    copy_blocks(1000);
    if (fstat(copy, &st) < 0)
        die("fstat");
    printf("still there: %d\n", st.st_blocks * 512 >= st.st_size + 16 * BLOCK);
    say_place();
}

/* And where the copy is given up half way. */
static void space_behind_the_end_of_a_part(void)
{
    struct stat st;

    say("fallocate", fallocate(copy, FALLOC_FL_KEEP_SIZE, 1 << 30, 16 * BLOCK));
    copy_blocks(HALF);
    close(copy);
    if (stat("copy", &st) < 0)
        die("stat");
    printf("still there: %d\n", st.st_blocks * 512 >= st.st_size + 16 * BLOCK);
    say("size", size_of_copy());
}

/* Space that was promised by a preallocation is there, though the disk is full by now. */
static void promised_space(void)
{
    int filler = open("../filler", O_RDWR | O_CREAT, 0644);
    off_t at = 0;
    ssize_t n;

    say("fallocate", fallocate(copy, FALLOC_FL_KEEP_SIZE, 0, 64 * BLOCK));
    copy_blocks(HALF);
    for (off_t piece = 16 << 20; piece >= 4096; piece /= 2)
        while (raw(SYS_fallocate, filler, 0, at, piece) == 0)
            at += piece;
    memset(buffer, 'x', sizeof(buffer));
    for (int i = HALF; i < 60; i++) {
        n = write(copy, buffer, BLOCK);
        if (n != BLOCK)
            say("write", n);
    }
    say_place();
    close(filler);
    unlink("../filler");
}

/* ---- signals -------------------------------------------------------------------------------------- */

/* One that is blocked interrupts no call. The destination is another process's too, so that each call is offloaded by itself. */
static void kernel_copy_beside_a_blocked_signal(void)
{
    enum { LONG = 12 << 20 };
    int writer = open("../source", O_WRONLY);
    sigset_t term;
    pid_t child;

    if (ftruncate(writer, LONG) < 0)
        die("ftruncate");
    close(writer);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    raise(SIGTERM);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    say("sendfile", sendfile(copy, source, NULL, LONG));
    say_place();
    fflush(stdout);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    /* Without the signal's end. */
    _exit(0);
}

static int other_source, other_copy;
static volatile sig_atomic_t handled;
static sigjmp_buf back;

static void copies_in_the_handler(int number)
{
    static char piece[BLOCK];
    ssize_t n = read(other_source, piece, sizeof(piece));

    (void)number;
    if (n > 0 && write(other_copy, piece, (size_t)n) != n)
        abort();
    handled++;
}

static void start_timer(long us)
{
    struct itimerval every = {{0, us}, {0, us}};

    setitimer(ITIMER_REAL, &every, NULL);
}

static void handler_copies_too(void)
{
    other_source = open("../source", O_RDONLY);
    other_copy = open("other", O_RDWR | O_CREAT | O_TRUNC, 0644);
    signal(SIGALRM, copies_in_the_handler);
    start_timer(200);
    while (handled < 80) {
        lseek(source, 0, SEEK_SET);
        if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) != 0)
            die("ftruncate");
        copy_blocks(1000);
    }
    start_timer(0);
    say_place();
}

/* A signal's stack of the least size there is. */
static void handler_on_a_small_stack(void)
{
    size_t size = getauxval(AT_MINSIGSTKSZ) + 2048;
    char *room = mmap(NULL, 16384 + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = room + 16384, .ss_size = size};
    struct sigaction action = {.sa_handler = copies_in_the_handler, .sa_flags = SA_ONSTACK};

    mprotect(room, 16384, PROT_NONE);
    other_source = open("../source", O_RDONLY);
    other_copy = open("other", O_RDWR | O_CREAT | O_TRUNC, 0644);
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 80; i++)
        raise(SIGUSR1);
    close(other_copy);
    say("handled", handled);
}

static void jumps_out(int number)
{
    (void)number;
    if (++handled >= 60)
        start_timer(0);
    siglongjmp(back, 1);
}

static void handler_jumps_out(void)
{
    signal(SIGALRM, jumps_out);
    start_timer(300);
    sigsetjmp(back, 1);
    while (handled < 60) {
        lseek(source, 0, SEEK_SET);
        if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) != 0)
            die("ftruncate");
        copy_blocks(1000);
    }
    lseek(source, 0, SEEK_SET);
    if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) != 0)
        die("ftruncate");
    copy_blocks(1000);
    say_place();
}

static void *copies_for_ever(void *nothing)
{
    for (;;) {
        lseek(source, 0, SEEK_SET);
        if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) != 0)
            die("ftruncate");
        copy_blocks(1000);
    }
    return nothing;
}

static void *cancelled_any_time(void *nothing)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    return copies_for_ever(nothing);
}

static void cancelled(void)
{
    for (int turn = 0; turn < 40; turn++) {
        struct timespec some = {0, 1000000 + turn * 100000};
        pthread_t thread;
        void *result;

        pthread_create(&thread, NULL, turn % 2 ? copies_for_ever : cancelled_any_time, NULL);
        nanosleep(&some, NULL);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        if (result != PTHREAD_CANCELED)
            die("join");
    }
    lseek(source, 0, SEEK_SET);
    if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) != 0)
        die("ftruncate");
    copy_blocks(1000);
    say_place();
}

static void *copies_and_leaves(void *nothing)
{
    copy_blocks(HALF);
    return nothing;
}

static void main_thread_ends_first(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, copies_and_leaves, NULL);
    pthread_detach(thread);
    pthread_exit(NULL);
}

static void copies_half(void)
{
    copy_blocks(HALF);
}

static void copies_in_an_exit_handler(void)
{
    atexit(copies_half);
    exit(3);
}

static void copies_in_a_quick_exit_handler(void)
{
    at_quick_exit(copies_half);
    quick_exit(4);
}

static bool wanted_at_the_last;

static void copies_at_the_last(int status, void *nothing)
{
    (void)status;
    (void)nothing;
    if (wanted_at_the_last)
        copies_half();
}

/* What is asked for so early runs when all else has run, destructors too. */
static void ask_for_the_last_turn(void)
{
    on_exit(copies_at_the_last, NULL);
}

static void (*const before_all)(void) __attribute__((section(".preinit_array"), used)) = ask_for_the_last_turn;

static void copies_after_all_destructors(void)
{
    wanted_at_the_last = true;
}

static void *many_copies(void *number)
{
    char own[BLOCK];
    char name[32];
    int from, to;
    ssize_t n;

    for (int turn = 0; turn < 20; turn++) {
        snprintf(name, sizeof(name), "many.%ld", (long)number);
        from = open("../source", O_RDONLY);
        to = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
        while ((n = read(from, own, BLOCK)) > 0)
            if (write(to, own, (size_t)n) != n)
                die("write");
        close(from);
        close(to);
    }
    return NULL;
}

static void many_threads_copy(void)
{
    pthread_t threads[8];

    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, many_copies, (void *)i);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

/* The copies of one thread while another starts processes all the time, which inherit everything. */
static void *starts_processes(void *stop)
{
    while (!__atomic_load_n((int *)stop, __ATOMIC_SEQ_CST)) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    return NULL;
}

static void another_thread_forks(void)
{
    int stop = 0;
    pthread_t thread;

    pthread_create(&thread, NULL, starts_processes, &stop);
    for (int turn = 0; turn < 30; turn++) {
        lseek(source, 0, SEEK_SET);
        if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) != 0)
            die("ftruncate");
        copy_blocks(1000);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    say_place();
}

/* ---- files and names ------------------------------------------------------------------------------ */

static void names_exchanged(void)
{
    int other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0644);

    copy_blocks(HALF);
    say("exchange", renameat2(AT_FDCWD, "copy", AT_FDCWD, "other", RENAME_EXCHANGE));
    copy_blocks(1000);
    say_place();
    close(other);
}

static void file_without_a_name(void)
{
    char link[64];

    close(copy);
    unlink("copy");
    copy = open(".", O_RDWR | O_TMPFILE, 0600);
    copy_blocks(HALF);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", copy);
    say("link", linkat(AT_FDCWD, link, AT_FDCWD, "copy", AT_SYMLINK_FOLLOW));
    copy_blocks(3);
    say_place();
}

static void truncated_by_another_open(void)
{
    copy_blocks(HALF);
    close(open("copy", O_WRONLY | O_TRUNC));
    copy_blocks(3);
    say_place();
}

static void truncated_by_another_process(void)
{
    int ends[2];
    char byte = 0;

    close(source);
    close(copy);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    if (fork() == 0) {
        if (read(ends[1], &byte, 1) != 1 || truncate("copy", 4096) < 0)
            _exit(1);
        _exit(write(ends[1], &byte, 1) != 1);
    }
    open_both();
    copy_blocks(HALF);
    if (write(ends[0], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
        die("socket");
    copy_blocks(3);
    say_place();
    wait(NULL);
}

static void memory_as_source(void)
{
    int memory = memfd_create("source", MFD_ALLOW_SEALING);
    ssize_t n;

    while ((n = read(source, buffer, BLOCK)) > 0)
        if (write(memory, buffer, (size_t)n) != n)
            die("write");
    fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    source = memory;
    lseek(source, 0, SEEK_SET);
    copy_blocks(1000);
    say_place();
}

static void leases(void)
{
    close(source);
    source = open("../source", O_RDONLY);
    say("read lease", fcntl(source, F_SETLEASE, F_RDLCK));
    say("write lease", fcntl(copy, F_SETLEASE, F_WRLCK));
    copy_blocks(1000);
    say("lease", fcntl(copy, F_GETLEASE));
    say("lease", fcntl(source, F_GETLEASE));
    say_place();
}

static void locks_of_the_process(void)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct flock asked;
    int status;

    say("lock", fcntl(copy, F_SETLK, &whole));
    copy_blocks(1000);
    asked = whole;
    if (fork() == 0) {
        fcntl(copy, F_GETLK, &asked);
        _exit(asked.l_type == F_WRLCK ? 1 : 2);
    }
    wait(&status);
    say("held", WEXITSTATUS(status));
}

static void privileges_given_up(void)
{
    if (getuid() != 0)
        return;
    copy_blocks(HALF);
    say("setegid", setegid(65534));
    say("seteuid", seteuid(65534));
    copy_blocks(10);
    say_place();
    copy_blocks(1000);
    say_place();
}

static void root_changed(void)
{
    if (getuid() != 0)
        return;
    copy_blocks(HALF);
    say("chroot", chroot("."));
    copy_blocks(1000);
    say_place();
}

static void set_id_bits(void)
{
    struct stat st;

    fchmod(copy, 06755);
    if (getuid() == 0 &&
        (fchown(copy, 65534, 65534) < 0 || fchmod(copy, 06755) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
        die("setuid");
    copy_blocks(1000);
    fstat(copy, &st);
    printf("mode %o\n", st.st_mode);
}

/* The right that the bits stay is given up when all that is still to be written is there already. */
static void set_id_bits_when_rights_are_given_up(void)
{
    struct stat st;

    fchmod(copy, 06755);
    if (getuid() == 0 && (fchown(copy, 65534, 65534) < 0 || fchmod(copy, 06755) < 0))
        die("chown");
    copy_blocks(HALF);
    if (getuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
        die("seteuid");
    copy_blocks(3);
    raw(SYS_newfstatat, AT_FDCWD, (long)"copy", (long)&st, 0);
    printf("mode %o\n", st.st_mode);
}

static void watched(void)
{
    int watch = inotify_init1(IN_NONBLOCK);
    char events[4096] __attribute__((aligned(8)));
    unsigned seen = 0;
    ssize_t n;

    inotify_add_watch(watch, "copy", IN_ALL_EVENTS);
    copy_blocks(1000);
    close(copy);
    while ((n = read(watch, events, sizeof(events))) > 0)
        for (ssize_t at = 0; at < n;) {
            struct inotify_event *event = (struct inotify_event *)(events + at);

            seen |= event->mask;
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    printf("modified %d, closed %d\n", !!(seen & IN_MODIFY), !!(seen & IN_CLOSE_WRITE));
}

/* A program that waits for the event of its own write, as one that tests a watcher does. */
static void watched_at_each_write(void)
{
    int watch = inotify_init1(IN_NONBLOCK);
    char events[4096] __attribute__((aligned(8)));
    int missed = 0;

    inotify_add_watch(watch, "copy", IN_MODIFY);
    for (int i = 0; i < 60 && copy_blocks(1) == 1; i++)
        if (read(watch, events, sizeof(events)) <= 0)
            missed++;
    say("missed", missed);
}

/* When the source was last read is seen by who looks for files that nobody uses. */
static void source_is_read(void)
{
    struct timespec old[2] = {{1000000000, 0}, {1000000001, 0}};
    struct stat before, after;

    futimens(source, old);
    fstat(source, &before);
    copy_blocks(1000);
    fstat(source, &after);
    say("access time moved", after.st_atim.tv_sec != before.st_atim.tv_sec);
}

static void source_is_sent(void)
{
    struct timespec old[2] = {{1000000000, 0}, {1000000001, 0}};
    struct stat before, after;

    futimens(source, old);
    fstat(source, &before);
    say("sent", sendfile(copy, source, NULL, (size_t)before.st_size));
    fstat(source, &after);
    say("access time moved", after.st_atim.tv_sec != before.st_atim.tv_sec);
}

/* The kernel refuses them for where they would end, though the source has ended long before. */
static void sent_beyond_the_last_offset(void)
{
    copy_blocks(HALF);
    say("sendfile", sendfile(copy, source, NULL, INT64_MAX));
    say("sendfile", sendfile(copy, source, NULL, SIZE_MAX));
    say_place();
    if (lseek(copy, INT64_MAX - 2 * BLOCK, SEEK_SET) < 0)
        die("lseek");
    say("sendfile", sendfile(copy, source, NULL, 4 * BLOCK));
    if (lseek(copy, HALF * BLOCK, SEEK_SET) < 0)
        die("lseek");
    copy_blocks(3);
}

static void written_in_the_background(void)
{
    struct aiocb request = {.aio_fildes = copy, .aio_buf = "a marker", .aio_nbytes = 8, .aio_offset = 4096};
    const struct aiocb *list[1] = {&request};

    copy_blocks(HALF);
    aio_write(&request);
    aio_suspend(list, 1, NULL);
    say("aio", aio_return(&request));
    copy_blocks(3);
    say_place();
}

/* What comes to its turn in the background only when the copy is half made. One thread serves all: a read that waits keeps it. */
static void in_the_background_later(int operation, bool by_list)
{
    static char marker[BLOCK], byte;
    struct aioinit one = {.aio_threads = 1, .aio_num = 4};
    int ends[2];

    aio_init(&one);
    if (pipe(ends) < 0)
        die("pipe");
    struct aiocb waits = {.aio_fildes = ends[0], .aio_buf = &byte, .aio_nbytes = 1};
    struct aiocb request = {.aio_fildes = copy,
                            .aio_buf = marker,
                            .aio_nbytes = BLOCK,
                            .aio_offset = 40 * BLOCK,
                            .aio_lio_opcode = operation};
    struct aiocb *all[1] = {&request};
    const struct aiocb *list[1] = {&request};

    aio_read(&waits);
    say("queued", by_list                  ? lio_listio(LIO_NOWAIT, all, 1, NULL)
                  : operation == LIO_WRITE ? aio_write(&request)
                                           : aio_read(&request));
    copy_blocks(HALF);
    raw(SYS_write, ends[1], (long)&byte, 1, 0);
    while (aio_error(&request) == EINPROGRESS)
        aio_suspend(list, 1, NULL);
    say("done", aio_return(&request));
    close(copy);
    say("size", size_of_copy());
}

static void written_in_the_background_later(void)
{
    in_the_background_later(LIO_WRITE, false);
}

static void read_in_the_background_later(void)
{
    in_the_background_later(LIO_READ, false);
}

static void listed_to_be_written_later(void)
{
    in_the_background_later(LIO_WRITE, true);
}

/* What libc refuses before it looks at the list. */
static void listed_in_no_mode(void)
{
    struct aiocb **volatile nowhere = (struct aiocb **)8;

    copy_blocks(HALF);
    say("refused", lio_listio(99, nowhere, 2, NULL));
    copy_blocks(3);
}

/* ---- others ---------------------------------------------------------------------------------------- */

static pthread_barrier_t turn_of;

static void *writes_in_its_turns(void *nothing)
{
    for (int i = 0; i < 12; i++) {
        pthread_barrier_wait(&turn_of);
        if (pwrite(copy, "a marker", 8, (off_t)i * 5 * BLOCK / 2) != 8)
            die("pwrite");
        pthread_barrier_wait(&turn_of);
    }
    return nothing;
}

/* Behind what is copied and before it, each in its turn. */
static void another_thread_writes(void)
{
    pthread_t thread;

    pthread_barrier_init(&turn_of, NULL, 2);
    pthread_create(&thread, NULL, writes_in_its_turns, NULL);
    for (int i = 0; i < 12; i++) {
        copy_blocks(4);
        pthread_barrier_wait(&turn_of);
        pthread_barrier_wait(&turn_of);
    }
    pthread_join(thread, NULL);
    say_place();
}

/* A child that was there before the copy does `change` each time that it is told. */
static int told_child(void (*change)(int turn))
{
    int ends[2];
    char byte = 0;

    close(source);
    close(copy);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        die("socketpair");
    if (fork() == 0) {
        close(ends[0]);
        for (int turn = 0; read(ends[1], &byte, 1) == 1; turn++) {
            change(turn);
            if (write(ends[1], &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(ends[1]);
    open_both();
    return ends[0];
}

static void copy_while_told(int child)
{
    char byte = 0;

    for (int turn = 0; turn < 8; turn++) {
        copy_blocks(5);
        if (write(child, &byte, 1) != 1 || read(child, &byte, 1) != 1)
            die("socket");
    }
    copy_blocks(1000);
    say_place();
}

static char *theirs;

static void stores_into_the_source(int turn)
{
    if (!theirs) {
        int fd = open("../source", O_RDWR);

        theirs = mmap(NULL, 64 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (theirs == MAP_FAILED)
            _exit(1);
    }
    /* Once where the copy has been, and in one page ahead again and again, so that it is dirty already. */
    theirs[0]++;
    theirs[50 * BLOCK + turn]++;
    theirs[(turn * 5 + 7) * BLOCK]++;
}

static void source_is_stored_into(void)
{
    copy_while_told(told_child(stores_into_the_source));
}

/* The page is dirty, and mapped for writing, before the copy begins. */
static void source_was_stored_into(void)
{
    int child = told_child(stores_into_the_source);
    char byte = 0;

    if (write(child, &byte, 1) != 1 || read(child, &byte, 1) != 1)
        die("socket");
    copy_while_told(child);
}

static void writes_the_source(int turn)
{
    int fd = open("../source", O_WRONLY);

    if (pwrite(fd, "a marker", 8, (turn * 7 + 3) * BLOCK) != 8)
        _exit(1);
    close(fd);
}

static void source_is_written(void)
{
    copy_while_told(told_child(writes_the_source));
}

static void lengthens_and_shortens_the_source(int turn)
{
    if (truncate("../source", turn % 2 ? 64 * BLOCK + 4321 : 50 * BLOCK + 99) < 0)
        _exit(1);
}

static void source_is_cut_and_grows(void)
{
    copy_while_told(told_child(lengthens_and_shortens_the_source));
}

static void writes_the_copy(int turn)
{
    int fd = open("copy", O_WRONLY);

    if (pwrite(fd, "a marker", 8, (turn * 7 + 3) * BLOCK / 2) != 8)
        _exit(1);
    close(fd);
}

static void copy_is_written(void)
{
    copy_while_told(told_child(writes_the_copy));
}

static void appends_to_the_copy(int turn)
{
    int fd = open("copy", O_WRONLY | O_APPEND);

    (void)turn;
    if (write(fd, "a marker", 8) != 8)
        _exit(1);
    close(fd);
}

/* What it appends the copy runs over, plain; but where the copy ends, it ends. */
static void copy_is_appended_to(void)
{
    copy_while_told(told_child(appends_to_the_copy));
}

static void punches_the_copy(int turn)
{
    int fd = open("copy", O_WRONLY);

    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, turn * 3 * BLOCK, 4096) < 0)
        _exit(1);
    close(fd);
}

static void copy_is_punched(void)
{
    copy_while_told(told_child(punches_the_copy));
}

/* What is set without a byte being changed. The copy ends where the program stops. */
static void sets_something(int turn)
{
    int done = turn == 0   ? chmod("copy", 0600)
               : turn == 1 ? rename("copy", "renamed") || rename("renamed", "copy")
               : turn == 2 ? setxattr("copy", "user.name", "value", 5, 0)
               : turn == 3 ? link("copy", "linked")
                           : chown("copy", 1, 1);

    if (done != 0)
        _exit(1);
}

static void copy_is_given_other_attributes(void)
{
    int child = told_child(sets_something);
    char byte = 0;

    for (int turn = 0; turn < 5; turn++) {
        copy_blocks(HALF);
        if (write(child, &byte, 1) != 1 || read(child, &byte, 1) != 1)
            die("socket");
        say("at", lseek(copy, 0, SEEK_CUR));
        close(copy);
        say("size", size_of_copy());
        lseek(source, 0, SEEK_SET);
        copy = open("copy", O_RDWR | O_TRUNC);
    }
}

/* By its name. What is the copy's own is known by what the source has before that. */
static void source_is_cut_after_other_attributes(void)
{
    int child = told_child(sets_something);
    char byte = 0;

    copy_blocks(HALF);
    if (write(child, &byte, 1) != 1 || read(child, &byte, 1) != 1)
        die("socket");
    say("truncated", truncate("../source", (HALF + 2) * BLOCK));
    close(copy);
    say("size", size_of_copy());
}

/* Blocks of the source that were never written the copy has no others for. */
static void copy_of_unwritten_blocks_is_given_other_attributes(void)
{
    int end = open("../source", O_WRONLY);

    if (end < 0 || fallocate(end, 0, (HALF + 10) * BLOCK, 2L << 20) < 0 ||
        fallocate(end, FALLOC_FL_ZERO_RANGE, (HALF + 4) * BLOCK, BLOCK) < 0)
        die("fallocate");
    close(end);
    copy_is_given_other_attributes();
}

/* Right behind the program, in the block that it is in the middle of. */
static void writes_and_sets_the_time_back(int turn)
{
    int fd = open("copy", O_RDWR);
    struct stat st;

    if (fstat(fd, &st) < 0 || pwrite(fd, "a marker", 8, HALF * BLOCK + 200) != 8)
        _exit(1 + turn);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (futimens(fd, times) < 0)
        _exit(1);
    close(fd);
}

/* The marker stays. What else is left behind the program may be more than without the library. */
static void copy_is_written_and_dated_back(void)
{
    int child = told_child(writes_and_sets_the_time_back);
    char bytes[8] = "";

    copy_blocks(HALF);
    say("part", write(copy, buffer, (size_t)read(source, buffer, 100)));
    if (write(child, bytes, 1) != 1 || read(child, bytes, 1) != 1)
        die("socket");
    close(copy);
    copy = open("copy", O_RDWR);
    say("read", pread(copy, bytes, 8, HALF * BLOCK + 200));
    say("same", memcmp(bytes, "a marker", 8) == 0);
    ftruncate(copy, HALF * BLOCK);
}

/* The very blocks that are ahead, as another process's own work. */
static void clones_the_source_too(int turn)
{
    struct file_clone_range range = {.src_fd = open("../source", O_RDONLY), .src_length = 4 << 20};
    int fd = open("copy", O_RDWR);

    if (ioctl(fd, FICLONERANGE, &range) < 0)
        _exit(1 + turn);
    close(fd);
}

static void copy_is_cloned_to(void)
{
    int child = told_child(clones_the_source_too);
    char byte = 0;

    copy_blocks(HALF);
    if (write(child, &byte, 1) != 1 || read(child, &byte, 1) != 1)
        die("socket");
    close(copy);
    say("size", size_of_copy());
}

static pthread_barrier_t turn_of_tables;

static void wait_for_turn(void)
{
    pthread_barrier_wait(&turn_of_tables);
}

/* To this thread the copy's number comes to mean another file. */
static void *copies_by_the_same_number(void *part)
{
    char own[BLOCK];
    int from;

    ((void (*)(void))part)();
    wait_for_turn();
    wait_for_turn();
    close(copy);
    if (open("other", O_RDWR | O_CREAT | O_TRUNC, 0644) != copy)
        die("open");
    from = open("../source", O_RDONLY);
    for (int done = 0; done < 5; done++)
        if (read(from, own, BLOCK) != BLOCK || write(copy, own, BLOCK) != BLOCK)
            die("copy");
    wait_for_turn();
    return NULL;
}

static void with_another_table(void part(void))
{
    pthread_t thread;

    pthread_barrier_init(&turn_of_tables, NULL, 2);
    pthread_create(&thread, NULL, copies_by_the_same_number, (void *)part);
    wait_for_turn();
    copy_blocks(HALF);
    wait_for_turn();
    wait_for_turn();
    say_place();
    copy_blocks(3);
    pthread_join(thread, NULL);
}

static void part_by_unshare(void)
{
    if (unshare(CLONE_FILES) < 0)
        die("unshare");
}

static void thread_with_its_own_descriptors(void)
{
    with_another_table(part_by_unshare);
}

static void part_by_closing(void)
{
    if (close_range(4000, 4000, CLOSE_RANGE_UNSHARE) < 0)
        part_by_unshare();
}

static void thread_closes_in_its_own_table(void)
{
    with_another_table(part_by_closing);
}

static void part_by_number(void)
{
    if (syscall(SYS_unshare, CLONE_FILES) < 0)
        die("unshare");
}

static void thread_with_its_own_descriptors_by_number(void)
{
    with_another_table(part_by_number);
}

static int asked;

/*
 * It starts a process before it answers, as one that has a file looked at: not at once, since what a process has been started
 * beside is served no more, but when somebody reads for the second time, as the library does to compare.
 */
static void *answers_by_a_process(void *group)
{
    struct fanotify_event_metadata events[16];
    ssize_t n;

    while ((n = read(*(int *)group, events, sizeof(events))) > 0) {
        for (struct fanotify_event_metadata *e = events; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n)) {
            struct fanotify_response response = {e->fd, FAN_ALLOW};
            pid_t child = ++asked < 2 ? -1 : fork();

            if (child == 0)
                _exit(0);
            if (child > 0)
                waitpid(child, NULL, 0);
            if (write(*(int *)group, &response, sizeof(response)) < 0)
                die("answer");
            close(e->fd);
        }
    }
    return NULL;
}

/* Where the kernel knows no such events, nobody is asked. */
static void reads_are_allowed_by_a_thread(void)
{
    int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
    pthread_t thread;

    alarm(30);
    if (group >= 0 && fanotify_mark(group, FAN_MARK_ADD, FAN_ACCESS_PERM, AT_FDCWD, "../source") == 0)
        pthread_create(&thread, NULL, answers_by_a_process, &group);
    /* Reads of what was opened before the mark are allowed unasked (Linux 6.14). */
    close(source);
    source = open("../source", O_RDONLY);
    copy_blocks(1000);
    say_place();
    printf("asked: %d\n", asked > 1);
    fflush(stdout);
    _exit(0);
}

/* It looks at the copy before it fills the page that somebody has touched. */
static void *fills_what_is_touched(void *faults)
{
    struct uffd_msg message;
    struct stat st;

    while (read(*(int *)faults, &message, sizeof(message)) == sizeof(message)) {
        unsigned long page = message.arg.pagefault.address & -4096UL;
        struct uffdio_copy fill = {.dst = page, .src = (unsigned long)buffer + page % BLOCK, .len = 4096};

        if (fstat(copy, &st) < 0 || ioctl(*(int *)faults, UFFDIO_COPY, &fill) < 0)
            die("fill");
    }
    return NULL;
}

/* Unseen, and by no signal: what waits for ever may have blocked them all. */
static void *gives_up(void *nothing)
{
    sleep(30);
    raw(SYS_exit_group, 98, 0, 0, 0);
    return nothing;
}

/* Where it may not be made, nobody is asked. */
static void memory_is_filled_by_a_thread_of(int faults)
{
    char *room = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *empty = (char *)(((uintptr_t)room + BLOCK - 1) & -(uintptr_t)BLOCK);
    struct uffdio_api version = {.api = UFFD_API};
    struct uffdio_register range = {.range = {(uintptr_t)empty, BLOCK}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    pthread_t thread;

    if (faults < 0 || ioctl(faults, UFFDIO_API, &version) < 0 || ioctl(faults, UFFDIO_REGISTER, &range) < 0)
        return;
    pthread_create(&thread, NULL, gives_up, NULL);
    pthread_create(&thread, NULL, fills_what_is_touched, &faults);
    for (int i = 0; i < 2 * HALF; i++) {
        if (read(source, buffer, BLOCK) != BLOCK || madvise(empty, BLOCK, MADV_DONTNEED) < 0)
            die("read");
        if (write(copy, empty, BLOCK) != BLOCK)
            die("write");
    }
    say_place();
    fflush(stdout);
    _exit(0);
}

static void memory_is_filled_by_a_thread(void)
{
    memory_is_filled_by_a_thread_of((int)syscall(SYS_userfaultfd, O_CLOEXEC));
}

static void memory_is_filled_by_way_of_a_device(void)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

    memory_is_filled_by_a_thread_of(device < 0 ? device : ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC));
}

/* ---- another process's write that takes its time, as from a mapping of a file on a slow disk ----------- */

static void *fills_late(void *faults)
{
    struct uffd_msg message;

    while (read(*(int *)faults, &message, sizeof(message)) == sizeof(message)) {
        uintptr_t page = message.arg.pagefault.address & -(uintptr_t)4096;
        struct uffdio_copy fill = {.dst = page, .src = (unsigned long)buffer, .len = 4096};

        usleep(300000);
        ioctl(*(int *)faults, UFFDIO_COPY, &fill);
    }
    return NULL;
}

static void writes_slowly_behind(int turn)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("copy", O_WRONLY), faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api version = {.api = UFFD_API};
    struct uffdio_register range = {.range = {(uintptr_t)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    pthread_t thread;

    memset(buffer, 'W', sizeof(buffer));
    if (turn || ioctl(faults, UFFDIO_API, &version) < 0 || ioctl(faults, UFFDIO_REGISTER, &range) < 0)
        return;
    pthread_create(&thread, NULL, fills_late, &faults);
    raw(SYS_pwrite64, fd, (long)page, 4096, 2 * HALF * BLOCK);
}

/* The other one is in the middle of it when the copy begins, and comes to its end later. */
static void another_process_writes_slowly(void)
{
    int child = told_child(writes_slowly_behind);
    char byte = 0;

    if (write(child, &byte, 1) != 1)
        die("socket");
    usleep(100000);
    copy_blocks(HALF);
    if (read(child, &byte, 1) != 1)
        die("socket");
    close(copy);
    say("size", size_of_copy());
}

/* ---- memory that goes between two looks at it ------------------------------------------------------ */

/* In memory that the other process has too: the program is in the middle of a write. */
static int *writing;

/* Whoever reads the source then does so to compare: what he compares with is taken away. */
static void takes_the_room(int ready)
{
    struct fanotify_event_metadata events[16];
    int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
    ssize_t n;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (group >= 0)
        fanotify_mark(group, FAN_MARK_ADD, FAN_ACCESS_PERM, AT_FDCWD, "../source");
    if (write(ready, "", 1) != 1)
        _exit(1);
    while ((n = read(group, events, sizeof(events))) > 0) {
        for (struct fanotify_event_metadata *e = events; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n)) {
            struct fanotify_response response = {e->fd, FAN_ALLOW};

            if (__atomic_load_n(writing, __ATOMIC_SEQ_CST) && truncate("room", 0) < 0)
                _exit(1);
            if (write(group, &response, sizeof(response)) < 0)
                _exit(1);
            close(e->fd);
        }
    }
    _exit(0);
}

/* How the write ends is not said: where nobody compares, the room stays. */
static void copy_by_way_of_room(char *room, int file)
{
    ssize_t n;

    for (off_t at = 0; (n = read(source, room, BLOCK)) > 0; at += n) {
        __atomic_store_n(writing, 1, __ATOMIC_SEQ_CST);
        ssize_t written = write(copy, room, (size_t)n);
        __atomic_store_n(writing, 0, __ATOMIC_SEQ_CST);
        if (written < n && (errno != EFAULT || ftruncate(file, BLOCK) < 0 || pread(source, room, (size_t)n, at) != n ||
                            pwrite(copy, room, (size_t)n, at) != n || lseek(copy, at + n, SEEK_SET) < 0))
            die("write");
    }
    say_place();
}

static void mapping_by_number_goes_while_it_is_compared(void)
{
    int ends[2], file = open("room", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char byte;

    writing = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (file < 0 || ftruncate(file, BLOCK) < 0 || writing == MAP_FAILED || pipe(ends) < 0)
        die("room");
    char *room = (char *)syscall(SYS_mmap, 0L, (long)BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0L);
    close(source);
    close(copy);
    pid_t child = fork();
    if (child == 0)
        takes_the_room(ends[1]);
    if (child < 0 || read(ends[0], &byte, 1) != 1)
        die("child");
    open_both();
    copy_by_way_of_room(room, file);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static int told[2], answer[2];

static int closes_the_copy(void *nothing)
{
    int number;

    if (read(told[0], &number, sizeof(number)) == sizeof(number))
        close(number);
    return nothing || write(answer[1], "", 1) != 1;
}

static pid_t clone_with(int flags)
{
    static char stack[65536] __attribute__((aligned(16)));

    return clone(closes_the_copy, stack + sizeof(stack), flags | CLONE_FILES | SIGCHLD, NULL);
}

static pid_t clone_with_descriptors(void)
{
    return clone_with(0);
}

static pid_t clone_with_memory(void)
{
    return clone_with(CLONE_VM);
}

/* Without libc's clone(3): its child has no stack of its own. */
static pid_t clone_by_number(void)
{
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

    if (child == 0)
        _exit(closes_the_copy(NULL));
    return child;
}

/* A child that has not a copy of what is open, but the very same descriptors. */
static void closed_by_a_child(pid_t start(void))
{
    char word;
    pid_t child;

    close(copy);
    if (pipe(told) < 0 || pipe(answer) < 0)
        die("pipe");
    child = start();
    copy = open("copy", O_WRONLY | O_TRUNC);
    copy_blocks(HALF);
    if (child < 0 || write(told[1], &copy, sizeof(copy)) != sizeof(copy) || read(answer[0], &word, 1) != 1)
        die("child");
    say("close", close(copy));
    waitpid(child, NULL, 0);
}

static void closed_by_a_child_with_our_descriptors(void)
{
    closed_by_a_child(clone_with_descriptors);
}

static void closed_by_a_child_with_all_of_ours(void)
{
    closed_by_a_child(clone_with_memory);
}

static void closed_by_a_child_by_number(void)
{
    closed_by_a_child(clone_by_number);
}

/* It may write, and not truncate: Landlock knows of that since Linux 6.2. Where it does not, nothing is forbidden. */
static void truncating_is_forbidden(void)
{
    const uint64_t truncating = (uint64_t)1 << 14;
    long rules = syscall(444 /* landlock_create_ruleset */, &truncating, sizeof(truncating), 0);

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (rules >= 0 && syscall(446 /* landlock_restrict_self */, rules, 0) < 0)
        die("landlock");
    close(copy);
    copy = open("copy", O_WRONLY);
    copy_blocks(HALF);
    say_place();
    copy_blocks(3);
}

/* ---- by names that lead to the copy all the same ------------------------------------------------------ */

static void cloned_from_in_mid_copy(void)
{
    struct file_clone_range range = {.src_fd = copy, .src_offset = HALF * BLOCK, .src_length = BLOCK};
    int other = open("other", O_RDWR | O_CREAT, 0644);

    copy_blocks(HALF);
    say("beyond the end", ioctl(other, FICLONERANGE, &range));
    copy_blocks(10);
    say("all", ioctl(other, FICLONE, copy));
    say("size", lseek(other, 0, SEEK_END));
}

/* The child runs in this process's memory. Another one has been given the descriptor before. */
static void number_is_used_by_a_child_in_our_memory(void)
{
    int child = fork();

    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    child = vfork();
    if (child == 0) {
        close(copy);
        _exit(open("/dev/null", O_WRONLY) != copy);
    }
    waitpid(child, &child, 0);
    say("child", child);
    copy_blocks(HALF);
    say("size", size_of_copy());
}

static int turns[2][2];

/* Its child does not run in this process's memory. */
static void *fork_when_told(void *nothing)
{
    char byte;
    int child;

    if (read(turns[0][0], &byte, 1) != 1)
        die("pipe");
    child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    raw(SYS_write, turns[1][1], (long)&byte, 1, 0);
    return nothing;
}

/* The child's number is the copy's, and another thread starts a process before the child opens it. */
static void forked_beside_a_child_in_our_memory(void)
{
    pthread_t other;
    char byte = 0;
    int child;

    if (pipe(turns[0]) < 0 || pipe(turns[1]) < 0 || pthread_create(&other, NULL, fork_when_told, NULL))
        die("thread");
    child = vfork();
    if (child == 0) {
        raw(SYS_write, turns[0][1], (long)&byte, 1, 0);
        raw(SYS_read, turns[1][0], (long)&byte, 1, 0);
        close(copy);
        _exit(open("/dev/null", O_WRONLY) != copy);
    }
    waitpid(child, &child, 0);
    pthread_join(other, NULL);
    say("child", child);
    copy_blocks(HALF);
    say("size", size_of_copy());
}

/* It puts the terminal in the place of descriptors 0 to 2. */
static void terminal_in_the_copys_place(void)
{
    int own, other, kept = dup(1);

    if (openpty(&own, &other, NULL, NULL, NULL) < 0)
        die("openpty");
    dup2(copy, 1);
    close(copy);
    copy = 1;
    copy_blocks(HALF);
    if (fork() == 0) {
        setsid();
        copy = open("again", O_RDWR | O_CREAT, 0644);
        dup2(copy, 2);
        close(copy);
        copy = 2;
        lseek(source, 0, SEEK_SET);
        copy_blocks(HALF);
        login_tty(other);
        _exit(0);
    }
    wait(NULL);
    dup2(kept, 1);
    struct stat st;
    say("size", raw(SYS_newfstatat, AT_FDCWD, (long)"again", (long)&st, 0) < 0 ? -1 : (long)st.st_size);
}

static void other_rights_by_an_old_name(void)
{
    copy_blocks(HALF);
    say("lchmod", lchmod("copy", 0600));
}

static void limited_by_an_old_name(void)
{
    signal(SIGXFSZ, SIG_IGN);
    copy_blocks(HALF);
    say("ulimit", ulimit(UL_SETFSIZE, 40L * BLOCK / 512));
    for (int turn = 0; turn < 20; turn++)
        say("written", write(copy, buffer, (size_t)read(source, buffer, BLOCK)));
}

static void looked_for_in_a_tree(void)
{
    char *paths[] = {"copy", NULL};

    copy_blocks(HALF);
    FTS *tree = fts_open(paths, FTS_PHYSICAL, NULL);
    say("size", (long)fts_read(tree)->fts_statp->st_size);
    fts_close(tree);
}

static void looked_for_in_a_folder(void)
{
    char *paths[] = {".", NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL, NULL);

    fts_read(tree);
    close(copy);
    copy = open("copy", O_RDWR | O_TRUNC);
    copy_blocks(HALF);
    for (FTSENT *found = fts_children(tree, 0); found; found = found->fts_link)
        printf("%s: %ld\n", found->fts_name, (long)found->fts_statp->st_size);
    fts_close(tree);
}

/* By io_submit(2), which libaio calls without libc. */
static void written_by_the_kernel_unseen(void)
{
    unsigned long context = 0;
    struct iocb request = {.aio_fildes = (unsigned)copy,
                           .aio_lio_opcode = IOCB_CMD_PWRITE,
                           .aio_buf = (uintptr_t) "a marker",
                           .aio_nbytes = 8,
                           .aio_offset = 4096};
    struct iocb *list[1] = {&request};
    struct io_event event = {0};

    copy_blocks(HALF);
    if (raw(SYS_io_setup, 1, (long)&context, 0, 0) < 0)
        die("io_setup");
    say("submitted", raw(SYS_io_submit, (long)context, 1, (long)list, 0));
    raw(SYS_io_getevents, (long)context, 1, 1, (long)&event);
    say("written", (long)event.res);
    copy_blocks(1000);
    say_place();
}

static const struct corner {
    const char *name;
    void (*turn)(void);
} corners[] = {
#define CORNER(name) \
    {                \
#name, name  \
    }
    CORNER(buffer_that_wraps),
    CORNER(buffer_that_ends_early),
    CORNER(buffer_that_is_forbidden),
    CORNER(buffer_forbidden_by_number),
    CORNER(buffer_mapped_over),
    CORNER(buffer_that_is_locked_up),
    CORNER(buffer_that_is_guarded),
    CORNER(shared_buffer_that_is_guarded),
    CORNER(shared_buffer_by_number),
    CORNER(segment_that_is_guarded),
    CORNER(buffer_of_a_file_cut_short),
    CORNER(buffer_in_the_copy_itself),
    CORNER(buffer_in_the_source_itself),
    CORNER(passed_before_the_copy),
    CORNER(duplicate_passed_before_the_copy),
    CORNER(high_duplicate_passed_before_the_copy),
    CORNER(passed_by_number_before_the_copy),
    CORNER(received_with_an_old_number),
    CORNER(fetched_with_an_old_number),
    CORNER(fetched_by_number_with_an_old_number),
    CORNER(doubled_by_number),
    CORNER(puts_on_standard_output),
    CORNER(perror_on_standard_error),
    CORNER(stream_flushes_by_itself),
    CORNER(closed_and_opened_unseen),
    CORNER(all_others_closed_unseen),
    CORNER(standard_descriptors_closed),
    CORNER(lowest_number_is_free),
    CORNER(limited_by_another_process),
    CORNER(limited_in_mid_copy),
    CORNER(no_descriptor_to_spare),
    CORNER(no_memory_to_spare),
    CORNER(no_memory_in_mid_copy),
    CORNER(thread_with_the_smallest_stack),
    CORNER(promised_space),
    CORNER(space_behind_the_end),
    CORNER(space_behind_the_end_of_a_part),
    CORNER(kernel_copy_beside_a_blocked_signal),
    CORNER(handler_copies_too),
    CORNER(handler_on_a_small_stack),
    CORNER(handler_jumps_out),
    CORNER(cancelled),
    CORNER(main_thread_ends_first),
    CORNER(copies_in_an_exit_handler),
    CORNER(copies_in_a_quick_exit_handler),
    CORNER(copies_after_all_destructors),
    CORNER(many_threads_copy),
    CORNER(another_thread_forks),
    CORNER(names_exchanged),
    CORNER(file_without_a_name),
    CORNER(truncated_by_another_open),
    CORNER(truncated_by_another_process),
    CORNER(memory_as_source),
    CORNER(leases),
    CORNER(locks_of_the_process),
    CORNER(privileges_given_up),
    CORNER(root_changed),
    CORNER(set_id_bits),
    CORNER(set_id_bits_when_rights_are_given_up),
    CORNER(watched),
    CORNER(watched_at_each_write),
    CORNER(source_is_read),
    CORNER(source_is_sent),
    CORNER(sent_beyond_the_last_offset),
    CORNER(written_in_the_background),
    CORNER(written_in_the_background_later),
    CORNER(read_in_the_background_later),
    CORNER(listed_to_be_written_later),
    CORNER(listed_in_no_mode),
    CORNER(another_thread_writes),
    CORNER(source_is_stored_into),
    CORNER(source_was_stored_into),
    CORNER(source_is_written),
    CORNER(source_is_cut_and_grows),
    CORNER(copy_is_written),
    CORNER(copy_is_appended_to),
    CORNER(copy_is_punched),
    CORNER(copy_is_given_other_attributes),
    CORNER(copy_of_unwritten_blocks_is_given_other_attributes),
    CORNER(source_is_cut_after_other_attributes),
    CORNER(copy_is_written_and_dated_back),
    CORNER(copy_is_cloned_to),
    CORNER(thread_with_its_own_descriptors),
    CORNER(thread_closes_in_its_own_table),
    CORNER(thread_with_its_own_descriptors_by_number),
    CORNER(reads_are_allowed_by_a_thread),
    CORNER(mapping_by_number_goes_while_it_is_compared),
    CORNER(memory_is_filled_by_a_thread),
    CORNER(memory_is_filled_by_way_of_a_device),
    CORNER(another_process_writes_slowly),
    CORNER(closed_by_a_child_with_our_descriptors),
    CORNER(closed_by_a_child_with_all_of_ours),
    CORNER(closed_by_a_child_by_number),
    CORNER(truncating_is_forbidden),
    CORNER(cloned_from_in_mid_copy),
    CORNER(other_rights_by_an_old_name),
    CORNER(number_is_used_by_a_child_in_our_memory),
    CORNER(forked_beside_a_child_in_our_memory),
    CORNER(terminal_in_the_copys_place),
    CORNER(limited_by_an_old_name),
    CORNER(looked_for_in_a_tree),
    CORNER(looked_for_in_a_folder),
    CORNER(written_by_the_kernel_unseen),
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(corners) / sizeof(corners[0]); i++) {
        if (strcmp(argv[1], "--list") == 0) {
            puts(corners[i].name);
        } else if (strcmp(argv[1], corners[i].name) == 0) {
            setvbuf(stdout, NULL, _IOFBF, 65536);
            open_both();
            corners[i].turn();
            return 0;
        }
    }
    return argc == 2 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
