#include "originals.h"

#include "../core/syscalls.h"
#include "arguments.h"
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

/*
 * A process call that no object behind us has: a program can meet it through dlsym(3), by a weak symbol, or, before glibc 2.34, in
 * a library loaded later that brings librt or libutil with it.
 */
long without_one(void) FOR_ASSEMBLY;
long without_one(void)
{
    errno = ENOSYS;
    return -1;
}

/* What libc has, and nobody has here: better to end than to return what was not done. */
static long without_libc(void)
{
    __builtin_trap();
}

#define SYSTEM(number, ...) libc_result(KERNEL(SYS_##number, __VA_ARGS__))
#define LIBC without_libc()
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define CALL(returns, name, parameters, without)    \
    returns without_##name parameters FOR_ASSEMBLY; \
    returns without_##name parameters               \
    {                                               \
        return (returns)(without);                  \
    }
#define HOOK_ONLY(name)
#define TWIN(twin, name)
#define HANDOVER(name)
#define ENDING(name) HANDOVER(name)
#define LENDING(name) HANDOVER(name)
#define CLONING(name) HANDOVER(name)
#define THREADING(name) HANDOVER(name)
#define FAMILY_ALL
#include "calls.def"
#pragma GCC diagnostic pop
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

/* Threads that look for the same one at once find the same. What nobody has is looked for again the next time. */
void *find_original(const struct original *original) FOR_ASSEMBLY;
void *find_original(const struct original *original)
{
    void *function = lookup_next(at(&original->name));
    if (!function)
        return at(&original->without);
    __atomic_store_n((void **)(void *)at(&original->variable), function, __ATOMIC_RELAXED);
    return function;
}

/* What each variable points to at first: code that leads to first_call with its struct original. */
#define ORIGINAL(name, without, go)                                                                           \
    __asm__(".pushsection originals, \"a\"\n\t.balign 4\nwanted_" #name ":\n\t"                               \
            ".long 1f - .\n\t.long original_" #name " - .\n\t.long " #without " - .\n\t.popsection\n\t"       \
            ".pushsection .rodata.str1.1, \"aMS\", %progbits, 1\n1:\t.asciz \"" #name "\"\n\t.popsection\n\t" \
            ".globl first_" #name "\n\t.hidden first_" #name "\n\t" BEGIN_FUNCTION(first_##name)              \
                go END_FUNCTION(first_##name));

#if defined(__x86_64__)
/* r11 is free between a call and the function that it reaches (System V ABI, 3.2.1). */
#define FIRST_CALL(name, without) ORIGINAL(name, without, "lea wanted_" #name "(%rip), %r11\n\tjmp first_call")
__asm__(BEGIN_FUNCTION(first_call) KEEP_ARGUMENTS
        "mov %r11, %rdi\n\tcall find_original\n\tmov %rax, %r11\n\t" PUT_ARGUMENTS_BACK
        "jmp *%r11" END_FUNCTION(first_call));
#elif defined(__aarch64__)
/* x16 is free between a call and the function that it reaches (AAPCS64, 6.1.1). */
#define FIRST_CALL(name, without) \
    ORIGINAL(name, without, "adrp x16, wanted_" #name "\n\tadd x16, x16, :lo12:wanted_" #name "\n\tb first_call")
__asm__(BEGIN_FUNCTION(first_call) KEEP_ARGUMENTS
        "mov x0, x16\n\tbl find_original\n\tmov x16, x0\n\t" PUT_ARGUMENTS_BACK "br x16" END_FUNCTION(first_call));
#endif

#define CALL(returns, name, parameters, without) \
    FIRST_CALL(name, without_##name)             \
    returns first_##name parameters;             \
    returns(*original_##name) parameters FOR_ASSEMBLY = first_##name;
#define HANDOVER(name)            \
    FIRST_CALL(name, without_one) \
    void first_##name(void);      \
    void (*original_##name)(void) FOR_ASSEMBLY = first_##name;
#include "calls.def"

void originals_start(void)
{
    if (lookup_start())
        return;
    for (const struct original *original = originals_begin; original != originals_end; original++)
        find_original(original);
}
