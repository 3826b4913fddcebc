#include "pair.h"

#include "../older.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OLD_ENOUGH_MS = 40, NOBODY = 65534 };

static bool open_trace(struct side *side, int worker, char letter)
{
    const char *room = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(side->trace_path, sizeof side->trace_path, "%s/transparency-%d-%d%c", room, getpid(), worker, letter);
    int fd = open(side->trace_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || fchmod(fd, 0666) != 0 || ftruncate(fd, (off_t)sizeof(struct shared)) != 0)
        return false;
    side->trace = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return side->trace != MAP_FAILED;
}

static bool open_side(struct side *side, const char *directory, int worker, char letter)
{
    snprintf(side->path, sizeof side->path, "%s/w%d%c", directory, worker, letter);
    mkdir(side->path, 0777);
    chmod(side->path, 0777);
    side->fd = open(side->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return side->fd >= 0 && open_trace(side, worker, letter);
}

bool pair_open(struct pair *pair, const struct settings *settings, int worker)
{
    memset(pair, 0, sizeof *pair);
    pair->settings = settings;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pair->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return pair->null >= 0 && open_side(&pair->plain, settings->directory, worker, 'a') &&
           open_side(&pair->preloaded, settings->directory, worker, 'b');
}

/* ---- sources ---- */

static void make_source(struct side *side, int number)
{
    char name[NAME_ROOM];
    snprintf(name, sizeof name, "s%d", number);
    unlinkat(side->fd, name, 0);
    side->have[number] = source_make(side->fd, name, number);
    fstatat(side->fd, name, &side->sources[number], AT_SYMLINK_NOFOLLOW);
    clock_gettime(CLOCK_MONOTONIC, &side->made[number]);
}

static void wait_until_old(const struct side *side, int number)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long age = (now.tv_sec - side->made[number].tv_sec) * 1000 + (now.tv_nsec - side->made[number].tv_nsec) / 1000000;
    if (age < OLD_ENOUGH_MS)
        usleep((useconds_t)(OLD_ENOUGH_MS - age) * 1000);
}

static void prepare_sources(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        int number = pair->program.source[i];
        if (number < 0)
            continue;
        if (!pair->plain.have[number])
            make_source(&pair->plain, number);
        if (!pair->preloaded.have[number])
            make_source(&pair->preloaded, number);
        wait_until_old(&pair->plain, number);
        wait_until_old(&pair->preloaded, number);
    }
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_nlink == b->st_nlink &&
           a->st_mode == b->st_mode && memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim) == 0;
}

/* Stores through a mapping do not move the times of a file on tmpfs. */
static bool stores_by_mapping(const struct program *program)
{
    for (unsigned i = 0; i < program->count; i++)
        if (program->ops[i].kind == K_MAP && program->ops[i].a[3] && program->ops[i].a[4])
            return true;
    return false;
}

static void remake_changed(struct side *side, const struct program *program)
{
    for (int i = 0; i < 2; i++) {
        int number = program->source[i];
        char name[NAME_ROOM];
        struct stat now;
        if (number < 0)
            continue;
        snprintf(name, sizeof name, "s%d", number);
        if (stores_by_mapping(program) || fstatat(side->fd, name, &now, AT_SYMLINK_NOFOLLOW) != 0 ||
            !same_stat(&now, &side->sources[number]))
            make_source(side, number);
    }
}

static void sweep(struct side *side, bool all)
{
    DIR *directory = fdopendir(openat(side->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (entry->d_name[0] != '.' && (all || entry->d_name[0] != 's'))
            unlinkat(side->fd, entry->d_name, 0);
    if (directory)
        closedir(directory);
}

/* ---- running ---- */

/*
 * Both sides get an environment of one length: it lies above the stack, and whether O_DIRECT accepts a buffer on the
 * stack depends on where that starts.
 */
static void prepare_environment(const struct settings *settings, const char *library)
{
    char name[PATH_MAX];
    if (!settings->library || !realpath(settings->library, name))
        return;
    unsetenv(library ? "NO_PRELOAD" : "LD_PRELOAD");
    setenv(library ? "LD_PRELOAD" : "NO_PRELOAD", name, 1);
}

/* The child of vfork: the memory that it sees is the driver's. A fork would copy the driver's page tables, and then
 * half of its pages, for each of two runs of each seed. */
static _Noreturn void become_actor(const struct pair *pair, char **arguments)
{
    static const struct rlimit no_core = {0, 0};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    personality(ADDR_NO_RANDOMIZE);
    for (int fd = 0; fd < 3; fd++)
        dup2(pair->null, fd);
    close_range(3, ~0u, 0);
    if (pair->program.unprivileged && geteuid() == 0 &&
        (syscall(SYS_setgid, NOBODY) != 0 || syscall(SYS_setuid, NOBODY) != 0))
        _exit(122);
    execv(pair->settings->actor, arguments);
    _exit(121);
}

static pid_t start_actor(const struct pair *pair, const struct side *side, const char *library)
{
    char name[] = "actor", seed[32], path[sizeof side->path], trace[sizeof side->trace_path];
    char *arguments[] = {name, seed, path, trace, NULL};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)pair->program.seed);
    memcpy(path, side->path, sizeof path);
    memcpy(trace, side->trace_path, sizeof trace);
    prepare_environment(pair->settings, library);
    pid_t child = vfork();
    if (child == 0)
        become_actor(pair, arguments);
    return child;
}

static bool ended_in_time(pid_t child, int seconds)
{
    int fd = pidfd_open(child, 0);
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    int ready = poll(&watched, 1, seconds * 1000);
    close(fd);
    return ready == 1;
}

static void run_side(const struct pair *pair, struct side *side, const char *library, const uint8_t *skip)
{
    memset(side->trace, 0, offsetof(struct shared, records));
    if (skip)
        memcpy(side->trace->skip, skip, OPERATIONS);
    for (unsigned i = 0; pair->settings->seen && i < pair->program.count; i++)
        side->trace->skip[i] |= is_inline(&pair->program.ops[i]);
    clock_gettime(CLOCK_REALTIME_COARSE, &side->began);
    pid_t child = start_actor(pair, side, library);
    bool ended = ended_in_time(child, pair->settings->timeout);
    if (!ended)
        kill(child, SIGKILL);
    kill(-child, SIGKILL);
    waitpid(child, &side->status, 0);
    /* Whatever the program left behind must not touch the next one's files. */
    while (waitpid(-1, NULL, 0) > 0) {
    }
    clock_gettime(CLOCK_REALTIME, &side->ended);
    if (!ended)
        side->status = TIMED_OUT;
}

void pair_run(struct pair *pair, uint64_t seed, const uint8_t *skip)
{
    remake_changed(&pair->plain, &pair->program);
    remake_changed(&pair->preloaded, &pair->program);
    sweep(&pair->plain, false);
    sweep(&pair->preloaded, false);
    generate(&pair->program, seed);
    prepare_sources(pair);
    run_side(pair, &pair->plain, NULL, skip);
    run_side(pair, &pair->preloaded, pair->settings->self ? NULL : pair->settings->library, skip);
}

static void close_side(struct side *side)
{
    sweep(side, true);
    close(side->fd);
    rmdir(side->path);
    munmap(side->trace, sizeof(struct shared));
    unlink(side->trace_path);
}

void pair_close(struct pair *pair)
{
    close_side(&pair->plain);
    close_side(&pair->preloaded);
}
