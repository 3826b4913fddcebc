/* Processes, threads and signal handlers that take over a part of the program. */
#include "raw.h"
#include "world.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { PARALLEL_RECORDS = 2000, PAGE = 4096 };

extern char **environ;

/* A process that dies by a signal cannot cut back what was copied ahead: from here on nothing more
 * is compared but the files, and those with that allowance. */
static void stop_after_death(void)
{
    raw1(SYS_exit_group, 90);
}

static void wait_for(pid_t child)
{
    int status = 0;
    pid_t waited = waitpid(child, &status, 0);
    note(N_CHILD, waited == child ? status : -1);
    if (waited == child && WIFSIGNALED(status))
        shared->deaths++;
    if (shared->deaths)
        stop_after_death();
}

static void leave(int how)
{
    struct op exit_op = {.kind = K_EXIT, .a = {how == X_RETURN ? X_EXIT : how, 4}};
    perform_exit(&exit_op);
    _exit(5);
}

void perform_fork(const struct op *op, unsigned index)
{
    errno = ERRNO_MARK;
    pid_t child = op->a[0] ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
    if (child == 0) {
        perform(index + 1, index + 1 + op->group);
        leave(op->a[1]);
    }
    /* Nothing is written down before the child has ended, so that the records have one order. */
    if (child > 0)
        wait_for(child);
    else
        note(N_CHILD, child);
}

/* The child of vfork borrows the memory of its parent: it may do little more than this. */
void perform_vfork(const struct op *op)
{
    int fd = world.slots[op->a[0]];
    pid_t child = vfork();
    if (child == 0) {
        switch (op->a[1]) {
        case 0:
            close(fd);
            break;
        case 1:
            dup2(fd, 1);
            break;
        case 2:
            if (write(fd, "vfork", 5) < 0)
                _exit(2);
            break;
        case 3:
            dup2(world.slots[op->a[2]], fd);
            break;
        case 4:
            lseek(fd, 100, SEEK_CUR);
            break;
        default:
            execl("/bin/true", "true", (char *)NULL);
            break;
        }
        _exit(3);
    }
    wait_for(child);
}

static void spawn_with_output(const char *script, int output)
{
    posix_spawn_file_actions_t actions;
    char *arguments[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)script, NULL};
    pid_t child = -1;
    posix_spawn_file_actions_init(&actions);
    if (output >= 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1);
    int result = posix_spawn(&child, "/bin/sh", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    note(N_SPAWN, result);
    if (result == 0)
        wait_for(child);
}

static void hash_output(const char *script)
{
    char room[4096];
    FILE *pipe = popen(script, "r");
    size_t got = pipe ? fread(room, 1, sizeof room, pipe) : 0;
    note_full(N_SPAWN, (int64_t)got, hash_bytes(room, got), 0);
    note(N_SPAWN, pipe ? pclose(pipe) : -1);
}

static void continue_in_shell(int src, int dst, int count)
{
    char script[128];
    if (src < 0 || dst < 0 || src > 9 || dst > 9)
        return;
    snprintf(script, sizeof script, "dd bs=%d count=3 <&%d >&%d 2>/dev/null", count, src, dst);
    note(N_SPAWN, system(script));
}

void perform_spawn(const struct op *op)
{
    char script[256];
    const char *dst = name_of(op->a[3]);
    switch (op->a[0]) {
    case 0:
        spawn_with_output("echo from a child", world.slots[op->a[2]]);
        break;
    case 1:
        spawn_with_output(":", -1);
        break;
    case 2:
        snprintf(script, sizeof script, "cksum <%s", dst);
        hash_output(script);
        break;
    case 3:
        snprintf(script, sizeof script, "stat -c '%%s %%a %%h' %s", dst);
        hash_output(script);
        break;
    case 4:
        continue_in_shell(world.slots[op->a[1]], world.slots[op->a[2]], op->a[4]);
        break;
    default:
        snprintf(script, sizeof script, "cat %s >>%s", name_of(F_SRC), dst);
        note(N_SPAWN, system(script));
    }
}

/* ---- signal handlers ---- */

static unsigned handler_from, handler_to;
static sigjmp_buf out_of_handler;
static int in_copy_what, in_copy_src, in_copy_dst;
static unsigned char *in_copy_byte;

