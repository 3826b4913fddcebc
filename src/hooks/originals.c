#include "originals.h"

#include "../core/syscalls.h"
#include "lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>

/* A system call's result as libc would return it. */
static long libc_result(long result)
{
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

#define HIDDEN __attribute__((used, visibility("hidden")))

/* A process call that no later object defines: a program can meet it only through dlsym(3) or a weak symbol. */
long without_one(void) HIDDEN;
long without_one(void)
{
    errno = ENOSYS;
    return -1;
}

/* What every libc has and this one has not: better to end here than to return what was not done. */
static long without_libc(const char *name, ...)
{
    (void)name;
    __builtin_trap();
}

#define SYSTEM(number, ...) libc_result(KERNEL(SYS_##number, __VA_ARGS__))
#define LIBC(name, ...) without_libc(#name, ##__VA_ARGS__)
#define CALL(returns, name, parameters, without) \
    returns without_##name parameters HIDDEN;    \
    returns without_##name parameters            \
    {                                            \
        return (returns)(without);               \
    }
#define HOOK_ONLY(name)
#define TWIN(twin, name)
#define HANDOVER(name)
#define ENDING(name) HANDOVER(name)
#define LENDING(name) HANDOVER(name)
#define THREADING(name) HANDOVER(name)
#define FAMILY_ALL
#include "calls.def"
#undef CALL
#undef HANDOVER

/*
 * A name, its variable, and what stands for it if nobody has it: each as its distance from the field itself, which the
 * dynamic linker has not to relocate at each start. Assembly writes them, in a section of their own that makes them an array.
 */
struct original {
    int32_t name, variable, without;
};

extern const struct original originals_begin[] __asm__("__start_originals") __attribute__((visibility("hidden")));
extern const struct original originals_end[] __asm__("__stop_originals") __attribute__((visibility("hidden")));

static char *at(const int32_t *distance)
{
    return (char *)(uintptr_t)distance + *distance;
}

/* Threads that look for the same one at once find the same. */
void *find_original(const struct original *original) HIDDEN;
void *find_original(const struct original *original)
{
    void *function = lookup_next(at(&original->name));
    if (!function)
        function = at(&original->without);
    __atomic_store_n((void **)(void *)at(&original->variable), function, __ATOMIC_RELAXED);
    return function;
}

/*
 * What each variable points to at first: code that leads to first_call with its struct original. That keeps the registers that
 * carry arguments, has the function found, and jumps to it, as the hooks of process.c do; nothing here takes an argument in a
 * vector register.
 */
#define ORIGINAL(name, without, go)                                                                           \
    __asm__(".pushsection originals, \"a\"\n\t.balign 4\nwanted_" #name ":\n\t"                               \
            ".long 1f - .\n\t.long original_" #name " - .\n\t.long " #without " - .\n\t.popsection\n\t"       \
            ".pushsection .rodata.str1.1, \"aMS\", %progbits, 1\n1:\t.asciz \"" #name "\"\n\t.popsection\n\t" \
            ".pushsection .text\n\t.globl first_" #name "\n\t.hidden first_" #name "\n\t"                     \
            ".type first_" #name ", %function\nfirst_" #name ":\n\t" go "\n\t.popsection\n");

#if defined(__x86_64__)
#define FIRST_CALL(name, without) \
    ORIGINAL(name, without, "endbr64\n\tlea wanted_" #name "(%rip), %r11\n\tjmp first_call")
__asm__(".pushsection .text\nfirst_call:\n\t"
        "push %rdi\n\tpush %rsi\n\tpush %rdx\n\tpush %rcx\n\tpush %r8\n\tpush %r9\n\tpush %rax\n\t"
        "mov %r11, %rdi\n\tcall find_original\n\tmov %rax, %r11\n\t"
        "pop %rax\n\tpop %r9\n\tpop %r8\n\tpop %rcx\n\tpop %rdx\n\tpop %rsi\n\tpop %rdi\n\t"
        "jmp *%r11\n\t.popsection\n");
#elif defined(__aarch64__)
#define FIRST_CALL(name, without) \
    ORIGINAL(name, without,       \
             "hint #34\n\tadrp x16, wanted_" #name "\n\tadd x16, x16, :lo12:wanted_" #name "\n\tb first_call")
__asm__(".pushsection .text\nfirst_call:\n\t"
        "stp x29, x30, [sp, #-80]!\n\tstp x0, x1, [sp, #16]\n\tstp x2, x3, [sp, #32]\n\t"
        "stp x4, x5, [sp, #48]\n\tstp x6, x7, [sp, #64]\n\t"
        "mov x0, x16\n\tbl find_original\n\tmov x16, x0\n\t"
        "ldp x0, x1, [sp, #16]\n\tldp x2, x3, [sp, #32]\n\tldp x4, x5, [sp, #48]\n\t"
        "ldp x6, x7, [sp, #64]\n\tldp x29, x30, [sp], #80\n\t"
        "br x16\n\t.popsection\n");
#endif

#define CALL(returns, name, parameters, without) \
    FIRST_CALL(name, without_##name)             \
    returns first_##name parameters;             \
    returns(*original_##name) parameters HIDDEN = first_##name;
#define HANDOVER(name)            \
    FIRST_CALL(name, without_one) \
    void first_##name(void);      \
    void (*original_##name)(void) HIDDEN = first_##name;
#include "calls.def"

void originals_start(void)
{
    if (lookup_start())
        return;
    for (const struct original *original = originals_begin; original != originals_end; original++)
        find_original(original);
}
