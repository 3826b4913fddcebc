#include "process.h"

#include "core/settings.h"
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/userfaultfd.h has them since Linux 5.11 and 6.1. */
#define USER_MODE_ONLY 1
#define NEW_FROM_DEVICE _IO(0xAA, 0x00)

/* "yes", or the error. Closes what was opened. */
static const char *outcome(long fd)
{
    if (fd < 0)
        return strerror(errno);
    close((int)fd);
    return "yes";
}

static const char *by_device(void)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return strerror(errno);
    const char *said = outcome(ioctl(device, NEW_FROM_DEVICE, O_CLOEXEC));
    close(device);
    return said;
}

static void print_userfaultfd(void)
{
    char sysctl[16] = "not there";
    FILE *file = fopen("/proc/sys/vm/unprivileged_userfaultfd", "re");
    if (file && fgets(sysctl, sizeof sysctl, file))
        sysctl[strcspn(sysctl, "\n")] = '\0';
    if (file)
        fclose(file);
    lines_say("userfaultfd",
              "by system call: %s; for the process's own faults only: %s; by /dev/userfaultfd: %s; "
              "vm.unprivileged_userfaultfd: %s. This version does not use it.",
              outcome(syscall(SYS_userfaultfd, O_CLOEXEC)),
              outcome(syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY)), by_device(), sysctl);
}

/* A file without a name for temporary files, or -1. */
static int temporary_file(const char *directory)
{
    char path[4096];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || snprintf(path, sizeof path, "%s/offload.XXXXXX", directory) >= (int)sizeof path)
        return fd;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static void print_leases(void)
{
    const char *set = getenv("TMPDIR");
    const char *directory = set && *set ? set : "/tmp";
    int fd = temporary_file(directory);
    if (fd < 0)
        lines_say("leases", "not known: no file can be made for temporary files (%s).", strerror(errno));
    else if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
        lines_say("leases", "cannot be taken on temporary files (%s). The engine array needs them.", strerror(errno));
    else
        lines_say("leases", "can be taken on temporary files. The engine array needs them.");
    if (fd >= 0)
        close(fd);
}

static void print_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        lines_say("limits", "files may grow to %llu bytes (ulimit -f), and what would come beyond is not offloaded.",
                  (unsigned long long)limit.rlim_cur);
}

void process_print(void)
{
    bool proc = access("/proc/self/maps", R_OK) == 0;
    lines_say("user", "%u", (unsigned)geteuid());
    lines_say("/proc", proc ? "is there." : "is not there: mount it, for names in reports and for this command.");
    lines_say("seccomp", settings.filtered
                             ? "a filter is in force: sendfile with an offset of its own is not offloaded."
                             : "no filter.");
    print_limits();
    print_userfaultfd();
    print_leases();
}