static void handle_operations(int signal)
{
    int error = errno;
    note(N_HANDLER, signal);
    perform(handler_from, handler_to);
    errno = error;
}

static void handle_and_jump(int signal)
{
    handle_operations(signal);
    siglongjmp(out_of_handler, 1);
}

static void handle_small(int signal)
{
    char bytes[100] = "from a handler";
    struct stat status = {.st_size = -1};
    int error = errno;
    (void)signal;
    switch (in_copy_what % 6) {
    case 0:
        fstat(in_copy_dst, &status);
        note(N_HANDLER, status.st_size);
        break;
    case 1:
        note(N_HANDLER, pwrite(in_copy_dst, bytes, sizeof bytes, 0));
        break;
    case 2:
        note(N_HANDLER, read(in_copy_src, bytes, sizeof bytes));
        break;
    case 3:
        note(N_HANDLER, lseek(in_copy_dst, 0, SEEK_CUR));
        break;
    case 4:
        note(N_HANDLER, write(in_copy_dst, bytes, sizeof bytes));
        break;
    default:
        *in_copy_byte ^= 0x21;
        break;
    }
    errno = error;
}

static void raise_with(void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, before;
    /* A stack that is just enough for one handler is not for the timer's on top of it. */
    if (flags & SA_ONSTACK)
        sigaddset(&action.sa_mask, SIGALRM);
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
}

void handle_in_copy(int what, int src, int dst, struct buffer *buffer)
{
    in_copy_what = what;
    in_copy_src = src;
    in_copy_dst = dst;
    in_copy_byte = buffer->at;
    raise_with(handle_small, 0);
}

/* As small a stack as the kernel allows, and three pages for what handlers of real programs need; a
 * page without access lies below it. */
static void raise_on_small_stack(const struct op *op)
{
    size_t size = (getauxval(AT_MINSIGSTKSZ) + 2 * PAGE) / PAGE * PAGE + PAGE;
    unsigned char *room = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(room, PAGE, PROT_NONE);
    stack_t stack = {.ss_sp = room + PAGE, .ss_size = size}, none = {.ss_flags = SS_DISABLE};
    sigaltstack(&stack, NULL);
    in_copy_what = op->a[1];
    in_copy_src = world.slots[op->a[2]];
    in_copy_dst = world.slots[op->a[3]];
    in_copy_byte = buffer_of(0)->at;
    raise_with(handle_small, SA_ONSTACK);
    sigaltstack(&none, NULL);
    munmap(room, size + PAGE);
}

void perform_signal(const struct op *op, unsigned index)
{
    handler_from = index + 1;
    handler_to = index + 1 + op->group;
    if (op->a[0] == 2)
        raise_on_small_stack(op);
    else if (op->a[0] == 0)
        raise_with(handle_operations, 0);
    else if (sigsetjmp(out_of_handler, 1) == 0)
        raise_with(handle_and_jump, 0);
}

/* Comes at any moment, asks, and changes nothing. */
static void on_timer(int signal)
{
    char bytes[64];
    struct stat status;
    int error = errno;
    (void)signal;
    fstat(world.slots[S_DST], &status);
    if (pread(world.slots[S_SRC], bytes, sizeof bytes, 4096) < 0)
        bytes[0] = 0;
    errno = error;
}

void perform_timer(const struct op *op)
{
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, op->a[0]}, {0, op->a[0]}};
    sigaction(SIGALRM, &action, NULL);
    note(N_TIMER, setitimer(ITIMER_REAL, &often, NULL));
    world.timer = op->a[0] != 0;
}

/* ---- threads ---- */

struct part {
    unsigned from, to;
    struct record *records;
};

static void *thread_main(void *argument)
{
    const struct part *part = argument;
    if (part->records)
        trace_divert(part->records, PARALLEL_RECORDS);
    perform(part->from, part->to);
    return NULL;
}

void perform_thread(const struct op *op, unsigned index)
{
    struct part part = {index + 1, index + 1 + op->group, NULL};
    pthread_t thread;
    errno = ERRNO_MARK;
    int result = pthread_create(&thread, NULL, thread_main, &part);
    if (result == 0)
        pthread_join(thread, NULL);
    note(N_CHILD, result);
}

/* Copies that touch the same descriptor or the same file would race in plain runs too, and so would
 * one that ends the process at a limit. */
