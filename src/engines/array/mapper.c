#include "mapper.h"

#include "../../core/syscalls.h"
#include "text.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define SECTOR ((uint64_t)512)
#define CONTROL "/dev/mapper/control"
/* A miscellaneous device (Documentation/admin-guide/devices.txt). */
#define CONTROL_MAJOR 10

struct question {
    struct dm_ioctl head;
    char data[2048];
};

/* As the kernel packs a device number into 64 bits (huge_encode_dev() in linux/kdev_t.h). */
static uint64_t packed(dev_t device)
{
    return (minor(device) & 0xffU) | major(device) << 8 | (minor(device) & ~0xffU) << 12;
}

/* A linear target's words: "MAJOR:MINOR SECTOR". */
static bool parse_words(const char *words, struct mapper_target *target)
{
    uint64_t first, second, sector;
    if (!text_number(&words, &first) || *words++ != ':' || !text_number(&words, &second) || *words++ != ' ' ||
        !text_number(&words, &sector) || *words != '\0' || sector > INT64_MAX / SECTOR)
        return false;
    target->device = makedev((unsigned)first, (unsigned)second);
    target->offset = sector * SECTOR;
    return true;
}

int mapper_parse(const char *data, uint32_t size, uint32_t count, struct mapper_target targets[MAPPER_TARGETS])
{
    uint32_t place = 0;
    if (count > MAPPER_TARGETS)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        struct dm_target_spec spec;
        if (place > size || size - place <= sizeof spec)
            return -1;
        memcpy(&spec, data + place, sizeof spec);
        const char *words = data + place + sizeof spec;
        if (!memchr(words, '\0', size - place - sizeof spec) ||
            memcmp(spec.target_type, "linear", sizeof "linear") != 0 || spec.sector_start > INT64_MAX / SECTOR ||
            spec.length > INT64_MAX / SECTOR || !parse_words(words, &targets[i]))
            return -1;
        targets[i].at = spec.sector_start * SECTOR;
        targets[i].n = spec.length * SECTOR;
        /* From the beginning of the data, as DM_TABLE_STATUS has it. */
        place = spec.next;
    }
    return (int)count;
}

/* Nothing is opened that is not what it is called. */
static long open_control(void)
{
    struct stat st;
    if (KERNEL(SYS_newfstatat, AT_FDCWD, CONTROL, &st, 0) < 0 || !S_ISCHR(st.st_mode) ||
        major(st.st_rdev) != CONTROL_MAJOR)
        return -1;
    return KERNEL(SYS_openat, AT_FDCWD, CONTROL, O_RDWR | O_CLOEXEC);
}

int (*mapper_instead)(dev_t device, struct mapper_target targets[MAPPER_TARGETS]);

int mapper_table(dev_t device, struct mapper_target targets[MAPPER_TARGETS])
{
    struct question q;
    if (mapper_instead)
        return mapper_instead(device, targets);
    memset(&q.head, 0, sizeof q.head);
    q.head.version[0] = DM_VERSION_MAJOR;
    q.head.data_size = sizeof q;
    q.head.data_start = sizeof q.head;
    q.head.flags = DM_STATUS_TABLE_FLAG;
    q.head.dev = packed(device);
    long control = open_control();
    if (control < 0)
        return -1;
    long result = KERNEL(SYS_ioctl, control, DM_TABLE_STATUS, &q);
    KERNEL(SYS_close, control);
    uint32_t unfit = DM_BUFFER_FULL_FLAG | DM_SUSPEND_FLAG | DM_INACTIVE_PRESENT_FLAG;
    if (result < 0 || q.head.flags & unfit || q.head.data_start > sizeof q || q.head.data_size > sizeof q ||
        q.head.data_size < q.head.data_start)
        return -1;
    const char *data = (const char *)&q + q.head.data_start;
    return mapper_parse(data, q.head.data_size - q.head.data_start, q.head.target_count, targets);
}
