/* What starts, becomes and ends processes, and what limits them. */
#define FAMILY_PROCESS
#include "process.h"
#include "arguments.h"
#include "hook.h"

#include "../core/handed.h"

#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
    copy_handing_over();
    handed_forget();
}

/* vfork(2), clone(2): the child has a table of descriptors of its own, and memory of ours. */
void process_lending(void)
{
    process_handover();
    if (!copy_over_for_good())
        owned_lend();
}

/* It has the arguments of clone(2), as far as they matter. */
void process_cloning(int (*function)(void *), void *stack, int flags)
{
    (void)function;
    (void)stack;
    if (process_shares_table((unsigned)flags))
        copy_finish_for_good();
    if (process_is_counted_thread((unsigned)flags))
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
    /* Another thread could begin a copy until this call has ended it. */
    if (!*underway_single)
        copy_finish_for_good();
    else if (copy_watching())
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

EXPORT int fanotify_init(unsigned flags, unsigned event_flags)
{
    if (process_asks_to_be_asked(flags))
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
