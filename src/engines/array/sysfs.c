#include "sysfs.h"

#include "../../core/syscalls.h"
#include "text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

const char *sysfs_devices = "/sys/dev/block/";

static bool path_of(dev_t device, const char *file, char path[TEXT_PATH])
{
    path[0] = '\0';
    return text_append(path, sysfs_devices) && text_append_number(path, major(device)) && text_append(path, ":") &&
           text_append_number(path, minor(device)) && text_append(path, "/") && text_append(path, file);
}

bool sysfs_number(dev_t device, const char *file, uint64_t *number)
{
    char path[TEXT_PATH], text[TEXT_FILE];
    const char *at = text;
    return path_of(device, file, path) && text_read(path, text) && text_number(&at, number) && *at == '\n';
}

bool sysfs_device(dev_t device, const char *file, dev_t *found)
{
    char path[TEXT_PATH], text[TEXT_FILE];
    const char *at = text;
    uint64_t first, second;
    if (!path_of(device, file, path) || !text_read(path, text) || !text_number(&at, &first) || *at++ != ':' ||
        !text_number(&at, &second) || *at != '\n')
        return false;
    *found = makedev((unsigned)first, (unsigned)second);
    return true;
}

bool sysfs_has(dev_t device, const char *file)
{
    char path[TEXT_PATH];
    return path_of(device, file, path) && KERNEL(SYS_faccessat, AT_FDCWD, path, 0) == 0;
}

bool sysfs_leads_to(dev_t device, const char *link, const char *name)
{
    char path[TEXT_PATH], target[TEXT_PATH];
    if (!path_of(device, link, path))
        return false;
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, path, target, sizeof target);
    if (n <= 0 || n >= TEXT_PATH)
        return false;
    target[n] = '\0';
    const char *last = strrchr(target, '/');
    return strcmp(last ? last + 1 : target, name) == 0;
}
