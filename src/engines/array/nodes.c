#include "nodes.h"

#include "../../core/private.h"
#include "../../core/syscalls.h"
#include "text.h"

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

/* Where sysfs has a device: what the link of its number says. `kind` is "block" or "char". */
static bool place_of(const char *kind, dev_t device, char place[NODE_PATH])
{
    char link[TEXT_PATH] = "/sys/dev/";
    if (!text_append(link, kind) || !text_append(link, "/") || !text_append_number(link, major(device)) ||
        !text_append(link, ":") || !text_append_number(link, minor(device)))
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

static struct node node_in(const struct stat *st)
{
    return (struct node){st->st_rdev, st->st_ino};
}

bool node_same(const struct node *a, const struct node *b)
{
    return a->device == b->device && a->file == b->file;
}

/* Nothing is opened that is not the device meant: to open some devices does something. */
static enum reason find_node(const char *path, const char *place, struct node *node)
{
    struct stat st;
    char found[NODE_PATH];
    long error = KERNEL(SYS_newfstatat, AT_FDCWD, path, &st, 0);
    if (error < 0)
        return reason_of(error);
    if (!S_ISCHR(st.st_mode) || !place_of("char", st.st_rdev, found) || strcmp(found, place) != 0)
        return REASON_DISK_FORBIDDEN;
    *node = node_in(&st);
    return REASON_NONE;
}

enum reason node_open(const char *path, const char *place, int *fd, struct node *node)
{
    enum reason why = find_node(path, place, node);
    if (why != REASON_NONE)
        return why;
    *fd = private_descriptor(KERNEL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (*fd < 0)
        return reason_of(*fd);
    if (node_is(*fd, node))
        return REASON_NONE;
    KERNEL(SYS_close, *fd);
    return REASON_DISK_FAILED;
}

bool node_is(int fd, const struct node *node)
{
    struct stat st;
    if (KERNEL(SYS_fstat, fd, &st) < 0 || !S_ISCHR(st.st_mode))
        return false;
    const struct node found = node_in(&st);
    return node_same(&found, node);
}
