/* Each line of the table of quirks, asked before, at and after its bound. */
#include "engines/quirks.h"

#include <criterion/criterion.h>
#include <linux/version.h>

#define NEWEST KERNEL_VERSION(255, 255, 255)

struct bound {
    const char *engine;
    const char *name;
    uint64_t fs_type;
    unsigned since; /* 0: never */
    enum reason why;
};

static const struct bound bounds[] = {
    {"clone", "XFS", 0x58465342, KERNEL_VERSION(4, 20, 0), REASON_KERNEL_TOO_OLD},
    {"clone", "Btrfs", 0x9123683e, KERNEL_VERSION(4, 20, 0), REASON_KERNEL_TOO_OLD},
    {"clone", "overlay", 0x794c7630, KERNEL_VERSION(4, 20, 0), REASON_KERNEL_TOO_OLD},
    {"clone", "ext4", 0xef53, 0, REASON_FS_CANNOT},
    {"clone", "tmpfs", 0x01021994, 0, REASON_FS_CANNOT},
    {"clone", "ramfs", 0x858458f6, 0, REASON_FS_CANNOT},
    {"clone", "F2FS", 0xf2f52010, 0, REASON_FS_CANNOT},
    {"clone", "FAT", 0x4d44, 0, REASON_FS_CANNOT},
    {"clone", "FUSE", 0x65735546, 0, REASON_FS_CANNOT},
    {"clone", "Ceph", 0x00c36400, 0, REASON_FS_CANNOT},
    {"clone", "ZFS", 0x2fc12fc1, 0, REASON_FS_UNKNOWN},
    {"clone", "bcachefs", 0xca451a4e, 0, REASON_FS_UNKNOWN},
    {"clone", "NFS", 0x6969, 0, REASON_ON_SERVER},
    {"clone", "SMB 2 and later", 0xfe534d42, 0, REASON_ON_SERVER},
    {"clone", "SMB 1", 0xff534d42, 0, REASON_ON_SERVER},
    {"server", "NFS", 0x6969, KERNEL_VERSION(6, 1, 53), REASON_KERNEL_TOO_OLD},
    {"server", "SMB 2 and later", 0xfe534d42, KERNEL_VERSION(6, 11, 0), REASON_KERNEL_TOO_OLD},
    {"server", "SMB 1", 0xff534d42, KERNEL_VERSION(6, 11, 0), REASON_KERNEL_TOO_OLD},
    {"kernel", "XFS", 0x58465342, KERNEL_VERSION(5, 3, 0), REASON_KERNEL_TOO_OLD},
    {"kernel", "Btrfs", 0x9123683e, KERNEL_VERSION(5, 3, 0), REASON_KERNEL_TOO_OLD},
};

static void expect(const struct bound *b, unsigned kernel, enum reason expected)
{
    enum reason is = quirk_refuses(b->engine, b->fs_type, kernel);
    cr_expect_eq(is, expected, "%s on %s, kernel %u.%u.%u: %s", b->engine, b->name, kernel >> 16, kernel >> 8 & 255,
                 kernel & 255, reason_words(is));
}

Test(quirks, bounds_are_where_the_errors_ended)
{
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (!bounds[i].since)
            continue;
        expect(&bounds[i], 0, bounds[i].why);
        expect(&bounds[i], KERNEL_VERSION(3, 10, 0), bounds[i].why);
        /* The last release of the series before, and its stable updates. */
        expect(&bounds[i], bounds[i].since - 1, bounds[i].why);
        expect(&bounds[i], bounds[i].since, REASON_NONE);
        expect(&bounds[i], bounds[i].since + 1, REASON_NONE);
        expect(&bounds[i], NEWEST, REASON_NONE);
    }
}

Test(quirks, never_means_no_kernel_at_all)
{
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (bounds[i].since)
            continue;
        expect(&bounds[i], 0, bounds[i].why);
        expect(&bounds[i], KERNEL_VERSION(6, 18, 0), bounds[i].why);
        expect(&bounds[i], NEWEST, bounds[i].why);
        expect(&bounds[i], UINT32_MAX, bounds[i].why);
    }
}

Test(quirks, unknown_is_refused)
{
    static const uint64_t unknown[] = {0, 1, 0x58465343, UINT32_MAX, UINT64_MAX, 0x15834653420000};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        cr_expect_eq(quirk_refuses("clone", unknown[i], NEWEST), REASON_FS_UNKNOWN);
        cr_expect_eq(quirk_refuses("kernel", unknown[i], NEWEST), REASON_FS_UNKNOWN);
    }
    cr_expect_eq(quirk_refuses("teleport", 0x58465342, NEWEST), REASON_FS_UNKNOWN);
    cr_expect_eq(quirk_refuses("", 0x58465342, NEWEST), REASON_FS_UNKNOWN);
}

Test(quirks, one_engines_lines_are_not_another_ones)
{
    /* Overlay has a line for clones, and none for copies by the kernel. */
    cr_expect_eq(quirk_refuses("clone", 0x794c7630, NEWEST), REASON_NONE);
    cr_expect_eq(quirk_refuses("kernel", 0x794c7630, NEWEST), REASON_FS_UNKNOWN);
    /* Between the bounds of the two engines. */
    cr_expect_eq(quirk_refuses("clone", 0x58465342, KERNEL_VERSION(5, 2, 0)), REASON_NONE);
    cr_expect_eq(quirk_refuses("kernel", 0x58465342, KERNEL_VERSION(5, 2, 0)), REASON_KERNEL_TOO_OLD);
}
