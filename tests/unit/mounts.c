/* Reading /proc/self/mountinfo, as it is and as it should not be. */
#include "command/mounts.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct mounts parsed(const char *text)
{
    struct mounts mounts;
    char *copy = strdup(text);
    cr_assert_not_null(copy);
    cr_assert(mounts_parse(copy, &mounts));
    return mounts;
}

static const char usual[] = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
                            "28 27 0:40 / /data rw shared:7 master:2 - xfs /dev/vdb rw,noquota\n"
                            "29 27 0:41 /sub /with\\040space\\134and\\012line rw - btrfs /dev/vdc rw,subvol=/sub\n"
                            "30 28 0:42 / /data/nfs rw,nosuid - nfs4 host:/x rw,vers=4.2,addr=10.0.0.1,nosharecache\n";

Test(mounts, each_field_has_its_place)
{
    struct mounts m = parsed(usual);
    cr_assert_eq(m.count, 4);
    cr_expect_eq(m.list[1].id, 28);
    cr_expect_eq(m.list[1].minor, 40);
    cr_expect_eq(m.list[0].major, 254);
    cr_expect_str_eq(m.list[1].point, "/data");
    cr_expect_str_eq(m.list[1].type, "xfs", "behind optional fields");
    cr_expect_str_eq(m.list[1].device, "/dev/vdb");
    cr_expect_str_eq(m.list[2].root, "/sub");
    cr_expect_str_eq(m.list[2].point, "/with space\\and\nline");
    cr_expect_str_eq(m.list[3].options, "rw,vers=4.2,addr=10.0.0.1,nosharecache");
    mounts_free(&m);
}

Test(mounts, what_is_no_line_is_left_out)
{
    struct mounts m = parsed("\n\n27\n27 1\n27 1 x / / rw - ext4 /dev/vda rw\n27 1 1:2 / / rw ext4 a b\n"
                             "27 1 1:2 / / rw -\n27 1 1:2 / / rw - ext4\n a 1 1:2 / / rw - ext4 x rw\n");
    cr_expect_eq(m.count, 0);
    mounts_free(&m);
    m = parsed("");
    cr_expect_eq(m.count, 0);
    mounts_free(&m);
    m = parsed("27 1 1:2 / / rw - ext4 /dev/x rw");
    cr_expect_eq(m.count, 1, "without a last newline");
    mounts_free(&m);
}

Test(mounts, a_backslash_that_is_no_number_stays)
{
    struct mounts m = parsed("1 1 1:2 / /a\\0b\\9999\\ rw - ext4 x rw\n2 1 1:2 / /a\\04 rw - ext4 x rw\n");
    cr_assert_eq(m.count, 2);
    cr_expect_str_eq(m.list[0].point, "/a\\0b\\9999\\");
    cr_expect_str_eq(m.list[1].point, "/a\\04");
    mounts_free(&m);
}

Test(mounts, a_path_lies_on_the_deepest_mount)
{
    struct mounts m = parsed(usual);
    cr_expect_eq(mounts_at(&m, "/"), &m.list[0]);
    cr_expect_eq(mounts_at(&m, "/database"), &m.list[0], "a name that only begins alike");
    cr_expect_eq(mounts_at(&m, "/data"), &m.list[1]);
    cr_expect_eq(mounts_at(&m, "/data/x/y"), &m.list[1]);
    cr_expect_eq(mounts_at(&m, "/data/nfs/z"), &m.list[3]);
    mounts_free(&m);
    m = parsed("1 0 1:2 / /a rw - ext4 x rw\n2 0 1:3 / /a rw - xfs y rw\n");
    cr_expect_eq(mounts_at(&m, "/a/b"), &m.list[1], "the later one hides the earlier");
    cr_expect_null(mounts_at(&m, "/b"));
    mounts_free(&m);
}

Test(mounts, options_by_name)
{
    char value[8];
    struct mounts m = parsed(usual);
    cr_expect(mount_option(&m.list[3], "vers", value, sizeof value));
    cr_expect_str_eq(value, "4.2");
    cr_expect(mount_option(&m.list[3], "nosharecache", value, sizeof value));
    cr_expect_str_eq(value, "");
    cr_expect_not(mount_option(&m.list[3], "ver", value, sizeof value));
    cr_expect_not(mount_option(&m.list[3], "share", value, sizeof value));
    cr_expect_not(mount_option(&m.list[3], "addr", value, sizeof value), "longer than there is room for");
    mounts_free(&m);
}

Test(mounts, of_this_process)
{
    struct mounts m;
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert(mounts_read(&m));
    const struct mount *found = mounts_of(&m, fd);
    cr_assert_not_null(found);
    cr_expect_str_eq(found->type, "proc");
    cr_expect_null(mounts_of(&m, -1));
    mounts_free(&m);
    close(fd);
}
