#include "process.h"

#include "core/session.h"
#include "core/settings.h"
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/userfaultfd.h has it since Linux 6.1. */
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

/* A setting of the kernel's, in a line of its own, or "not there". */
static const char *sysctl(const char *path, char value[16])
{
    FILE *file = fopen(path, "re");
    if (!file || !fgets(value, 16, file))
        strcpy(value, "not there");
    value[strcspn(value, "\n")] = '\0';
    if (file)
        fclose(file);
    return value;
}

/* What lazy buffers need (decision 025). */
static void print_userfaultfd(void)
{
    char unprivileged[16], scope[16];
    lines_say("userfaultfd", "by system call: %s; by /dev/userfaultfd: %s; vm.unprivileged_userfaultfd: %s.",
              outcome(syscall(SYS_userfaultfd, O_CLOEXEC)), by_device(),
              sysctl("/proc/sys/vm/unprivileged_userfaultfd", unprivileged));
    lines_say("",
              "Lazy buffers (OFFLOAD_BUFFERS=lazy) need one of the two, Linux 6.11 and, but for root, a "
              "kernel.yama.ptrace_scope of 0, or none (here: %s).",
              sysctl("/proc/sys/kernel/yama/ptrace_scope", scope));
    if (session_kernel() < KERNEL_VERSION(6, 11, 0))
        lines_say("", "This kernel is older.");
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
