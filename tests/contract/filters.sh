#!/bin/bash
# A program that has forbidden itself system calls (seccomp) makes none but its own from then on.
. "$(dirname "$0")/../fixture.sh"

command -v "${OFFLOAD_TEST_CC:-cc}" >/dev/null || skip_all "there is no compiler"

# filtered WAY HOW: forbids itself by HOW all calls but exit_group(2) and those that the WAY is known to make.
compile() {
    ${OFFLOAD_TEST_CC:-cc} -D_GNU_SOURCE -O1 -x c -o "$scratch/filtered" - <<'END'
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>
#ifdef SYS_vfork
#define VFORK SYS_vfork
#define DUP2 SYS_dup2
#else
#define VFORK SYS_clone
#define DUP2 SYS_dup3
#endif
/* libc's own fstat(3), by which a stream finds out about its file. */
#if __GLIBC_PREREQ(2, 33) && !__GLIBC_PREREQ(2, 39)
#define FSTAT SYS_newfstatat
#else
#define FSTAT SYS_newfstatat, SYS_fstat
#endif

static char buffer[65536];
static const char *how;

static void forbid(const unsigned *allowed, size_t n)
{
    struct sock_filter lines[32] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {1, lines};
    for (size_t i = 0; i < n; i++) {
        lines[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
        lines[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    lines[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    if (!strcmp(how, "prctl") ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
        : !strcmp(how, "seccomp")
            ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
            : syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
        _exit(99);
}
#define ALLOW(...) forbid((const unsigned[]){SYS_exit_group, __VA_ARGS__}, sizeof((int[]){0, __VA_ARGS__}) / sizeof(int))

int main(int argc, char **argv)
{
    const char *way = argc > 2 ? argv[1] : "";
    int status, wrong = 0, ends[2], source = open("../source", O_RDONLY);
    int copy = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct iovec halves[2] = {{buffer, sizeof buffer / 2}, {buffer + sizeof buffer / 2, sizeof buffer / 2}};
    loff_t at = 0;
    how = argv[2];
    if (source < 0 || copy < 0 || pipe(ends) || read(source, buffer, sizeof buffer) != sizeof buffer)
        return 98;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!strcmp(way, "first_calls")) {
        ALLOW(SYS_write, SYS_lseek, SYS_ftruncate, SYS_fchmod, SYS_close);
        wrong += write(copy, buffer, 99) != 99 || lseek(copy, 5, SEEK_SET) != 5 || ftruncate(copy, 9);
        wrong += fchmod(copy, 0600) || close(copy);
    } else if (!strcmp(way, "second_filter")) {
        ALLOW(SYS_prctl, SYS_seccomp);
        ALLOW(SYS_seccomp);
    } else if (!strcmp(way, "other_calls_by_number")) {
        ALLOW(SYS_prctl);
        wrong += syscall(SYS_prctl, PR_SET_NAME, "filtered", 0, 0, 0) != 0;
    } else if (!strcmp(way, "quick_exit")) {
        ALLOW(SYS_exit_group);
        quick_exit(7);
    } else if (!strcmp(way, "exit")) {
        ALLOW(SYS_exit_group);
        exit(7);
    } else if (!strcmp(way, "another_utmp")) {
        ALLOW(SYS_brk, SYS_mmap, SYS_getrandom);
        utmpname("utmp");
    } else if (!strcmp(way, "pieces")) {
        ALLOW(SYS_writev, SYS_pwritev);
        wrong += writev(copy, halves, 2) != sizeof buffer || pwritev(copy, halves, 2, 65536) != sizeof buffer;
    } else if (!strcmp(way, "splice")) {
        ALLOW(SYS_splice);
        wrong += splice(source, &at, ends[1], NULL, 65536, 0) != 65536;
        wrong += splice(ends[0], NULL, copy, NULL, 65536, 0) != 65536;
    } else if (!strcmp(way, "child_in_our_memory")) {
        ALLOW(VFORK, SYS_wait4);
        if (vfork() == 0)
            _exit(7);
        wrong += wait4(-1, &status, 0, NULL) < 0 || status != 7 << 8;
    } else if (!strcmp(way, "after_a_child_in_our_memory")) {
        if (vfork() == 0)
            _exit(7);
        ALLOW(SYS_wait4, SYS_openat, SYS_dup, DUP2, SYS_pipe2, SYS_close);
        wrong += wait4(-1, &status, 0, NULL) < 0 || open("../source", O_RDONLY) < 0 || dup(copy) < 0 || dup2(copy, 9) != 9;
        wrong += pipe2(ends, 0) || close(9);
    } else if (!strcmp(way, "forbidden_by_a_child_in_our_memory")) {
        if (vfork() == 0) {
            ALLOW(SYS_openat, DUP2, SYS_close, SYS_execve);
            wrong += open("../source", O_RDONLY) < 0 || dup2(copy, 9) != 9 || close(9) || !execve("none", argv, NULL);
            _exit(wrong ? 97 : 7);
        }
        wrong += wait4(-1, &status, 0, NULL) < 0 || status != 7 << 8;
        wrong += write(copy, buffer, sizeof buffer) != sizeof buffer;
    } else if (!strcmp(way, "stream")) {
        FILE *stream = fopen("other", "w");
        ALLOW(SYS_brk, SYS_mmap, SYS_getrandom, FSTAT, SYS_write);
        wrong += fwrite(buffer, 1, sizeof buffer / 2, stream) != sizeof buffer / 2;
    } else if (!strcmp(way, "child_by_number")) {
        struct clone_args child = {.exit_signal = 17};
        ALLOW(SYS_clone3, SYS_wait4);
        if (syscall(SYS_clone3, &child, sizeof child) == 0)
            _exit(7);
        wrong += wait4(-1, &status, 0, NULL) < 0 || status != 7 << 8;
    } else if (!strcmp(way, "closes_the_reports_number")) {
        ALLOW(SYS_close);
        wrong += close(900) == 0;
    } else if (!strcmp(way, "opens_with_lazy_buffers")) {
        ALLOW(SYS_openat);
        wrong += open("../source", O_RDONLY) < 0;
    } else {
        return 96;
    }
    _exit(wrong ? 97 : 7);
}
END
}

makes_none_but_its_own() { # WAY
    [ "$1" != opens_with_lazy_buffers ] || export OFFLOAD_BUFFERS=lazy
    [ "$1" != closes_the_reports_number ] || export OFFLOAD_REPORT=$scratch/report
    for how in prctl seccomp prctl-by-number; do
        both ../filtered "$1" "$how"
        expect_status 7
    done
}

ways=(first_calls second_filter other_calls_by_number quick_exit exit another_utmp pieces splice child_in_our_memory
    after_a_child_in_our_memory forbidden_by_a_child_in_our_memory stream child_by_number opens_with_lazy_buffers
    closes_the_reports_number)
cd "$scratch" || exit
compile || skip_all "the program cannot be compiled here"
make_source source $((3 * 65536))
mkdir try
(cd try && ../filtered exit prctl)
[ $? -eq 7 ] || skip_all "system calls cannot be forbidden here"
plan "${#ways[@]}"
for way in "${ways[@]}"; do
    verdict "${way//_/ }" makes_none_but_its_own "$way"
done
