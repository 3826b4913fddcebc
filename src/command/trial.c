#include "trial.h"

#include "core/mark.h"
#include "core/settings.h"
#include "engines/quirks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

bool trial_is_nocow(int fd)
{
    int flags = 0;
    return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_NOCOW_FL;
}

static void set_nocow(int fd, bool on)
{
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return;
    flags = on ? flags | FS_NOCOW_FL : flags & ~FS_NOCOW_FL;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* A directory in which names can be made but not taken away again (chattr +a): nothing may be left there. */
static bool only_grows(int directory)
{
    struct statx status = {0};
    return statx(directory, "", AT_EMPTY_PATH, STATX_TYPE, &status) == 0 && status.stx_attributes & STATX_ATTR_APPEND;
}

bool trial_is_remote(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && quirk_refuses("clone", (uint64_t)fs.f_type, session_kernel()) == REASON_ON_SERVER;
}

/*
 * An SMB server that is told to remove a file answers no more questions about its name, and the client asks by names
 * (fstatfs(2), statx(2)), so the name stays until all has been tried. NFS clients give such a file a name of their own,
 * and remove that when it is closed.
 */
static bool keeps_name(int directory)
{
    struct statfs fs;
    return fstatfs(directory, &fs) == 0 && fs_is_smb((uint64_t)fs.f_type);
}

/* ---- a name that stays for a while ---- */

static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
static struct {
    int directory;
    char name[64];
} left;

/* Its action is the default one again by then (SA_RESETHAND). */
static void leave_nothing(int number)
{
    unlinkat(left.directory, left.name, 0);
    raise(number);
}

static void watch_signals(bool on)
{
    struct sigaction before, wanted = {.sa_flags = on ? (int)SA_RESETHAND : 0};
    wanted.sa_handler = on ? leave_nothing : SIG_DFL;
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(ending[i], &wanted, NULL);
}

static void keep_name(int directory, const char *name)
{
    left.directory = directory;
    stpcpy(left.name, name);
    watch_signals(true);
}

/* With a name that nobody else uses, taken away at once where that can be. */
static int make_named(int directory)
{
    char name[sizeof left.name];
    uint64_t number = 0;
    sigset_t all, before;
    if (only_grows(directory)) {
        errno = EPERM;
        return -1;
    }
    if (getrandom(&number, sizeof number, 0) < 0)
        number = (uint64_t)getpid();
    snprintf(name, sizeof name, ".offload-probe-%016llx", (unsigned long long)number);
    /* No Ctrl-C between the two. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && keeps_name(directory))
        keep_name(directory, name);
    else if (fd >= 0)
        unlinkat(directory, name, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return fd;
}

struct trial_file trial_make(int directory, int like)
{
    struct trial_file file = {.fd = -1};
    errno = EOPNOTSUPP;
    if (!keeps_name(directory))
        file.fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool unknown = file.fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL);
    if (unknown)
        file.fd = make_named(directory);
    file.error = file.fd < 0 ? errno : 0;
    if (file.fd >= 0 && like >= 0 && trial_is_nocow(like) != trial_is_nocow(file.fd))
        set_nocow(file.fd, trial_is_nocow(like));
    file.nocow = file.fd >= 0 && trial_is_nocow(file.fd);
    return file;
}

void trial_unname(void)
{
    if (!*left.name)
        return;
    unlinkat(left.directory, left.name, 0);
    watch_signals(false);
    *left.name = '\0';
}

/* ---- trying ---- */

/* The engine's errno for the first bytes: the session keeps only that it failed. */
static int engine_error(struct session *s)
{
    size_t n = (size_t)s->source.size;
    if (n > s->pair.block)
        n = s->pair.block;
    int64_t copied = s->engine->copy(&s->pair, 0, 0, n);
    return copied < 0 ? (int)-copied : 0;
}

/* One step as the library makes it: what a kernel's copy asks for is not compared, so the source is not read. */
static void make_step(struct session *s, const struct candidate *c, struct trial *trial)
{
    trial->made = true;
    s->blocked = ~(uint64_t)0;
    session_start(s, c);
    trial->bytes = mark_copy(s, 0, s->engine->remote ? SMALLEST_ASKED : s->pair.block);
    if (trial->bytes)
        trial->bytes = (uint64_t)s->frontier;
    else
        trial->why = s->tally.reason;
    if (s->engine && trial->why == s->engine->failure)
        trial->error = engine_error(s);
    mark_settle(s, REASON_UNFINISHED);
    /* Empty again, for another trial. */
    if (ftruncate(c->destination, 0) == 0)
        lseek(c->destination, 0, SEEK_SET);
}

/* Reading the source here would move its time of access: only the kernel's copy does. A server may note its own. */
static bool leaves_no_trace(const struct trial *trial)
{
    const struct engine *engine = trial->engine;
    return engine->freezes_source || engine->remote || fcntl(trial->pair.source, F_GETFL) & O_NOATIME;
}

/* Whether a source that is too young now is old enough soon, when somebody copies it; not if its times are to come. */
static bool grows_old(const struct file_state *source)
{
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec += 3;
    return guard_would_show_at(source, false, soon);
}

/* What the library says of a copy into the file or directory, the user's policy aside. */
static enum reason judge(struct session *s, struct candidate *c, bool into_file)
{
    struct stat st = {0};
    enum reason why = REASON_POLICY;
    if (into_file && guard_look(c->destination, &c->destination_state))
        why = session_fits(s, c);
    if (why == REASON_POLICY) {
        fstat(c->destination, &st);
        c->destination_state.device = st.st_dev;
        session_identify(s, c);
        why = session_choose(s, c);
    }
    bool too_soon = why == REASON_YOUNG || why == REASON_NEWER;
    return too_soon && grows_old(&c->source_state) ? REASON_NONE : why;
}

struct trial trial_run(int source, int destination, bool by_kernel, bool step)
{
    static const struct iovec piece = {(void *)"", 1};
    static const struct program_write any = {.pieces = &piece, .count = 1, .n = 1, .at = -1};
    struct session s = {0};
    struct candidate c = {.source = source,
                          .destination = destination,
                          .write = by_kernel ? NULL : &any,
                          .n = 1,
                          .blocked = ~(uint64_t)0};
    struct trial trial = {.why = REASON_NOT_REGULAR};
    if (!guard_look(source, &c.source_state))
        return trial;
    trial.why = judge(&s, &c, step);
    trial.pair = s.pair;
    trial.engine = s.engine;
    trial.fine_stamps =
        guard_fine_stamps(s.pair.kernel, s.pair.source_fs) && guard_fine_stamps(s.pair.kernel, s.pair.destination_fs);
    if (step && trial.why == REASON_NONE && leaves_no_trace(&trial))
        make_step(&s, &c, &trial);
    trial.pair = s.pair;
    return trial;
}
