/*
 * The server engine: both files lie on a file server, and it makes the copy. It shares extents where it can (NFSv4.2
 * CLONE, SMB FSCTL_DUPLICATE_EXTENTS_TO_FILE, both by ioctl_ficlonerange(2)), or copies by itself (NFSv4.2 COPY, SMB
 * FSCTL_SRV_COPYCHUNK_WRITE, by copy_file_range(2)).
 *
 * That copy_file_range(2) succeeds is no proof: where the server cannot, the client pulls the bytes and pushes them
 * back (nfs4_copy_file_range() in fs/nfs/nfs4file.c, cifs_copy_file_range() in fs/smb/client/cifsfs.c). That makes
 * pages of this machine dirty, and the kernel counts them for the thread (ru_oublock, getrusage(2)); a copy by the
 * server makes none. So every step is looked at, and such a server is asked no more.
 *
 * A copy does not freeze the source: a client believes for a while what it last heard of a file. What is dirty of the
 * source here is written back first (nfs42_proc_copy(), cifs_file_copychunk_range()).
 */
#include "engine.h"

#include "../core/guards.h"
#include "../core/syscalls.h"
#include "mountoptions.h"
#include "quirks.h"
#include "smb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Offsets of a clone: the block that servers' file systems have; one with a larger block refuses, and copies. */
#define CLONE_BLOCK 4096

/* A server that has been quick and becomes slow holds the program up for one such step: 2 s at 4 MB/s. */
#define LONGEST_COPY ((size_t)8 << 20)

/* ---- servers that were seen not to copy ---- */

struct device_pair {
    dev_t source, destination;
};

#define UNABLE 16

/* Filled from the start on. A pair that two threads write at once is lost, and found out again. */
static struct device_pair unable[UNABLE];
static unsigned unable_count;

static bool is_unable(const struct file_pair *pair)
{
    unsigned count = __atomic_load_n(&unable_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count && i < UNABLE; i++)
        if (unable[i].source == pair->source_device && unable[i].destination == pair->destination_device)
            return true;
    return false;
}

static void remember_unable(const struct file_pair *pair)
{
    unsigned place = __atomic_load_n(&unable_count, __ATOMIC_ACQUIRE);
    if (place >= UNABLE || is_unable(pair))
        return;
    unable[place] = (struct device_pair){pair->source_device, pair->destination_device};
    __atomic_store_n(&unable_count, place + 1, __ATOMIC_RELEASE);
}

/* ---- may it serve? ---- */

/* Whether one client in the kernel serves both file systems, so that it can have one's server copy to the other. */
static bool one_client(const struct file_pair *pair)
{
    bool nfs = pair->source_fs == NFS_SUPER_MAGIC && pair->destination_fs == NFS_SUPER_MAGIC;
    return nfs || (fs_is_smb(pair->source_fs) && fs_is_smb(pair->destination_fs));
}

static bool opened_direct(int fd)
{
    long flags = KERNEL(SYS_fcntl, fd, F_GETFL);
    return flags < 0 || flags & O_DIRECT;
}

static bool is_strict(int fd)
{
    bool strict;
    return mount_has_option(fd, "cache=strict", &strict) && strict;
}

/*
 * SMB's writes past the cache (cache=none, O_DIRECT) are not counted, as was seen on Linux 6.12; and with cache=loose
 * what is cached here can be older than what the server copies.
 */
static bool cache_can_be_trusted(const struct file_pair *pair)
{
    return !fs_is_smb(pair->destination_fs) ||
           (is_strict(pair->source) && is_strict(pair->destination) && !opened_direct(pair->destination));
}

/*
 * Whether this kernel counts what a thread writes to this file: that needs CONFIG_TASK_IO_ACCOUNTING, without which
 * there is no such file in /proc, and the page cache.
 */
static bool writes_are_counted(const struct file_pair *pair)
{
    return KERNEL(SYS_faccessat, AT_FDCWD, "/proc/self/io", 0) == 0 && cache_can_be_trusted(pair);
}

/* A write takes these bits of a file's away (write(2)); nfsd does not when it copies. */
static bool has_mode_that_writes_clear(int fd)
{
    struct file_state now;
    return guard_look(fd, &now) && now.set_id;
}

/* Whether what the client believes of the source matters: what it has of it is what the program wrote. */
static bool asks_past_lease(const struct file_pair *pair)
{
    return pair->compares && fs_is_smb(pair->source_fs);
}

