#include "hardware.h"

#include "asking.h"
#include "devices.h"
#include "engines/array/device.h"
#include "lines.h"
#include "summary.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A disk that does not answer in this time is not waited for. */
#define PATIENCE_MS 3000

/* ---- what sysfs has of a disk ---- */

/* Up to `size` bytes of the file; -1 if it cannot be read. */
static ssize_t read_bytes(const char *path, void *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, size);
    if (fd >= 0)
        close(fd);
    return n;
}

static bool read_device(const char *disk, dev_t *device)
{
    char path[300], text[32];
    unsigned first, second;
    snprintf(path, sizeof path, "/sys/class/block/%s/dev", disk);
    ssize_t n = read_bytes(path, text, sizeof text - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    if (sscanf(text, "%u:%u", &first, &second) != 2)
        return false;
    *device = makedev(first, second);
    return true;
}

/* ---- whether it copies ---- */

struct answer {
    enum reason why;
    struct disk_pair pair;
};

struct question {
    const struct disk_engine *engine;
    dev_t device;
};

/* The descriptors end with the process that is made to ask. */
static void ask(const void *what, void *to)
{
    const struct question *question = what;
    struct answer *answer = to;
    answer->why = question->engine->open(&answer->pair, question->device, question->device);
}

static uint64_t at_once(const struct disk_pair *pair)
{
    uint64_t ranges = pair->range_bytes * pair->ranges;
    return ranges < pair->command_bytes ? ranges : pair->command_bytes;
}

/* Whether it copies, and how much at once, or why not; `unasked` is what is known without asking. */
static void print_disk(const char *disk, const char *name, const struct disk_engine *engine, const char *unasked)
{
    char most[16];
    struct answer answer = {.why = REASON_DISK_FORBIDDEN};
    struct question question = {.engine = engine};
    bool asked = read_device(disk, &question.device);
    if (asked && !ask_within(PATIENCE_MS, ask, &question, &answer, sizeof answer))
        lines_say(disk, "%s: did not answer within %d seconds", name, PATIENCE_MS / 1000);
    else if (answer.why == REASON_NONE)
        lines_say(disk, "%s: copies by itself; one command takes up to %s in %u %s", name,
                  bytes_for_people(at_once(&answer.pair), most), answer.pair.ranges,
                  answer.pair.ranges == 1 ? "range" : "ranges");
    else
        lines_say(disk, "%s: %s", name, answer.why == REASON_DISK_FORBIDDEN ? unasked : reason_words(answer.why));
}

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

/* The kernel keeps what the device answered when it was found: whoever may not ask it has that. */
static bool print_scsi(const char *address)
{
    uint8_t bytes[512];
    char disk[256], path[600];
    struct device_identity identity;
    snprintf(path, sizeof path, "/sys/class/scsi_device/%s/device/inquiry", address);
    ssize_t n = read_bytes(path, bytes, sizeof bytes);
    if (n < 0 || !scsi_parse_inquiry(bytes, (size_t)n, &identity))
        return false;
    find_disk(address, disk, sizeof disk);
    const char *name = *identity.name ? identity.name : "a SCSI disk";
    const char *unasked = identity.copies ? "takes part in copies (EXTENDED COPY, its bit 3PC is set); only root may "
                                            "ask it for more"
                                          : "cannot copy by itself (its bit 3PC is not set)";
    print_disk(*disk ? disk : address, name, &disk_scsi, unasked);
    return true;
}

/* ---- NVMe ---- */

/* Each namespace of a controller, or of the controllers that share it, is a disk: "nvme0n1". */
static bool print_namespace(const char *disk)
{
    char path[600], name[DEVICE_NAME] = "";
    uint8_t model[DEVICE_NAME];
    if (strncmp(disk, "nvme", 4) != 0)
        return false;
    snprintf(path, sizeof path, "/sys/class/block/%s/partition", disk);
    if (access(path, F_OK) == 0)
        return false;
    snprintf(path, sizeof path, "/sys/class/block/%s/device/model", disk);
    ssize_t n = read_bytes(path, model, sizeof model);
    device_append_name(name, model, n < 0 ? 0 : (size_t)n);
    print_disk(disk, *name ? name : "an NVMe drive", &disk_nvme, "only root may ask it whether it can copy");
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
    puts("\nNVMe namespaces");
    print_each("/sys/class/block", print_namespace, "none");
}
