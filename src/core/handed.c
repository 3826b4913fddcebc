#include "handed.h"

#include "../buffers/compare.h"
#include "guards.h"
#include "owned.h"
#include "settings.h"
#include "signals.h"
#include "syscalls.h"
#include "touched.h"
#include "underway.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last of the real-time signals: whoever had one sent for a regular file would have another. */
#define MARK 64

bool handed_marked = true;

static const char preload[] = "LD_PRELOAD=";

/*
 * What the dynamic linker loaded the library by, LD_PRELOAD=..., and its end; or empty. A copy: programs write over what they
 * were given (they set their title there, or blank a variable).
 */
TOUCHED_AT_START static char loaded_by[1024];

/* The library's file, by its whole path, which stands in the above; what it was at the start. */
TOUCHED_AT_START static const char *library;
TOUCHED_AT_START static struct stat library_was;

/* The dynamic linker that this program names. */
TOUCHED_AT_START static const char *linker;

static bool locks_taken;

void handed_lock_taken(void)
{
    locks_taken = true;
}

/* ---- the mark ---- */

static bool is_marked(void)
{
    struct f_owner_ex is;
    struct file_state file;
    return KERNEL(SYS_fcntl, STDOUT_FILENO, F_GETOWN_EX, &is) == 0 && is.pid && is.type == F_OWNER_TID &&
           is.pid == KERNEL(SYS_getpid) && KERNEL(SYS_fcntl, STDOUT_FILENO, F_GETSIG) == MARK &&
           guard_look(STDOUT_FILENO, &file);
}

static void set_owner(int pid, long signal)
{
    struct f_owner_ex owner = {F_OWNER_TID, pid};
    KERNEL(SYS_fcntl, STDOUT_FILENO, F_SETOWN_EX, &owner);
    KERNEL(SYS_fcntl, STDOUT_FILENO, F_SETSIG, signal);
}

bool handed_take_off(void)
{
    bool marked = is_marked();
    if (marked)
        set_owner(0, 0);
    handed_marked = false;
    return marked;
}

static bool has_no_owner(void)
{
    struct f_owner_ex is;
    return KERNEL(SYS_fcntl, STDOUT_FILENO, F_GETOWN_EX, &is) == 0 && !is.pid &&
           KERNEL(SYS_fcntl, STDOUT_FILENO, F_GETSIG) == 0;
}

/* ---- whether the program will have the library ---- */

/* Whether the string is the one that the library was loaded by. */
static bool loads_this(const char *string)
{
    char part[64];
    size_t n = strlen(loaded_by) + 1;
    for (size_t done = 0, step; done < n; done += step) {
        step = n - done < sizeof part ? n - done : sizeof part;
        if (!compare_fetch(part, string + done, step) || memcmp(part, loaded_by + done, step) != 0)
            return false;
    }
    return true;
}

/* Of several the dynamic linker takes the last. */
static bool environment_loads_this(char *const *environment)
{
    const char *string;
    char name[sizeof preload - 1];
    bool loads = false;
    for (; compare_fetch(&string, environment, sizeof string); environment++) {
        if (!string)
            return loads;
        if (compare_fetch(name, string, sizeof name) && memcmp(name, preload, sizeof name) == 0)
            loads = loads_this(string);
    }
    return false;
}

/* Not in another root (chroot(2)), nor where the process has become a user who may not read it. */
static bool library_is_there(void)
{
    struct stat st;
    return KERNEL(SYS_faccessat, AT_FDCWD, library, R_OK) == 0 &&
           KERNEL(SYS_newfstatat, AT_FDCWD, library, &st, 0) == 0 && st.st_dev == library_was.st_dev &&
           st.st_ino == library_was.st_ino;
}

/* If not, the dynamic linker takes the next program for one with more rights than its caller. */
static bool has_one_user(void)
{
    return KERNEL(SYS_getuid) == KERNEL(SYS_geteuid) && KERNEL(SYS_getgid) == KERNEL(SYS_getegid);
}

/* Whether the file is a program that the same dynamic linker loads as loaded this one: others may know no LD_PRELOAD. */
static bool has_this_linker(int fd)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    char name[64];
    if (KERNEL(SYS_pread64, fd, &head, sizeof head, 0) != (long)sizeof head ||
        memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (int i = 0; i < head.e_phnum; i++) {
        uint64_t at = head.e_phoff + (uint64_t)i * sizeof part;
        if (KERNEL(SYS_pread64, fd, &part, sizeof part, at) != (long)sizeof part)
            return false;
        if (part.p_type == PT_INTERP)
            return part.p_filesz == strlen(linker) + 1 && part.p_filesz <= sizeof name &&
                   KERNEL(SYS_pread64, fd, name, part.p_filesz, part.p_offset) == (long)part.p_filesz &&
                   memcmp(name, linker, part.p_filesz) == 0;
    }
    return false;
}

