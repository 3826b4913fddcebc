#include "lease.h"

#include "../../core/syscalls.h"
#include "text.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define NOBODY ((struct f_owner_ex){F_OWNER_TID, 0})

static bool io_signal_waits(void)
{
    uint64_t pending = 0;
    KERNEL(SYS_rt_sigpending, &pending, sizeof pending);
    return pending >> (SIGIO - 1) & 1;
}

/*
 * Takes back the signal of a lease that someone wanted in the moment in which it was this thread's to be told of. Such a
 * one comes from the kernel; what another process sent is put back.
 */
static void take_back_signal(void)
{
    uint64_t io = (uint64_t)1 << (SIGIO - 1);
    struct timespec now = {0};
    siginfo_t info;
    if (KERNEL(SYS_rt_sigtimedwait, &io, &info, &now, sizeof io) == SIGIO && info.si_code != SI_KERNEL)
        KERNEL(SYS_rt_tgsigqueueinfo, KERNEL(SYS_getpid), KERNEL(SYS_gettid), SIGIO, &info);
}

/* Whether the program has told the kernel nothing that taking a lease would change, and giving it back would lose. */
static bool is_unclaimed(int fd)
{
    struct f_owner_ex owner = {0};
    return KERNEL(SYS_fcntl, fd, F_GETLEASE) == F_UNLCK && KERNEL(SYS_fcntl, fd, F_GETSIG) == 0 &&
           KERNEL(SYS_fcntl, fd, F_GETOWN_EX, &owner) == 0 && owner.pid == 0;
}

/*
 * F_SETLEASE makes the process the one that is told, unless somebody is already (lease_setup() in fs/locks.c). So this
 * thread, which blocks the signal, is it for a moment, and then nobody. Giving the lease back leaves nobody
 * (lease_modify()).
 */
static bool lease_take(int fd, int type)
{
    struct f_owner_ex us = {F_OWNER_TID, (pid_t)KERNEL(SYS_gettid)};
    if (!is_unclaimed(fd) || io_signal_waits() || KERNEL(SYS_fcntl, fd, F_SETOWN_EX, &us) < 0)
        return false;
    bool taken = KERNEL(SYS_fcntl, fd, F_SETLEASE, type) == 0;
    KERNEL(SYS_fcntl, fd, F_SETOWN_EX, &NOBODY);
    if (io_signal_waits())
        take_back_signal();
    return taken;
}

static bool lease_give(int fd)
{
    return KERNEL(SYS_fcntl, fd, F_SETLEASE, F_UNLCK) == 0;
}

bool leases_take(const struct file_pair *pair)
{
    if (!pair->raw_source && !lease_take(pair->source, F_RDLCK))
        return false;
    if (pair->raw_destination || lease_take(pair->destination, F_WRLCK))
        return true;
    if (!pair->raw_source)
        lease_give(pair->source);
    return false;
}

static bool is_held(int fd, int type)
{
    return KERNEL(SYS_fcntl, fd, F_GETLEASE) == type;
}

bool leases_wanted(const struct file_pair *pair)
{
    return (!pair->raw_source && !is_held(pair->source, F_RDLCK)) ||
           (!pair->raw_destination && !is_held(pair->destination, F_WRLCK));
}

bool leases_give(const struct file_pair *pair)
{
    bool destination_held = pair->raw_destination || lease_give(pair->destination);
    bool source_held = pair->raw_source || lease_give(pair->source);
    return destination_held && source_held;
}

long leases_last(void)
{
    uint64_t seconds;
    char text[TEXT_FILE];
    const char *at = text;
    if (!text_read("/proc/sys/fs/lease-break-time", text) || !text_number(&at, &seconds) || seconds > 1000000)
        return -1;
    return (long)seconds * 1000;
}