static bool independent(bool parts)
{
    static const int slots[] = {S_SRC, S_DST, S_SRC2, S_DST2};
    struct stat status[4];
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY)
        return false;
    for (int i = 0; i < 4; i++)
        if (raw3(SYS_fstat, world.slots[slots[i]], (long)&status[i], 0) != 0)
            return false;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            if (world.slots[slots[i]] == world.slots[slots[j]] ||
                (status[i].st_ino == status[j].st_ino && (slots[i] == S_DST2 || slots[j] == S_DST) &&
                 !(parts && slots[i] == S_DST2 && slots[j] == S_DST)))
                return false;
    /* With O_APPEND, what is written to a place goes to the end. */
    return !parts ||
           !((raw3(SYS_fcntl, world.slots[S_DST], F_GETFL, 0) | raw3(SYS_fcntl, world.slots[S_DST2], F_GETFL, 0)) &
             O_APPEND);
}

/* Two copies at once, each with a trace of its own. */
void perform_parallel(const struct op *op, unsigned index)
{
    static struct record rooms[2][PARALLEL_RECORDS];
    struct part parts[2] = {{index + 1, index + 2, rooms[0]}, {index + 2, index + 1 + op->group, rooms[1]}};
    pthread_t threads[2];
    if (!independent(op->a[0]))
        return;
    world.parallel = true;
    for (int i = 0; i < 2; i++) {
        rooms[i][0].unused = 0;
        pthread_create(&threads[i], NULL, thread_main, &parts[i]);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    world.parallel = false;
    for (int i = 0; i < 2; i++)
        trace_rejoin(rooms[i]);
}

/* ---- the helper: another process that acts when told, through memory alone ---- */

static void wait_while(uint32_t *word, uint32_t value)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
        raw4(SYS_futex, (long)word, FUTEX_WAIT, (long)value, 0);
}

static void announce(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    raw3(SYS_futex, (long)word, FUTEX_WAKE, 10);
}

static void serve_as_helper(void)
{
    world.foreign = true;
    for (uint32_t served = 0;; served++) {
        wait_while(&shared->request, served);
        unsigned index = shared->helper_from;
        perform(index + 1, index + 1 + world.program.ops[index].group);
        announce(&shared->answer, served + 1);
    }
}

void perform_helper(const struct op *op)
{
    (void)op;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_as_helper();
    }
    shared->helper = child;
}

void perform_foreign(const struct op *op, unsigned index)
{
    if (shared->helper <= 0 || world.foreign)
        return;
    if (op->a[0])
        shared->outran = 1;
    shared->helper_from = index;
    uint32_t request = shared->request + 1;
    announce(&shared->request, request);
    wait_while(&shared->answer, request - 1);
}

/* ---- going on as another image, and the ways to end ---- */

static void stop_timer(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    if (world.timer)
        setitimer(ITIMER_REAL, &never, NULL);
}

void perform_exec(const struct op *op, unsigned index)
{
    (void)op;
    char seed[32];
    const char *trace = getenv("TRANSPARENCY_TRACE");
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)world.program.seed);
    memcpy(shared->slots, world.slots, sizeof world.slots);
    memcpy(shared->slot_files, world.slot_files, sizeof world.slot_files);
    shared->next = index + 1;
    stop_timer();
    execl("/proc/self/exe", "actor", "--continue", seed, trace, (char *)NULL);
    note(N_EXEC, errno);
}

static void die(int signal_number)
{
    shared->deaths++;
    signal(signal_number, SIG_DFL);
    kill(getpid(), signal_number);
}

void perform_exit(const struct op *op)
{
    int status = op->a[1];
    switch (op->a[0]) {
    case X_EXIT:
        exit(status);
    case X_UNDER:
        _exit(status);
    case X_QUICK:
        quick_exit(status);
    case X_ABORT:
        shared->deaths++;
        abort();
    case X_KILL:
        die(SIGKILL);
        break;
    case X_TERM:
        die(SIGTERM);
        break;
    case X_EXEC_TRUE:
        stop_timer();
        execl("/bin/true", "true", (char *)NULL);
        break;
    case X_RAW:
        syscall(SYS_exit_group, status);
        break;
    case X_THREAD_EXIT:
        pthread_exit(NULL);
    default:
        world.exit_status = status;
    }
}
