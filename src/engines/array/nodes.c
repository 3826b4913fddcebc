#include "nodes.h"

#include "../../core/private.h"
#include "../../core/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

bool node_append(char path[NODE_PATH], const char *text)
{
    size_t length = strlen(path), n = strlen(text);
    if (length + n >= NODE_PATH)
        return false;
    memcpy(path + length, text, n + 1);
    return true;
}

static bool append_number(char path[NODE_PATH], unsigned number)
{
    char digits[12];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return node_append(path, at);
}

/* Where sysfs has a device: what the link of its number says. `kind` is "block" or "char". */
static bool place_of(const char *kind, dev_t device, char place[NODE_PATH])
{
    char link[NODE_PATH] = "/sys/dev/";
    if (!node_append(link, kind) || !node_append(link, "/") || !append_number(link, major(device)) ||
        !node_append(link, ":") || !append_number(link, minor(device)))
        return false;
    long n = KERNEL(SYS_readlinkat, AT_FDCWD, link, place, NODE_PATH);
    if (n <= 0 || n >= NODE_PATH)
        return false;
    place[n] = '\0';
    return true;
}

bool node_of_disk(dev_t disk, char path[NODE_PATH])
{
    return place_of("block", disk, path);
}

static enum reason reason_of(long error)
{
    bool hidden = error == -ENOENT || error == -EACCES || error == -EPERM || error == -ENOTDIR;
    return hidden ? REASON_DISK_FORBIDDEN : REASON_DISK_FAILED;
}

/* Nothing is opened that is not the device meant: to open some devices does something. */
static enum reason find_node(const char *path, const char *place, dev_t *node)
{
    struct stat st;
    char found[NODE_PATH];
    long error = KERNEL(SYS_newfstatat, AT_FDCWD, path, &st, 0);
    if (error < 0)
        return reason_of(error);
    if (!S_ISCHR(st.st_mode) || !place_of("char", st.st_rdev, found) || strcmp(found, place) != 0)
        return REASON_DISK_FORBIDDEN;
    *node = st.st_rdev;
    return REASON_NONE;
}

enum reason node_open(const char *path, const char *place, int *fd, dev_t *node)
{
    enum reason why = find_node(path, place, node);
    if (why != REASON_NONE)
        return why;
    *fd = private_descriptor(KERNEL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (*fd < 0)
        return reason_of(*fd);
    if (node_is(*fd, *node))
        return REASON_NONE;
    KERNEL(SYS_close, *fd);
    return REASON_DISK_FAILED;
}

bool node_is(int fd, dev_t node)
{
    struct stat st;
    return KERNEL(SYS_fstat, fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == node;
}
