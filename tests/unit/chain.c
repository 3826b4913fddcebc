/* Which engine is asked, in which order, and whose reason is told. */
#include "engines/engine.h"

#include <criterion/criterion.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <string.h>

#define XFS 0x58465342
#define CLONE 1U
#define ARRAY 2U
#define SERVER 4U
#define BY_KERNEL 8U

static struct file_pair pair_on(uint64_t fs)
{
    return (struct file_pair){
        .source = -1,
        .destination = -1,
        .source_device = 7,
        .destination_device = 7,
        .source_fs = fs,
        .destination_fs = fs,
        .block = 4096,
        .kernel = KERNEL_VERSION(6, 1, 0),
    };
}

static void expect(struct file_pair pair, unsigned allowed, const struct engine *engine, enum reason why)
{
    enum reason told = REASONS;
    const struct engine *chosen = engine_choose(&pair, allowed, &told);
    cr_expect_eq(chosen, engine, "chosen: %s", chosen ? chosen->name : "none");
    if (!engine)
        cr_expect_eq(told, why, "told: %s", told < REASONS ? reason_words(told) : "nothing");
}

Test(chain, clone_is_asked_before_the_array_the_server_and_the_kernel)
{
    const struct engine *const *list = engine_list();
    cr_assert_eq(list[0], &engine_clone);
    cr_assert_eq(list[1], &engine_array);
    cr_assert_eq(list[2], &engine_server);
    cr_assert_eq(list[3], &engine_kernel);
    cr_assert_null(list[4]);
    cr_expect_str_eq(list[0]->name, "clone");
    cr_expect_str_eq(list[1]->name, "array");
    cr_expect_str_eq(list[2]->name, "server");
    cr_expect_str_eq(list[3]->name, "kernel");
    expect(pair_on(XFS), ~0U, &engine_clone, REASON_NONE);
}

Test(chain, only_allowed_engines_are_asked)
{
    expect(pair_on(XFS), CLONE, &engine_clone, REASON_NONE);
    expect(pair_on(XFS), BY_KERNEL, &engine_kernel, REASON_NONE);
    expect(pair_on(XFS), 0, NULL, REASON_NO_ENGINE);
    /* Bits beyond the list are nobody's. */
    expect(pair_on(XFS), ~(CLONE | ARRAY | SERVER | BY_KERNEL), NULL, REASON_NO_ENGINE);
}

Test(chain, the_first_refusal_is_told)
{
    /* Both refuse, each with its own reason. */
    expect(pair_on(EXT4_SUPER_MAGIC), ~0U, NULL, REASON_FS_CANNOT);
    /* One that was not asked gives no reason. */
    expect(pair_on(EXT4_SUPER_MAGIC), BY_KERNEL, NULL, REASON_FS_UNKNOWN);
    struct file_pair old = pair_on(XFS);
    old.kernel = KERNEL_VERSION(4, 19, 255);
    expect(old, ~0U, NULL, REASON_KERNEL_TOO_OLD);
}

Test(chain, a_compared_buffer_leaves_the_kernel_nothing_to_win)
{
    struct file_pair pair = pair_on(XFS);
    pair.compares = true;
    expect(pair, BY_KERNEL, NULL, REASON_SLOWER);
    expect(pair, ~0U, &engine_clone, REASON_NONE);
}

Test(chain, devices_must_be_one_but_for_subvolumes)
{
    struct file_pair pair = pair_on(XFS);
    pair.destination_device = 8;
    expect(pair, ~0U, NULL, REASON_OTHER_FS);
    pair.source_fs = EXT4_SUPER_MAGIC;
    expect(pair, ~0U, NULL, REASON_OTHER_FS);

    /* What the descriptor leads to cannot say whether it counts quota groups, which is a doubt. */
    struct file_pair subvolumes = pair_on(BTRFS_SUPER_MAGIC);
    subvolumes.destination_device = 8;
    expect(subvolumes, ~0U, NULL, REASON_QUOTA);
    expect(subvolumes, BY_KERNEL, NULL, REASON_OTHER_FS);
    subvolumes.source_fs = XFS;
    expect(subvolumes, ~0U, NULL, REASON_OTHER_FS);
}

Test(chain, files_on_a_server_are_the_servers)
{
    struct file_pair pair = pair_on(NFS_SUPER_MAGIC);
    pair.kernel = KERNEL_VERSION(6, 12, 0);
    expect(pair, ~0U, &engine_server, REASON_NONE);
    /* Two mounts may be of one server. */
    pair.destination_device = 8;
    expect(pair, ~0U, &engine_server, REASON_NONE);
    /* Read past the cache, the source would come over once more to be compared; not known of a descriptor: a doubt. */
    pair.compares = true;
    expect(pair, ~0U, NULL, REASON_SLOWER);
    pair.compares = false;
    /* The reason told is the server engine's. */
    pair.source_fs = XFS;
    expect(pair, ~0U, NULL, REASON_OTHER_FS);
    pair = pair_on(NFS_SUPER_MAGIC);
    expect(pair, ~0U, NULL, REASON_KERNEL_TOO_OLD);
    expect(pair, CLONE, NULL, REASON_NO_ENGINE);
    expect(pair_on(XFS), SERVER, NULL, REASON_NO_SERVER);
}

/* To go by what an SMB client has of a source takes the user's word; the next refusal is another one. */
Test(chain, a_lease_is_believed_where_the_user_says_so)
{
    struct file_pair pair = pair_on(0xfe534d42);
    pair.kernel = KERNEL_VERSION(6, 12, 0);
    pair.compares = true;
    expect(pair, ~0U, NULL, REASON_LEASED);
    pair.smb_alone = true;
    expect(pair, ~0U, NULL, REASON_SLOWER);
}

Test(chain, each_engine_says_what_it_proves_and_how_it_aligns)
{
    struct file_pair pair = pair_on(XFS);
    pair.block = 16384;
    cr_expect(engine_clone.freezes_source);
    cr_expect_not(engine_server.freezes_source);
    cr_expect_not(engine_kernel.freezes_source);
    cr_expect(engine_server.remote);
    cr_expect_not(engine_clone.remote || engine_kernel.remote);
    cr_expect_eq(engine_clone.granule(&pair), 16384);
    cr_expect_eq(engine_kernel.granule(&pair), 1);
}

Test(chain, an_engine_gives_the_kernels_errno)
{
    struct file_pair pair = pair_on(XFS);
    cr_expect_eq(engine_clone.copy(&pair, 0, 0, 4096), -9 /* EBADF */);
    cr_expect_eq(engine_server.copy(&pair, 0, 0, 4096), -9);
    cr_expect_eq(engine_kernel.copy(&pair, 0, 0, 4096), -9);
}

Test(chain, each_engine_is_asked_as_the_choice_asks_it)
{
    struct file_pair pair = pair_on(XFS);
    cr_expect_eq(engine_refusal(0, &pair, ~0U), REASON_NONE);
    cr_expect_eq(engine_refusal(2, &pair, CLONE), REASON_NO_ENGINE);
    cr_expect_eq(engine_refusal(2, &pair, ~0U), REASON_NO_SERVER);
    cr_expect_eq(engine_refusal(0, &pair, BY_KERNEL), REASON_NO_ENGINE);
    pair.compares = true;
    cr_expect_eq(engine_refusal(3, &pair, ~0U), REASON_SLOWER);
    pair.destination_device = 8;
    cr_expect_eq(engine_refusal(0, &pair, ~0U), REASON_OTHER_FS);
}