/* A device may do something when it is opened. A program with more rights than its caller would be loaded without. */
static bool is_ordinary(const char *path)
{
    struct stat st;
    return KERNEL(SYS_newfstatat, AT_FDCWD, path, &st, 0) == 0 && S_ISREG(st.st_mode) &&
           !(st.st_mode & (S_ISUID | S_ISGID)) && KERNEL(SYS_getxattr, path, "security.capability", NULL, 0) < 0;
}

static bool program_loads_this(const char *path)
{
    if (!is_ordinary(path) || !has_one_user() || !library_is_there())
        return false;
    long fd = KERNEL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool loads = fd >= 0 && has_this_linker((int)fd);
    if (fd >= 0)
        KERNEL(SYS_close, fd);
    return loads;
}

/*
 * A file, or a block device: others do send signals. By another number the program could give it away, and would not know
 * that it is this one.
 */
static bool is_file_of_one_number(void)
{
    struct file_state file, other;
    bool looked = guard_look(STDOUT_FILENO, &file);
    for (int fd = 0; looked && fd < OWNED_RANGE; fd++)
        if (fd != STDOUT_FILENO && owned_holds(fd) && guard_look(fd, &other) && guard_same_file(&file, &other))
            return false;
    return looked;
}

static bool may_hand_on(void)
{
    return owned_holds(STDOUT_FILENO) && *underway_single && library && linker && !locks_taken && !owned_by_child();
}

void handed_on(const char *path, char *const *environment)
{
    uint64_t blocked;
    if (!may_hand_on())
        return;
    /* The program is opened: no handler is to see a number taken. */
    signals_block(&blocked);
    /* Shells try many places where the program is not: what costs most, the environment, is asked last. */
    handed_marked =
        is_file_of_one_number() && has_no_owner() && program_loads_this(path) && environment_loads_this(environment);
    if (handed_marked)
        set_owner((int)KERNEL(SYS_getpid), MARK);
    signals_restore(blocked);
}

/* ---- at the start ---- */

/* The program's own, by its headers in memory (getauxval(3)). */
static const char *own_linker(void)
{
    const Elf64_Phdr *parts = (const Elf64_Phdr *)getauxval(AT_PHDR);
    const Elf64_Phdr *itself = NULL, *linker_at = NULL;
    for (size_t i = 0; parts && i < getauxval(AT_PHNUM); i++) {
        if (parts[i].p_type == PT_PHDR)
            itself = &parts[i];
        if (parts[i].p_type == PT_INTERP)
            linker_at = &parts[i];
    }
    return itself && linker_at ? (const char *)parts - itself->p_vaddr + linker_at->p_vaddr : NULL;
}

static void keep(const char *string)
{
    size_t n = strlen(string) + 1;
    loaded_by[0] = '\0';
    if (n <= sizeof loaded_by)
        memcpy(loaded_by, string, n);
}

/* Whether LD_PRELOAD, a list, has that path in it. */
static bool is_loaded_by(const char *path)
{
    size_t n = strlen(path);
    const char *at = strstr(loaded_by, path);
    while (at && !(strchr("=: ", at[-1]) && strchr(": ", at[n])))
        at = strstr(at + 1, path);
    return at;
}

/*
 * A name without a folder leads elsewhere with another LD_LIBRARY_PATH, and a relative one from another folder: only a whole path
 * tells what the next program will have.
 */
static void find_library(const char *path)
{
    if (path[0] == '/' && is_loaded_by(path) && KERNEL(SYS_newfstatat, AT_FDCWD, path, &library_was, 0) == 0)
        library = path;
}

void handed_start(char *const *environment, const char *path)
{
    bool own = !settings.filtered && handed_take_off();
    handed_marked = false;
    if (settings.off || settings.filtered)
        return;
    for (; environment && *environment; environment++)
        if (**environment == *preload && strncmp(*environment, preload, strlen(preload)) == 0)
            keep(*environment);
    find_library(path);
    linker = own_linker();
    if (own)
        owned_set(STDOUT_FILENO, true);
}
