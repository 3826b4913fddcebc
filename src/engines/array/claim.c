#include "claim.h"

#include "../../core/guards.h"
#include "../../core/private.h"
#include "../../core/syscalls.h"
#include "text.h"

#include <fcntl.h>
#include <unistd.h>

/* A lock that belongs to an open file description (F_OFD_GETLK) meets those of every process, this one too. */
static bool is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return KERNEL(SYS_fcntl, fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static bool is_device(int fd, dev_t device)
{
    struct file_state state;
    return guard_look(fd, &state) && state.raw && state.device == device;
}

/* The claim's descriptor, or -1. */
static int claim_take(int fd, dev_t device)
{
    char path[TEXT_PATH] = "/proc/self/fd/";
    if (is_locked(fd) || !text_append_number(path, (uint64_t)fd))
        return -1;
    int flags = O_RDONLY | O_EXCL | O_DIRECT | O_NOATIME | O_NONBLOCK | O_CLOEXEC;
    int claim = private_descriptor(KERNEL(SYS_openat, AT_FDCWD, path, flags));
    if (claim < 0)
        return -1;
    if (is_device(claim, device))
        return claim;
    /* There is something else mounted in /proc's place. */
    KERNEL(SYS_close, claim);
    return -1;
}

enum reason claims_take(const struct file_pair *pair, struct claims *claims)
{
    *claims = (struct claims){-1, -1};
    if (pair->raw_source)
        claims->source = claim_take(pair->source, pair->source_device);
    if (pair->raw_destination)
        claims->destination = claim_take(pair->destination, pair->destination_device);
    if (pair->raw_source == (claims->source >= 0) && pair->raw_destination == (claims->destination >= 0))
        return REASON_NONE;
    claims_give(claims);
    return REASON_CLAIMED;
}

void claims_give(const struct claims *claims)
{
    if (claims->source >= 0)
        KERNEL(SYS_close, claims->source);
    if (claims->destination >= 0)
        KERNEL(SYS_close, claims->destination);
}
