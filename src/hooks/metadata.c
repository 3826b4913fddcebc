/* What looks at a file's size and times, or sets its times, rights and attributes. */
#define FAMILY_METADATA
#include "hook.h"

#include <sys/xattr.h>

EXPORT int stat(const char *path, struct stat *st)
{
    copy_settle_path(AT_FDCWD, path, 0);
    return original_stat(path, st);
}

EXPORT int lstat(const char *path, struct stat *st)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_lstat(path, st);
}

EXPORT int fstat(int fd, struct stat *st)
{
    copy_look(fd);
    return original_fstat(fd, st);
}

EXPORT int fstatat(int dir, const char *path, struct stat *st, int flags)
{
    copy_settle_path(dir, path, flags);
    return original_fstatat(dir, path, st, flags);
}

EXPORT int statx(int dir, const char *path, int flags, unsigned mask, struct statx *stx)
{
    copy_settle_path(dir, path, flags);
    return original_statx(dir, path, flags, mask, stx);
}

int __xstat(int version, const char *path, struct stat *st);
EXPORT int __xstat(int version, const char *path, struct stat *st)
{
    copy_settle_path(AT_FDCWD, path, 0);
    return original___xstat(version, path, st);
}

int __lxstat(int version, const char *path, struct stat *st);
EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original___lxstat(version, path, st);
}

int __fxstat(int version, int fd, struct stat *st);
EXPORT int __fxstat(int version, int fd, struct stat *st)
{
    copy_look(fd);
    return original___fxstat(version, fd, st);
}

int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
EXPORT int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags)
{
    copy_settle_path(dir, path, flags);
    return original___fxstatat(version, dir, path, st, flags);
}

EXPORT int truncate(const char *path, off_t size)
{
    copy_changing_path(path);
    return original_truncate(path, size);
}

EXPORT int utime(const char *path, const struct utimbuf *times)
{
    copy_setting_times(AT_FDCWD, path, 0);
    return original_utime(path, times);
}

EXPORT int utimes(const char *path, const struct timeval times[2])
{
    copy_setting_times(AT_FDCWD, path, 0);
    return original_utimes(path, times);
}

EXPORT int lutimes(const char *path, const struct timeval times[2])
{
    copy_setting_times(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_lutimes(path, times);
}

EXPORT int futimes(int fd, const struct timeval times[2])
{
    copy_setting_times(fd, NULL, 0);
    return original_futimes(fd, times);
}

EXPORT int futimesat(int dir, const char *path, const struct timeval times[2])
{
    copy_setting_times(dir, path, 0);
    return original_futimesat(dir, path, times);
}

EXPORT int futimens(int fd, const struct timespec times[2])
{
    copy_setting_times(fd, NULL, 0);
    return original_futimens(fd, times);
}

EXPORT int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
    copy_setting_times(dir, path, flags);
    return original_utimensat(dir, path, times, flags);
}

EXPORT int chmod(const char *path, mode_t mode)
{
    copy_settle_path(AT_FDCWD, path, 0);
    return original_chmod(path, mode);
}

EXPORT int lchmod(const char *path, mode_t mode)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_lchmod(path, mode);
}

EXPORT int fchmod(int fd, mode_t mode)
{
    copy_settle(fd);
    return original_fchmod(fd, mode);
}

EXPORT int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
    copy_settle_path(dir, path, flags);
    return original_fchmodat(dir, path, mode, flags);
}

EXPORT int chown(const char *path, uid_t user, gid_t group)
{
    copy_settle_path(AT_FDCWD, path, 0);
    return original_chown(path, user, group);
}

EXPORT int lchown(const char *path, uid_t user, gid_t group)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_lchown(path, user, group);
}

EXPORT int fchown(int fd, uid_t user, gid_t group)
{
    copy_settle(fd);
    return original_fchown(fd, user, group);
}

EXPORT int fchownat(int dir, const char *path, uid_t user, gid_t group, int flags)
{
    copy_settle_path(dir, path, flags);
    return original_fchownat(dir, path, user, group, flags);
}

EXPORT int setxattr(const char *path, const char *name, const void *value, size_t n, int flags)
{
    copy_settle_path(AT_FDCWD, path, 0);
    return original_setxattr(path, name, value, n, flags);
}

EXPORT int lsetxattr(const char *path, const char *name, const void *value, size_t n, int flags)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_lsetxattr(path, name, value, n, flags);
}

EXPORT int fsetxattr(int fd, const char *name, const void *value, size_t n, int flags)
{
    copy_settle(fd);
    return original_fsetxattr(fd, name, value, n, flags);
}

EXPORT int removexattr(const char *path, const char *name)
{
    copy_settle_path(AT_FDCWD, path, 0);
    return original_removexattr(path, name);
}

EXPORT int lremovexattr(const char *path, const char *name)
{
    copy_settle_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    return original_lremovexattr(path, name);
}

EXPORT int fremovexattr(int fd, const char *name)
{
    copy_settle(fd);
    return original_fremovexattr(fd, name);
}