static enum reason refuses(const struct file_pair *pair)
{
    if (pair->destination_fs != NFS_SUPER_MAGIC && !fs_is_smb(pair->destination_fs))
        return REASON_NO_SERVER;
    if (!one_client(pair))
        return REASON_OTHER_FS;
    enum reason quirk = quirk_refuses("server", pair->destination_fs, pair->kernel);
    if (quirk != REASON_NONE)
        return quirk;
    if (is_unable(pair))
        return REASON_SERVER_CANNOT;
    /*
     * A lease makes the client believe its cache, and Samba tells the times that it knew when the file was opened,
     * whatever the server's own programs have done to it since (docs/decisions/015).
     */
    if (asks_past_lease(pair) && !pair->smb_alone)
        return REASON_LEASED;
    /* What is not cached here is pulled once more to be compared: no less than a plain copy would push. */
    if (pair->compares && opened_direct(pair->source))
        return REASON_SLOWER;
    if (has_mode_that_writes_clear(pair->destination))
        return REASON_SET_ID;
    return writes_are_counted(pair) ? REASON_NONE : REASON_UNCOUNTED;
}

/*
 * Another client's write breaks the lease, but the server does not wait until the word has come here; so it is asked.
 * What it says and what the client goes by, pages and times, are then of one moment.
 */
static bool confirms(const struct file_pair *pair, const struct file_state *source)
{
    struct file_state truth;
    return !asks_past_lease(pair) ||
           (smb_ask(pair->source, &truth) && truth.size == source->size &&
            guard_same_time(truth.modified, source->modified) && guard_same_time(truth.changed, source->changed));
}

/* ---- copying ---- */

/*
 * A failed clone on SMB can leave the destination longer (smb2_duplicate_extents() sets its end first). Where that is
 * longer than the clone's end, another process has written there.
 */
static void undo_growth(const struct file_pair *pair, off_t size, off_t end)
{
    struct stat st;
    int destination = pair->destination;
    if (fs_is_smb(pair->destination_fs) && KERNEL(SYS_fstat, destination, &st) == 0 && st.st_size > size &&
        st.st_size <= end)
        KERNEL(SYS_ftruncate, destination, size);
}

/* Whether the server shares the extents. If it does not once, the pair's further steps are copies. */
static bool clone_range(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    if (pair->no_clone || (from | to) % CLONE_BLOCK)
        return false;
    if (engine_clone.copy(pair, from, to, n) >= 0)
        return true;
    pair->no_clone = true;
    undo_growth(pair, to, to + (off_t)n);
    return false;
}

/*
 * Linux's NFS client has more than two reads' bytes (rsize) copied in the background, and waits for the server's word that
 * it is done, which can be lost: then it waits on (__nfs4_copy_file_range() in fs/nfs/nfs4file.c,
 * handle_async_copy() in fs/nfs/nfs42proc.c). What st_blksize tells is the bytes of a write, and mounts have both alike.
 */
static size_t find_longest_copy(const struct file_pair *pair)
{
    struct statx now;
    if (pair->destination_fs != NFS_SUPER_MAGIC)
        return LONGEST_COPY;
    if (KERNEL(SYS_statx, pair->source, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &now) < 0 ||
        now.stx_blksize < CLONE_BLOCK)
        return CLONE_BLOCK;
    size_t two = (size_t)2 * now.stx_blksize;
    return two < LONGEST_COPY ? two : LONGEST_COPY;
}

static size_t longest_step(const struct file_pair *pair)
{
    return pair->longest_copy ? pair->longest_copy : SIZE_MAX;
}

/* What this thread has made dirty of any file, in blocks of 512 bytes. */
static long dirtied(void)
{
    struct rusage usage = {0};
    KERNEL(SYS_getrusage, RUSAGE_THREAD, &usage);
    return usage.ru_oublock;
}

static int64_t copy(struct file_pair *pair, off_t from, off_t to, size_t n)
{
    if (clone_range(pair, from, to, n))
        return (int64_t)n;
    if (!pair->longest_copy)
        pair->longest_copy = find_longest_copy(pair);
    size_t step = n < pair->longest_copy ? n : pair->longest_copy;
    long before = dirtied();
    long copied = KERNEL(SYS_copy_file_range, pair->source, &from, pair->destination, &to, step, 0);
    if (dirtied() == before && copied != -EXDEV && copied != -EOPNOTSUPP)
        return copied;
    remember_unable(pair);
    return -EXDEV;
}

static unsigned granule(const struct file_pair *pair)
{
    (void)pair;
    return 1;
}

const struct engine engine_server = {
    .name = "server",
    .refuses = refuses,
    .copy = copy,
    .failure = REASON_SERVER_FAILED,
    /* A server that writes 1 MB a second is then done within a quarter of a second. */
    .first_step = (size_t)256 << 10,
    .granule = granule,
    .freezes_source = false,
    .remote = true,
    .longest_step = longest_step,
    .confirms = confirms,
};
