#include "allocate.h"

#include "../../core/syscalls.h"
#include "sysfs.h"

#include <stddef.h>

bool (*allocate_instead)(int fd, uint64_t at, uint64_t n);

/* linux/falloc.h has it since Linux 6.17. */
#define WRITE_ZEROES 0x80

/* Zero where the disk cannot, or was seen not to; no such file on older kernels. A partition's is its disk's. */
bool allocate_may_work(const struct file_pair *pair)
{
    uint64_t bytes;
    dev_t device = pair->destination_device;
    const char *file = "queue/write_zeroes_unmap_max_bytes", *of_disk = "../queue/write_zeroes_unmap_max_bytes";
    return sysfs_number(device, sysfs_has(device, "partition") ? of_disk : file, &bytes) && bytes;
}

bool allocate_written(const struct file_pair *pair, uint64_t at, uint64_t n)
{
    if (!allocate_may_work(pair))
        return false;
    return allocate_instead ? allocate_instead(pair->destination, at, n)
                            : KERNEL(SYS_fallocate, pair->destination, WRITE_ZEROES, at, n) == 0;
}
