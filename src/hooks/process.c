/* What starts, becomes and ends processes, what limits them, and system calls by number. */
#define FAMILY_PROCESS
#include "arguments.h"
#include "hook.h"

#include "../core/handed.h"
#include "../core/newer.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/*
 * A HANDOVER, LENDING, CLONING, THREADING or ENDING is no C function: vfork(2) returns twice through its caller's frame, and
 * execl(3) and clone(2) take any number of arguments. So the hook keeps the registers that carry arguments, calls one of
 * these, puts the registers back and jumps to the original.
 */
void process_handover(void) FOR_ASSEMBLY;
void process_lending(void) FOR_ASSEMBLY;
void process_cloning(int (*function)(void *), void *stack, int flags) FOR_ASSEMBLY;
void process_threading(void) FOR_ASSEMBLY;
void process_ending(void) FOR_ASSEMBLY;

void process_handover(void)
{
    copy_settle_all();
    owned_forget_all();
    handed_forget();
}

/* vfork(2), clone(2): the child has a table of descriptors of its own, and memory of ours. */
void process_lending(void)
{
    process_handover();
    if (!copy_over())
        owned_lend();
}

/*
 * A thread as pthread_create(3) makes one, by this call before glibc 2.34: of this process, with all that is its own, and counted
 * already. Another one is in nobody's count, and may be taken for the one that made it.
 */
static bool is_counted_thread(unsigned long flags)
{
    const unsigned long wanted = CLONE_THREAD | CLONE_FILES | CLONE_SETTLS;
    return (flags & wanted) == wanted && !*underway_single;
}

/* A child that shares the table of descriptors closes this process's, and is not told from outside. */
static bool shares_table(unsigned long flags)
{
    return flags & (CLONE_FILES | CLONE_THREAD) && !is_counted_thread(flags);
}

/* It has the arguments of clone(2), as far as they matter. */
void process_cloning(int (*function)(void *), void *stack, int flags)
{
    (void)function;
    (void)stack;
    if (shares_table((unsigned)flags))
        copy_finish_for_good();
    if (is_counted_thread((unsigned)flags))
        process_threading();
    else
        process_lending();
}

void process_threading(void)
{
    underway_loading();
    copy_settle_streams();
    copy_lazy_ending();
}

void process_ending(void)
{
    if (copy_watching())
        copy_finish();
    handed_forget();
}

#if defined(__x86_64__)
#define GO_ON(name, first)                                             \
    __asm__(".globl " #name "\n\t" BEGIN_FUNCTION(name) KEEP_ARGUMENTS \
            "call " #first "\n\t" PUT_ARGUMENTS_BACK "jmp *original_" #name "(%rip)" END_FUNCTION(name));
#elif defined(__aarch64__)
/* x16 is free for calls between objects (AAPCS64, 6.1.1). */
#define GO_ON(name, first)                                                            \
    __asm__(".globl " #name "\n\t" BEGIN_FUNCTION(name) KEEP_ARGUMENTS                \
            "bl " #first "\n\t" PUT_ARGUMENTS_BACK "adrp x16, original_" #name "\n\t" \
            "ldr x16, [x16, #:lo12:original_" #name "]\n\tbr x16" END_FUNCTION(name));
#endif

#define CALL(returns, name, parameters, without)
#define HOOK_ONLY(name)
#define TWIN(twin, name)
#define HANDOVER(name) GO_ON(name, process_handover)
#define ENDING(name) GO_ON(name, process_ending)
#define LENDING(name) GO_ON(name, process_lending)
#define CLONING(name) GO_ON(name, process_cloning)
#define THREADING(name) GO_ON(name, process_threading)
#include "calls.def"

/*
 * Who has installed a seccomp filter may be ended by any call of ours. If the original call fails, nothing is to be seen of what
 * was handed on.
 */
EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    bool over = copy_over();
    process_ending();
    if (!over)
        handed_on(path, environment);
    int result = original_execve(path, arguments, environment);
    handed_forget();
    return result;
}

/* A filter on system calls may end the process at the first of ours. */
EXPORT int prctl(int option, ...)
{
    unsigned long a[4];
    va_list rest;
    va_start(rest, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(rest, unsigned long);
    va_end(rest);
    if (option == PR_SET_SECCOMP)
        copy_finish_for_filter();
    return original_prctl(option, a[0], a[1], a[2], a[3]);
}

/*
 * Who lets others read, or not (FAN_CLASS_CONTENT, fanotify(7)), is asked about our own reads, too, and may make a call that waits
 * for the thread that reads: to start a process before he answers, for one.
 */
static bool asks_to_be_asked(unsigned long flags)
{
    return flags & (FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT);
}

/*
 * So it is with who fills memory when it is looked at (userfaultfd(2)), which we do before write(2) would. By ioctl(2) of a device it is
 * told too (descriptors.c).
 */
static bool asks_to_be_asked_by_number(long number, const long a[6])
{
    return number == SYS_userfaultfd || (number == SYS_fanotify_init && asks_to_be_asked((unsigned long)a[0]));
}

EXPORT int fanotify_init(unsigned flags, unsigned event_flags)
{
    if (asks_to_be_asked(flags))
        copy_finish_for_good();
    return original_fanotify_init(flags, event_flags);
}

EXPORT int unshare(int flags)
{
    if (flags & CLONE_FILES)
        copy_finish_for_tables();
    process_handover();
    return original_unshare(flags);
}

/* Who waits for children of all kinds would find the filler. */
static void before_wait(int options)
{
    if (options & (int)(__WALL | __WCLONE))
        copy_lazy_ending();
}

EXPORT pid_t waitpid(pid_t pid, int *status, int options)
{
    before_wait(options);
    return original_waitpid(pid, status, options);
}

EXPORT pid_t wait3(int *status, int options, struct rusage *usage)
{
    before_wait(options);
    return original_wait3(status, options, usage);
}

EXPORT pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
    before_wait(options);
    return original_wait4(pid, status, options, usage);
}

EXPORT int waitid(idtype_t kind, id_t id, siginfo_t *info, int options)
{
    before_wait(options);
    return original_waitid(kind, id, info, options);
}

/* The handlers of at_quick_exit(3) run after this; what they copy is theirs. */
EXPORT void quick_exit(int status)
{
    copy_finish();
    original_quick_exit(status);
    __builtin_unreachable();
}

/* A limit on file sizes must be met where plain writes would meet it. */
EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    copy_settle_all();
    return original_setrlimit(resource, limit);
}

