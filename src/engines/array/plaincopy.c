#include "plaincopy.h"

#include "../../core/syscalls.h"

#include <errno.h>

static int write_all(int fd, const char *bytes, uint64_t n, uint64_t at)
{
    while (n) {
        long written = KERNEL(SYS_pwrite64, fd, bytes, n, at);
        if (written <= 0)
            return written ? (int)written : -EIO;
        bytes += written;
        at += (uint64_t)written;
        n -= (uint64_t)written;
    }
    return 0;
}

int plain_copy(int source, uint64_t from, int destination, uint64_t to, uint64_t n, char *memory, uint64_t room)
{
    int result = 0;
    while (n && result == 0) {
        long got = KERNEL(SYS_pread64, source, memory, n < room ? n : room, from);
        if (got <= 0)
            return got ? (int)got : -EIO;
        result = write_all(destination, memory, (uint64_t)got, to);
        from += (uint64_t)got;
        to += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return result;
}
