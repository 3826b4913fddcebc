#include "program.h"

#include "command.h"
#include "itself.h"
#include "names.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As many `#!` as the kernel follows (fs/exec.c, exec_binprm()). */
#define SCRIPTS_MAX 5

const char *program_self(void)
{
    static char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0 ? path : NULL;
}

/* ---- why it cannot be run ---- */

static const char *cure_of(int error)
{
    switch (error) {
    case ENOENT:
        return "check its name";
    case EACCES:
        return "check the permissions of it, of its interpreter and of the directories on the way, and that its file "
               "system is not mounted noexec";
    case EPERM:
        return "a security policy, or a mount with nosuid, stands against it";
    case ETXTBSY:
        return "someone has it open for writing; wait until it is complete";
    case E2BIG:
        return "give it fewer or shorter arguments (xargs), or a smaller environment";
    case ELOOP:
        return "its symbolic links, or the interpreters of its scripts, lead in a circle or too far";
    case ENOMEM:
    case EAGAIN:
        return "give it more memory or more processes (ulimit -v, ulimit -u)";
    case EMFILE:
    case ENFILE:
        return "close some files, or raise 'ulimit -n'";
    default:
        return "check that it is a program for this machine";
    }
}

int program_complain(const char *path, const char *name, int error)
{
    char *shown = name_printable(name);
    if (error == ENOENT && access(path, F_OK) == 0)
        say("cannot run %s: the interpreter that its first line or its header names is not there; install it", shown);
    else
        say("cannot run %s: %s; %s", shown, strerror(error), cure_of(error));
    free(shown);
    return error == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
}

/* ---- finding it ---- */

static bool may_execute(const char *path)
{
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/*
 * The file of that name in a directory of PATH, executable if there is such a one. NULL if there is none. An empty
 * place in PATH is the current directory (POSIX, 8.3).
 */
static char *search(const char *name, bool (*skip)(const char *path))
{
    const char *rest = getenv("PATH");
    char *found = NULL;
    if (!rest)
        rest = "/bin:/usr/bin"; /* as execvp(3) */
    while (rest) {
        size_t n = strcspn(rest, ":");
        char *path;
        if (asprintf(&path, "%.*s%s%s", (int)n, rest, n ? "/" : "./", name) < 0)
            return found;
        rest = rest[n] ? rest + n + 1 : NULL;
        if (!is_file(path) || (skip && skip(path)) || (found && !may_execute(path))) {
            free(path);
            continue;
        }
        free(found);
        found = path;
        if (may_execute(found))
            return found;
    }
    return found;
}

/* What makes a file executable that is not. */
static const char *execute_cure(const char *path)
{
    struct statvfs fs;
    bool noexec = statvfs(path, &fs) == 0 && fs.f_flag & ST_NOEXEC;
    return noexec ? "its file system is mounted noexec, so put it on another" : "make it so with chmod +x";
}

char *program_find(const char *name)
{
    char *shown = name_printable(name);
    char *path = strchr(name, '/') ? strdup(name) : search(name, NULL);
    if (!path)
        fail(STATUS_NOT_FOUND, "cannot run %s: no such command in PATH; check its name, or give its full path", shown);
    if (access(path, F_OK) < 0)
        exit(program_complain(path, name, errno));
    if (is_directory(path))
        fail(STATUS_CANNOT_RUN, "cannot run %s: it is a directory; name a program", shown);
    if (!may_execute(path))
        fail(STATUS_CANNOT_RUN, "cannot run %s: it is not executable; %s", shown, execute_cure(path));
    free(shown);
    return path;
}

char *program_find_real(const char *name)
{
    char *path = search(name, itself_is);
    if (path && may_execute(path))
        return path;
    char *shown = name_printable(name);
    if (path)
        fail(STATUS_CANNOT_RUN, "cannot run %s: %s is not executable; %s", shown, path, execute_cure(path));
    fail(STATUS_NOT_FOUND,
         "cannot run the real %s: PATH has no other than this link to offload; add the directory where it is", shown);
}

void program_name_itself(const char *name, char *path, char **argv)
{
    const char *slash = strrchr(*argv, '/');
    bool names_link = slash ? strcmp(slash + 1, name) == 0 && itself_is(*argv) : strcmp(*argv, name) == 0;
    if (names_link)
        *argv = path;
}

/* ---- becoming it ---- */

/* As shells tell a program for another machine from a script: by a NUL byte near its start. */
static bool is_binary(const char *path)
{
    char start[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : pread(fd, start, sizeof start, 0);
    if (fd >= 0)
        close(fd);
    return n > 0 && memchr(start, 0, (size_t)n);
}

void program_become(const char *path, char **argv)
{
    execv(path, argv);
    if (errno != ENOEXEC)
        return;
    if (is_binary(path))
        errno = ENOEXEC;
    else
        execvp(path, argv);
}

/* ---- looking into it ---- */

__attribute__((format(printf, 1, 2))) static char *clause(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    return n < 0 ? NULL : text;
}

/* The dynamic linker that this process was started with: the one that loads the library. */
static int own_linker(struct dl_phdr_info *info, size_t size, void *linker)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)linker = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1; /* the first is the program itself */
}