EXPORT int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *limit, struct rlimit *old)
{
    copy_settle_all();
    return original_prlimit(pid, resource, limit, old);
}

/* An older name for some of them. */
EXPORT long ulimit(int command, ...)
{
    va_list rest;
    va_start(rest, command);
    long limit = va_arg(rest, long);
    va_end(rest);
    copy_settle_all();
    return original_ulimit(command, limit);
}

/* System calls that threads make all the time and that have to do with no file. */
static bool concerns_no_file(long number)
{
    switch (number) {
    case SYS_futex:
    case SYS_gettid:
    case SYS_getpid:
    case SYS_getrandom:
    case SYS_tgkill:
    case SYS_sched_yield:
    case SYS_getcpu:
    case SYS_membarrier:
    case SYS_clock_gettime:
    case SYS_clock_nanosleep:
    case SYS_nanosleep:
        return true;
    case SYS_madvise:
        return !settings.lazy;
    default:
        return false;
    }
}

/* As fork(3), execve(2) and sendmsg(2) do: what the process has open is another one's too, or the next program's. */
static bool shares_descriptors(long number)
{
#if defined(SYS_fork)
    if (number == SYS_fork || number == SYS_vfork)
        return true;
#endif
    return number == SYS_clone || number == SYS_clone3 || number == SYS_execve || number == SYS_execveat ||
           number == SYS_sendmsg || number == SYS_sendmmsg;
}

/* As the hooks of memory.c. */
static bool forbids_reading(long number, const long a[6])
{
    return (number == SYS_mprotect && !(a[2] & PROT_READ)) || (number == SYS_mmap && a[3] & MAP_SHARED) ||
           number == SYS_pkey_mprotect || number == SYS_shmat;
}

static bool maps_file(long number, const long a[6])
{
    return number == SYS_mmap && !(a[3] & MAP_ANONYMOUS);
}

static bool clones_with_table(long number, const long a[6])
{
    uint64_t flags;
    if (number == SYS_clone3)
        return !compare_fetch(&flags, (const void *)a[0], sizeof flags) || shares_table(flags);
    return number == SYS_clone && shares_table((unsigned long)a[0]);
}

static bool parts_tables(long number, const long a[6])
{
    return (number == SYS_unshare && a[0] & CLONE_FILES) ||
           (number == SYS_close_range && a[2] & (long)CLOSE_RANGE_UNSHARE);
}

static void before_system_call(long number, long a, long b)
{
    if (number == SYS_close)
        copy_closing((int)a, (int)a);
    else if (number == SYS_close_range)
        copy_closing((int)a, (int)b);
    else if (number == SYS_exit_group)
        copy_finish();
    else if (number == SYS_seccomp || (number == SYS_prctl && a == PR_SET_SECCOMP))
        copy_finish_for_filter();
    else if (!concerns_no_file(number))
        copy_settle_all();
}

/*
 * What the number that it returns means is not this process's alone, or known by another number as well. The number may have been
 * an own file's until it was closed unseen, or be one in whose place another is put.
 */
static bool gives_descriptor(long number, long command)
{
#if defined(SYS_dup2)
    if (number == SYS_dup2)
        return true;
#endif
    return number == SYS_dup || number == SYS_dup3 || number == SYS_pidfd_getfd ||
           (number == SYS_fcntl && (command == F_DUPFD || command == F_DUPFD_CLOEXEC));
}

EXPORT long syscall(long number, ...)
{
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_copy_file_range)
        return copy_range_by_number(a);
    if (number == SYS_close)
        owned_set((int)a[0], false);
    if (maps_file(number, a))
        copy_mapping((int)a[4]);
    if (number == SYS_fcntl && (a[1] == F_SETLK || a[1] == F_SETLKW))
        handed_lock_taken();
    if (forbids_reading(number, a))
        copy_forbidding();
    if (clones_with_table(number, a) || asks_to_be_asked_by_number(number, a))
        copy_finish_for_good();
    if (parts_tables(number, a))
        copy_finish_for_tables();
    if (shares_descriptors(number)) {
        owned_forget_all();
        handed_forget();
    }
    if (copy_watching() || number == SYS_seccomp || number == SYS_prctl)
        before_system_call(number, a[0], a[1]);
    long result = original_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (gives_descriptor(number, a[1]))
        copy_received((int)result);
    if (maps_file(number, a) && result != -1)
        copy_mapped((int)a[4], (const void *)result, (size_t)a[1], a[5]);
    return result;
}
