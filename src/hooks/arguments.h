/*
 * For hooks in assembly, which call a C function and then jump to the original with the caller's registers and stack as they
 * were: the registers that may carry arguments are kept on the stack meanwhile, and a debugger or an unwinder finds its way
 * through (.cfi, DWARF 5, 6.4). Vector registers are not kept: no call of calls.def takes an argument there.
 */
#ifndef LIBOFFLOAD_ARGUMENTS_H
#define LIBOFFLOAD_ARGUMENTS_H

/* A function or variable that assembly names: the compiler does not see that it is used. */
#define FOR_ASSEMBLY __attribute__((used, visibility("hidden")))

#if defined(__x86_64__)
/* rdi rsi rdx rcx r8 r9, and rax for variadic calls (System V ABI, 3.2.3). Seven pushes align the stack to 16 bytes. */
#define KEEP(register) "push %" #register "\n\t.cfi_adjust_cfa_offset 8\n\t"
#define PUT_BACK(register) "pop %" #register "\n\t.cfi_adjust_cfa_offset -8\n\t"
#define KEEP_ARGUMENTS KEEP(rdi) KEEP(rsi) KEEP(rdx) KEEP(rcx) KEEP(r8) KEEP(r9) KEEP(rax)
#define PUT_ARGUMENTS_BACK \
    PUT_BACK(rax) PUT_BACK(r9) PUT_BACK(r8) PUT_BACK(rcx) PUT_BACK(rdx) PUT_BACK(rsi) PUT_BACK(rdi)
#elif defined(__aarch64__)
/* x0 to x7; x30 has the way back (AAPCS64, 6.8.2). */
#define KEEP_ARGUMENTS                                                                                      \
    "stp x29, x30, [sp, #-80]!\n\t.cfi_def_cfa_offset 80\n\t.cfi_offset 29, -80\n\t.cfi_offset 30, -72\n\t" \
    "stp x0, x1, [sp, #16]\n\tstp x2, x3, [sp, #32]\n\tstp x4, x5, [sp, #48]\n\tstp x6, x7, [sp, #64]\n\t"
#define PUT_ARGUMENTS_BACK                                                                                 \
    "ldp x0, x1, [sp, #16]\n\tldp x2, x3, [sp, #32]\n\tldp x4, x5, [sp, #48]\n\tldp x6, x7, [sp, #64]\n\t" \
    "ldp x29, x30, [sp], #80\n\t.cfi_restore 29\n\t.cfi_restore 30\n\t.cfi_def_cfa_offset 0\n\t"
#endif

/* A function in assembly: its first instruction is one that an indirect jump may lead to (Intel CET, Arm BTI). */
#if defined(__x86_64__)
#define LANDING "endbr64\n\t"
#elif defined(__aarch64__)
#define LANDING "hint #34\n\t"
#endif
#define BEGIN_FUNCTION(name) \
    ".pushsection .text\n\t.type " #name ", %function\n" #name ":\n\t.cfi_startproc\n\t" LANDING
#define END_FUNCTION(name) "\n\t.cfi_endproc\n\t.size " #name ", . - " #name "\n\t.popsection\n"

#endif
