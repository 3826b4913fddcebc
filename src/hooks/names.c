/* What gives files other names, or takes them away: the file's time of change moves with them. */
#define FAMILY_NAMES
#include "hook.h"

EXPORT int rename(const char *from, const char *to)
{
    copy_settle_path(AT_FDCWD, from, AT_SYMLINK_NOFOLLOW);
    copy_settle_path(AT_FDCWD, to, AT_SYMLINK_NOFOLLOW);
    return original_rename(from, to);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    copy_settle_path(from_dir, from, AT_SYMLINK_NOFOLLOW);
    copy_settle_path(to_dir, to, AT_SYMLINK_NOFOLLOW);
    return original_renameat(from_dir, from, to_dir, to);
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    copy_settle_path(from_dir, from, AT_SYMLINK_NOFOLLOW);
    copy_settle_path(to_dir, to, AT_SYMLINK_NOFOLLOW);
    return original_renameat2(from_dir, from, to_dir, to, flags);
}

EXPORT int link(const char *from, const char *to)
{
    copy_settle_path(AT_FDCWD, from, AT_SYMLINK_NOFOLLOW);
    return original_link(from, to);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int nofollow = flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
    copy_settle_path(from_dir, from, (flags & AT_EMPTY_PATH) | nofollow);
    return original_linkat(from_dir, from, to_dir, to, flags);
}

EXPORT int unlink(const char *path)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_unlink(path);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
    copy_settle_path(dir, path, AT_SYMLINK_NOFOLLOW);
    return original_unlinkat(dir, path, flags);
}

EXPORT int remove(const char *path)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_remove(path);
}
