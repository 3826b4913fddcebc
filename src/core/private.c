#include "private.h"

#include "syscalls.h"

#include <fcntl.h>

/* Private descriptors take the lowest free numbers from here on: few programs come so high, most limits allow it. */
#define FLOOR 900

int private_descriptor(long low)
{
    if (low < 0)
        return (int)low;
    long high = KERNEL(SYS_fcntl, low, F_DUPFD_CLOEXEC, FLOOR);
    KERNEL(SYS_close, low);
    return (int)high;
}
