#include "offsets.h"

#include "settings.h"
#include "syscalls.h"

#include <sys/uio.h>
#include <unistd.h>

bool offsets_get(const off_t *pointer, off_t *offset)
{
    if (settings.filtered)
        return false;
    struct iovec here = {offset, sizeof *offset}, there = {(void *)pointer, sizeof *offset};
    return KERNEL(SYS_process_vm_readv, KERNEL(SYS_getpid), &here, 1, &there, 1, 0) == sizeof *offset;
}

bool offsets_set(off_t *pointer, off_t offset)
{
    struct iovec here = {&offset, sizeof offset}, there = {pointer, sizeof offset};
    return KERNEL(SYS_process_vm_writev, KERNEL(SYS_getpid), &here, 1, &there, 1, 0) == sizeof offset;
}

off_t offsets_begin(int fd, const off_t *pointer)
{
    off_t offset = -1;
    if (!pointer)
        return KERNEL(SYS_lseek, fd, 0, SEEK_CUR);
    return offsets_get(pointer, &offset) ? offset : -1;
}

bool offsets_go_on(int fd, off_t *pointer, off_t offset)
{
    if (pointer)
        return offsets_set(pointer, offset);
    return KERNEL(SYS_lseek, fd, offset, SEEK_SET) == offset;
}

bool offsets_step_on(int fd, off_t at, size_t n)
{
    long now = KERNEL(SYS_lseek, fd, n, SEEK_CUR);
    if (now >= 0 && now != at + (off_t)n)
        KERNEL(SYS_lseek, fd, -(off_t)n, SEEK_CUR);
    return now == at + (off_t)n;
}
