/*
 * System calls by number, syscall(2): of the calls that are made so in earnest, what the hooks of their names see to. Before any other
 * that may concern a file, every copy is settled.
 */
#define FAMILY_BYNUMBER
#include "hook.h"
#include "process.h"

#include "../core/handed.h"
#include "../core/newer.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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
    if (copy_over_for_good())
        return false;
    if (number == SYS_clone3)
        return !compare_fetch(&flags, (const void *)a[0], sizeof flags) || process_shares_table(flags);
    return number == SYS_clone && process_shares_table((unsigned long)a[0]);
}

static bool parts_tables(long number, const long a[6])
{
    return (number == SYS_unshare && a[0] & CLONE_FILES) ||
           (number == SYS_close_range && a[2] & (long)CLOSE_RANGE_UNSHARE);
}

/* close(2) and close_range(2) are told of what they close. */
static void closing(long number, const long a[6])
{
    if (number == SYS_close)
        copy_closing((int)a[0], (int)a[0]);
    else if (number == SYS_close_range && !(a[2] & (long)CLOSE_RANGE_CLOEXEC))
        copy_closing((int)a[0], (unsigned)a[1] > INT_MAX ? INT_MAX : (int)a[1]);
}

/*
 * As who is asked before others read (process.h) is who fills memory when it is looked at (userfaultfd(2)), which we do before write(2)
 * would. By ioctl(2) of a device it is told too (descriptors.c).
 */
static bool asks_to_be_asked(long number, const long a[6])
{
    return number == SYS_userfaultfd || (number == SYS_fanotify_init && process_asks_to_be_asked((unsigned long)a[0]));
}

/* What copies that are in progress have to do first. */
static void settle_before(long number, long a)
{
    if (number == SYS_exit_group)
        copy_finish();
    else if (number == SYS_seccomp || (number == SYS_prctl && a == PR_SET_SECCOMP))
        copy_finish_for_filter();
    else if (!concerns_no_file(number) && number != SYS_close && number != SYS_close_range)
        copy_settle_all();
}

/* What is seen to by the hooks of the calls' names. */
static void before(long number, const long a[6])
{
    closing(number, a);
    if (maps_file(number, a))
        copy_mapping((int)a[4]);
    if (number == SYS_fcntl && (a[1] == F_SETLK || a[1] == F_SETLKW))
        handed_lock_taken();
    if (forbids_reading(number, a))
        copy_forbidding();
    if (clones_with_table(number, a) || asks_to_be_asked(number, a))
        copy_finish_for_good();
    if (parts_tables(number, a))
        copy_finish_for_tables();
    if (shares_descriptors(number)) {
        owned_forget_all();
        handed_forget();
    }
    if (copy_watching() || number == SYS_seccomp || number == SYS_prctl)
        settle_before(number, a[0]);
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

static void after(long number, const long a[6], long result)
{
    if (gives_descriptor(number, a[1]))
        copy_received((int)result);
    if (maps_file(number, a) && result != -1)
        copy_mapped((int)a[4], (const void *)result, (size_t)a[1], a[5]);
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
    before(number, a);
    long result = original_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    after(number, a, result);
    return result;
}
