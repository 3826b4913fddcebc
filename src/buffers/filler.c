#include "filler.h"

#include "../core/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

int filler_process;

/*
 * No exit signal: only who asks for such children (__WCLONE, wait(2)) hears of its end. CLONE_FILES until it has a table of
 * its own (close_range(2)), so that the program's is never copied. CLONE_UNTRACED: a debugger that follows the program's
 * children must not have this one.
 */
#define FILLER_FLAGS (CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | CLONE_UNTRACED)

/* struct clone_args of linux/sched.h, as Linux 5.3 has had it from the first. */
struct start_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

/*
 * clone3(2) with a stack that holds the argument and the function; what the function returns is the exit status. Not clone(2),
 * at which emulators that know no such process end the program (Valgrind); they have no clone3(2).
 */
static long start_process(int (*function)(struct filler *), struct filler *f)
{
    void **stack = (void **)(f->stack + sizeof f->stack);
    *--stack = (void *)function;
    *--stack = f;
    const struct start_arguments how = {
        .flags = FILLER_FLAGS,
        .child_tid = (uintptr_t)&filler_process,
        .parent_tid = (uintptr_t)&filler_process,
        .stack = (uintptr_t)f->stack,
        .stack_size = (size_t)((char *)stack - f->stack),
    };
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rdi\n\t"
                     "pop %%rax\n\t"
                     "call *%%rax\n\t"
                     "mov %%eax, %%edi\n\t"
                     "mov %[exit], %%eax\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone3), "D"(&how), "S"(sizeof how), [exit] "i"(SYS_exit_group)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)&how;
    register long x1 __asm__("x1") = sizeof how;
    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "ldp x0, x1, [sp], #16\n\t"
                     "blr x1\n\t"
                     "mov x8, %[exit]\n\t"
                     "svc 0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), [exit] "i"(SYS_exit_group)
                     : "memory");
    return x0;
#endif
}

/*
 * Whether a child would be one of the process's own namespace: the first one after unshare(CLONE_NEWPID) becomes the init
 * of another, which is not to be this one (pid_namespaces(7)).
 */
static bool children_stay(void)
{
    struct stat own = {0}, of_children = {0};
    return KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/ns/pid", &own, 0) == 0 &&
           KERNEL(SYS_newfstatat, AT_FDCWD, "/proc/self/ns/pid_for_children", &of_children, 0) == 0 &&
           own.st_ino == of_children.st_ino;
}

static void *map(size_t n, int protection)
{
    long at = KERNEL(SYS_mmap, NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

/* The filler's memory, with its doorbell behind it, and its window. NULL if the process may not have them. */
static struct filler *take_memory(void)
{
    _Static_assert(sizeof(struct filler) % 4096 == 0, "the doorbell, behind the filler, is a page");
    struct filler *f = map(sizeof(struct filler) + PAGE_BYTES, PROT_READ | PROT_WRITE);
    char *window = f ? map(FILLER_WINDOW, PROT_NONE) : NULL;
    if (!window) {
        if (f)
            KERNEL(SYS_munmap, f, sizeof *f + PAGE_BYTES);
        return NULL;
    }
    f->doorbell = (char *)f + sizeof *f;
    f->window = window;
    return f;
}

static void give_memory_back(struct filler *f)
{
    if (f->window)
        KERNEL(SYS_munmap, f->window, FILLER_WINDOW);
    KERNEL(SYS_munmap, f, sizeof *f + PAGE_BYTES);
}

/*
 * The kernel clears the word when the filler leaves the memory, and wakes whoever waits for that (set_tid_address(2));
 * that wake is not a private one. Its descriptors are closed, and its zombie is there, a moment later.
 */
static void await_end(const struct filler *f)
{
    int process;
    while ((process = SHARED_LOAD(filler_process)) != 0)
        KERNEL(SYS_futex, &filler_process, FUTEX_WAIT, process, NULL);
    while (KERNEL(SYS_wait4, f->process_kept, NULL, __WCLONE, NULL) == -EINTR)
        ;
}

struct filler *filler_start(void)
{
    struct filler *f = children_stay() ? take_memory() : NULL;
    if (!f)
        return NULL;
    f->program_pid = (int)KERNEL(SYS_getpid);
    long process = start_process(filling_run, f);
    if (process > 0) {
        f->process_kept = (int)process;
        while (SHARED_LOAD(f->state) == FILLER_STARTING && filler_is_there())
            KERNEL(SYS_futex, &f->state, FUTEX_WAIT, FILLER_STARTING, &(struct timespec){.tv_nsec = 10000000});
        if (f->state == FILLER_READY)
            return f;
        await_end(f);
    }
    give_memory_back(f);
    return NULL;
}

int filler_order(struct filler *f, enum filler_order what)
{
    f->order.what = what;
    f->order.failed = ESRCH;
    f->order.given++;
    /* Empties the page even if the program has locked all of its memory (Linux 5.18). */
    KERNEL(SYS_madvise, f->doorbell, PAGE_BYTES, MADV_DONTNEED_LOCKED);
    __atomic_load_n(f->doorbell, __ATOMIC_SEQ_CST);
    return SHARED_LOAD(f->order.failed);
}

void filler_stop(struct filler *f)
{
    filler_order(f, ORDER_STOP);
    SHARED_STORE(f->stopped, true);
    await_end(f);
    give_memory_back(f);
}
