#include "private.h"

#include "settle.h"
#include "syscalls.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Private descriptors take the lowest free numbers from here on: few programs come so high, most limits allow it. */
#define FLOOR 900

/* Where the limit on descriptors (RLIMIT_NOFILE) is lower, in its last quarter. */
static long lowest_private(void)
{
    struct rlimit limit;
    if (KERNEL(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) < 0 || limit.rlim_cur > FLOOR + PRIVATE_USES)
        return FLOOR;
    return (long)(limit.rlim_cur - limit.rlim_cur / 4);
}

int private_descriptors[PRIVATE_USES] = {-1};
static struct stat kept[PRIVATE_USES];

void private_keep(enum private_use use, int fd)
{
    private_descriptors[use] = fd;
    KERNEL(SYS_fstat, fd, &kept[use]);
}

bool private_leads_there(enum private_use use)
{
    struct stat now;
    return KERNEL(SYS_fstat, private_descriptors[use], &now) == 0 && now.st_dev == kept[use].st_dev &&
           now.st_ino == kept[use].st_ino;
}

bool private_is_ours(enum private_use use)
{
    return private_descriptors[use] >= 0 && (settle_filtered || private_leads_there(use));
}

int private_descriptor(long low)
{
    if (low < 0)
        return (int)low;
    long high = KERNEL(SYS_fcntl, low, F_DUPFD_CLOEXEC, lowest_private());
    KERNEL(SYS_close, low);
    return (int)high;
}

unsigned private_next(unsigned first, unsigned last)
{
    unsigned next = last + 1;
    for (int i = 0; i < PRIVATE_USES; i++) {
        unsigned ours = (unsigned)private_descriptors[i];
        if (ours >= first && ours < next && private_is_ours((enum private_use)i))
            next = ours;
    }
    return next;
}
