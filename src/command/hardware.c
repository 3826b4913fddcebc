#include "hardware.h"

#include "asking.h"
#include "devices.h"
#include "lines.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A controller that does not answer Identify in this time is not waited for. */
#define PATIENCE_MS 3000

#define NVME_IDENTIFY 0x06
#define NVME_IDENTIFY_CONTROLLER 1

/* ---- SCSI ---- */

/* The name of the disk that belongs to a directory of /sys/class/scsi_device: "sda". "" if it has none. */
static void find_disk(const char *address, char *name, size_t size)
{
    char path[600];
    snprintf(path, sizeof path, "/sys/class/scsi_device/%s/device/block", address);
    DIR *directory = opendir(path);
    *name = '\0';
    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            snprintf(name, size, "%s", entry->d_name);
    if (directory)
        closedir(directory);
}

/* The kernel keeps what the device answered when it was found: the device is not asked. */
static ssize_t read_inquiry(const char *address, uint8_t *bytes, size_t size)
{
    char path[600];
    snprintf(path, sizeof path, "/sys/class/scsi_device/%s/device/inquiry", address);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, bytes, size);
    close(fd);
    return n;
}

static bool print_scsi(const char *address)
{
    uint8_t bytes[512];
    char disk[256];
    struct device_identity identity;
    ssize_t n = read_inquiry(address, bytes, sizeof bytes);
    if (n < 0 || !scsi_parse_inquiry(bytes, (size_t)n, &identity))
        return false;
    find_disk(address, disk, sizeof disk);
    lines_say(*disk ? disk : address, "%s: %s", *identity.name ? identity.name : "a SCSI disk",
              identity.copies ? "takes part in copies by the array (EXTENDED COPY, its bit 3PC is set); "
                                "this version has no engine for that"
                              : "cannot copy by itself (its bit 3PC is not set)");
    return true;
}

/* ---- NVMe ---- */

struct nvme_answer {
    int error;
    uint8_t bytes[NVME_IDENTIFY_BYTES];
};

static void ask_controller(const void *what, void *to)
{
    struct nvme_answer *answer = to;
    int fd = open(what, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct nvme_admin_cmd command = {
        .opcode = NVME_IDENTIFY,
        .addr = (uintptr_t)answer->bytes,
        .data_len = NVME_IDENTIFY_BYTES,
        .cdw10 = NVME_IDENTIFY_CONTROLLER,
        .timeout_ms = PATIENCE_MS,
    };
    int status = fd < 0 ? -1 : ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
    /* Above 0 it is the drive's own status. */
    answer->error = status < 0 ? errno : status > 0 ? EIO : 0;
    if (fd >= 0)
        close(fd);
}

static bool print_nvme(const char *controller)
{
    char path[300];
    struct nvme_answer answer = {0};
    struct device_identity identity;
    snprintf(path, sizeof path, "/dev/%s", controller);
    if (!ask_within(PATIENCE_MS, ask_controller, path, &answer, sizeof answer))
        lines_say(controller, "did not answer within %d seconds", PATIENCE_MS / 1000);
    else if (answer.error == EACCES || answer.error == EPERM)
        lines_say(controller, "only root may ask it whether it can copy");
    else if (answer.error || !nvme_parse_controller(answer.bytes, sizeof answer.bytes, &identity))
        lines_say(controller, "could not be asked: %s", strerror(answer.error));
    else
        lines_say(controller, "%s: %s", *identity.name ? identity.name : "an NVMe drive",
                  identity.copies ? "has the command Copy; this version has no engine for it"
                                  : "does not have the command Copy");
    return true;
}

/* ---- both ---- */

/* Prints each entry of a directory of sysfs, or what is said if there is none. */
static void print_each(const char *path, bool (*print)(const char *name), const char *none)
{
    bool any = false;
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            any |= print(entry->d_name);
    if (directory)
        closedir(directory);
    if (!any)
        lines_say("", "%s", none);
}

void hardware_print(void)
{
    puts("\nSCSI disks");
    print_each("/sys/class/scsi_device", print_scsi, "none");
    puts("\nNVMe controllers");
    print_each("/sys/class/nvme", print_nvme, "none");
}
