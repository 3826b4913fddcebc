#include "filesystems.h"

#include "asking.h"
#include "core/session.h"
#include "core/settings.h"
#include "engines/quirks.h"
#include "lines.h"
#include "mounts.h"
#include "names.h"
#include "refusals.h"
#include "servers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 3000
#define ENGINES 8

struct abilities {
    enum reason why[ENGINES]; /* by the place of the engine */
    bool lacks_reflink;
    bool asked; /* the file system itself gave the answer */
};

/* ---- by its name alone ---- */

/* The name in the table of quirks for what mount(8) calls it. */
static const char *table_name(const char *type)
{
    static const char *const same[][2] = {
        {"nfs4", "nfs"}, {"ext2", "ext4"}, {"ext3", "ext4"}, {"msdos", "vfat"}, {"fuseblk", "fuse"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(type, same[i][0]) == 0)
            return same[i][1];
    return strncmp(type, "fuse.", 5) == 0 ? "fuse" : type;
}

/* Its number as statfs(2) gives it, or 0 if no engine has heard of it. */
static uint64_t number_of(const char *type)
{
    const char *name = table_name(type);
    for (size_t i = 0; i < quirks_count; i++)
        if (strcmp(quirks[i].name, name) == 0)
            return quirks[i].fs_type;
    return 0;
}

static enum reason judge_engine(unsigned place, uint64_t number)
{
    if (!(settings.engines >> place & 1))
        return REASON_NO_ENGINE;
    return quirk_refuses(engine_list()[place]->name, number, session_kernel());
}

static void judge_by_name(const char *type, struct abilities *abilities)
{
    uint64_t number = number_of(type);
    *abilities = (struct abilities){0};
    for (unsigned i = 0; engine_list()[i] && i < ENGINES; i++)
        abilities->why[i] = judge_engine(i, number);
}

/* ---- by asking it ---- */

/* A directory of the mount, unless another mount hides it; -1 otherwise. */
static int open_mount(const struct mount *mount)
{
    struct stat st;
    /* A single file can be mounted too; no pipe or device is opened. */
    if (stat(mount->point, &st) < 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
        return -1;
    int fd = open(mount->point, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct mounts mounts;
    if (fd < 0 || !mounts_read(&mounts))
        return fd;
    const struct mount *found = mounts_of(&mounts, fd);
    bool hidden = found && found->id != mount->id;
    mounts_free(&mounts);
    if (hidden) {
        close(fd);
        return -1;
    }
    return fd;
}

static void ask(const void *what, void *to)
{
    struct abilities *abilities = to;
    struct session s = {0};
    int fd = open_mount(what);
    if (fd < 0)
        return;
    struct candidate c = {.source = fd, .destination = fd};
    session_identify(&s, &c);
    session_choose(&s, &c);
    for (unsigned i = 0; engine_list()[i] && i < ENGINES; i++)
        abilities->why[i] = engine_refusal(i, &s.pair, settings.engines);
    abilities->lacks_reflink = xfs_lacks_reflink(fd);
    abilities->asked = true;
}

/* Those of which two of a kind can differ. */
static bool must_be_asked(const char *type)
{
    return strcmp(type, "xfs") == 0 || strcmp(type, "btrfs") == 0;
}

/* ---- in words ---- */

static bool clones(const struct abilities *abilities)
{
    return abilities->why[0] == REASON_NONE && !abilities->lacks_reflink;
}

/* The engines' names that serve, with commas, in a text of size bytes. */
static void list_engines(const struct abilities *abilities, char *text, size_t size)
{
    size_t length = 0;
    *text = '\0';
    for (unsigned i = clones(abilities) ? 0 : 1; engine_list()[i] && i < ENGINES; i++)
        if (abilities->why[i] == REASON_NONE && length < size)
            length +=
                (size_t)snprintf(text + length, size - length, "%s%s", length ? ", " : "", engine_list()[i]->name);
}

/* A cure is told once, with the first to which it applies. */
static const char *cure_once(enum reason why)
{
    static bool told[REASONS];
    bool first = !told[why];
    told[why] = true;
    return first ? reason_cure(why) : "";
}

static void print_refused(const char *point, const char *type, const struct abilities *abilities)
{
    enum reason why = abilities->why[0];
    if (abilities->lacks_reflink)
        lines_say(point,
                  "%s: no: it was made without reflink, which cannot be added. Make it anew: mkfs.xfs -m "
                  "reflink=1",
                  type);
    else
        lines_say(point, "%s: no: %s. %s", type, reason_words(why), cure_once(why));
}

/* As the engine for servers has it, which cannot be asked without a file on the mount. */
static enum reason judge_mount(const struct mount *mount, enum reason by_name)
{
    bool counted = access("/proc/self/io", F_OK) == 0 && !mount_is_uncounted(mount);
    return by_name == REASON_NONE && !counted ? REASON_UNCOUNTED : by_name;
}

/* By what its mount tells: the server is not asked. */
static void print_remote(const char *point, const struct mount *mount, const struct abilities *abilities)
{
    char protocol[16];
    unsigned place = 0;
    while (!engine_list()[place]->remote)
        place++;
    enum reason why = judge_mount(mount, abilities->why[place]);
    const char *whom =
        mount_is_leased(mount) && !settings.smb_alone ? ", for programs that leave the copy to the kernel" : "";
    mount_protocol(mount, protocol);
    if (mount_too_old(mount))
        lines_say(point, "%s: no: no server copies in %s, which this mount speaks. %s", mount->type, protocol,
                  mount_too_old(mount));
    else if (why != REASON_NONE)
        lines_say(point, "%s: no: %s. %s", mount->type, reason_words(why), cure_once(why));
    else
        lines_say(point, "%s: by %s%s, if the server can%s%s: offload probe SOURCE DESTINATION tries it.", mount->type,
                  engine_list()[place]->name, whom, *protocol ? "; this mount speaks " : "", protocol);
}

static void print_abilities(const char *point, const char *type, const struct abilities *abilities)
{
    char engines[200];
    list_engines(abilities, engines, sizeof engines);
    if (clones(abilities))
        lines_say(point, "%s: yes, by %s.%s", type, engines,
                  must_be_asked(type) && !abilities->asked ? " It could not be asked for more." : "");
    else if (abilities->why[0] == REASON_NO_ENGINE && *engines)
        lines_say(point, "%s: only by %s, for programs that use sendfile.", type, engines);
    else
        print_refused(point, type, abilities);
}

/* An overlay is as good as the file system that its upper directory is on. */
static void print_overlay(const char *point, const struct mounts *mounts, const struct mount *overlay)
{
    char upper[4096];
    struct abilities abilities;
    bool writable = mount_option(overlay, "upperdir", upper, sizeof upper);
    const struct mount *below = writable ? mounts_at(mounts, upper) : NULL;
    judge_by_name("overlay", &abilities);
    if (!writable)
        lines_say(point, "overlay: no: it has no upper directory and cannot be written to.");
    else if (abilities.why[0] != REASON_NONE)
        print_refused(point, "overlay", &abilities);
    else if (below)
        lines_say(point, "overlay: as its upper directory, which seems to lie on %s.", below->type);
    else
        lines_say(point, "overlay: as its upper directory, which cannot be seen from here.");
}

static void print_mount(const struct mounts *mounts, const struct mount *mount)
{
    struct abilities abilities = {0};
    char *point = name_printable(mount->point);
    char *type = text_printable(mount->type);
    judge_by_name(mount->type, &abilities);
    struct abilities by_name = abilities;
    if (strcmp(mount->type, "overlay") == 0)
        print_overlay(point, mounts, mount);
    else if (mount_is_remote(mount))
        print_remote(point, mount, &abilities);
    else if (!must_be_asked(mount->type) || ask_within(PATIENCE_MS, ask, mount, &abilities, sizeof abilities))
        print_abilities(point, type, &abilities);
    else
        lines_say(point, "%s: it did not answer within %d seconds; %s", type, PATIENCE_MS / 1000,
                  clones(&by_name) ? "such a file system can mostly clone." : "such a file system cannot clone.");
    free(point);
    free(type);
}

/* ---- which ---- */

/* The kernel's own, which hold nobody's files. */
static bool holds_files(const char *type)
{
    static const char *const none[] = {"autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2", "configfs",
                                       "debugfs",    "devpts",      "devtmpfs",  "efivarfs", "fusectl", "hugetlbfs",
                                       "mqueue",     "nfsd",        "nsfs",      "proc",     "pstore",  "ramfs",
                                       "rpc_pipefs", "securityfs",  "selinuxfs", "smackfs",  "sysfs",   "tracefs"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (strcmp(type, none[i]) == 0)
            return false;
    return true;
}

static bool listed_before(const struct mounts *mounts, size_t place)
{
    for (size_t i = 0; i < place; i++)
        if (mounts->list[i].major == mounts->list[place].major && mounts->list[i].minor == mounts->list[place].minor)
            return true;
    return false;
}

void filesystems_print(void)
{
    struct mounts mounts;
    puts("\nFile systems: are copies within one offloaded?");
    if (!mounts_read(&mounts)) {
        lines_say("", "/proc is not there, so they cannot be listed. Mount it: mount -t proc proc /proc");
        return;
    }
    for (size_t i = 0; i < mounts.count; i++)
        if (holds_files(mounts.list[i].type) && !listed_before(&mounts, i))
            print_mount(&mounts, &mounts.list[i]);
    mounts_free(&mounts);
}