static bool same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* Sets *harms where it refuses. */
static char *refuses_linker(const char *linker, bool *harms)
{
    const char *own = NULL;
    dl_iterate_phdr(own_linker, &own);
    if (!own || strcmp(own, linker) == 0 || same_file(own, linker))
        return NULL;
    *harms = true;
    char *shown = text_printable(linker);
    char *text = strstr(linker, "ld-musl") ? clause("it was built for another C library, musl")
                                           : clause("it is started by another dynamic linker, %s", shown);
    free(shown);
    return text;
}

/* The name of the dynamic linker in a program header, or "" if it cannot be read. */
static void read_linker(int fd, const ElfW(Phdr) * header, char linker[PATH_MAX])
{
    size_t n = header->p_filesz < PATH_MAX ? header->p_filesz : PATH_MAX - 1;
    ssize_t got = pread(fd, linker, n, (off_t)header->p_offset);
    linker[got > 0 ? got : 0] = 0;
}

static char *refuses_elf(int fd, const ElfW(Ehdr) * elf, bool *harms)
{
    ElfW(Ehdr) own;
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool known = self >= 0 && pread(self, &own, sizeof own, 0) == (ssize_t)sizeof own;
    if (self >= 0)
        close(self);
    *harms = known && (elf->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] || elf->e_machine != own.e_machine);
    if (*harms)
        return clause("it was built for another architecture");
    for (unsigned i = 0; i < elf->e_phnum; i++) {
        ElfW(Phdr) header;
        char linker[PATH_MAX];
        off_t place = (off_t)(elf->e_phoff + (uint64_t)i * elf->e_phentsize);
        if (pread(fd, &header, sizeof header, place) != (ssize_t)sizeof header)
            return NULL;
        if (header.p_type != PT_INTERP)
            continue;
        read_linker(fd, &header, linker);
        return refuses_linker(linker, harms);
    }
    return clause("it is a static program, into which no library can be loaded");
}

/* Programs with more rights than their caller are started by a linker that ignores him (ld.so(8), AT_SECURE). */
static char *refuses_caller(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return NULL;
    if ((status.st_mode & S_ISUID && status.st_uid != geteuid()) ||
        (status.st_mode & S_ISGID && status.st_gid != getegid()))
        return clause("it is a setuid or setgid program, which loads no library of its caller's");
    if (geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return clause("it has capabilities of its own (getcap), and loads no library of its caller's");
    return NULL;
}

/* The interpreter's name in the first line of a script, in place, or NULL if it is none. */
static char *interpreter(char *start)
{
    if (start[0] != '#' || start[1] != '!')
        return NULL;
    char *name = start + 2 + strspn(start + 2, " \t");
    name[strcspn(name, " \t\n")] = 0;
    return *name ? name : NULL;
}

static char *refuses(const char *path, int scripts, bool *harms)
{
    union {
        char text[512];
        ElfW(Ehdr) elf;
    } start = {.text = ""};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    char *why = NULL;
    ssize_t n = pread(fd, start.text, sizeof start.text - 1, 0);
    char *next = n > 2 && scripts > 0 ? interpreter(start.text) : NULL;
    if (next) {
        why = refuses(next, scripts - 1, harms);
    } else if (n >= (ssize_t)sizeof start.elf && memcmp(start.elf.e_ident, ELFMAG, SELFMAG) == 0) {
        why = refuses_caller(fd);
        if (!why)
            why = refuses_elf(fd, &start.elf, harms);
    }
    close(fd);
    return why;
}

char *program_refuses(const char *path, bool *harms)
{
    *harms = false;
    return refuses(path, SCRIPTS_MAX, harms);
}
