#include "itself.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the mark by which copies know each other ---- */

/* A note is loaded with the program: strip(1) leaves it, and its place is told at the start of the file. */
static const struct {
    ElfW(Nhdr) header;
    char name[8];
} mark __attribute__((section(".note.offload"), used, aligned(4))) = {{sizeof mark.name, 0, 1}, "offload"};

/* Notes are short: what is longer than this has no mark. */
#define NOTES_MAX 4096

static bool has_mark_in(int fd, const ElfW(Phdr) * notes)
{
    char bytes[NOTES_MAX];
    size_t n = notes->p_filesz < sizeof bytes ? notes->p_filesz : sizeof bytes;
    ssize_t got = pread(fd, bytes, n, (off_t)notes->p_offset);
    return got > 0 && memmem(bytes, (size_t)got, &mark, sizeof mark);
}

static bool has_mark(const char *path)
{
    ElfW(Ehdr) elf;
    bool found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool is_elf = pread(fd, &elf, sizeof elf, 0) == (ssize_t)sizeof elf && memcmp(elf.e_ident, ELFMAG, SELFMAG) == 0 &&
                  elf.e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32);
    for (unsigned i = 0; is_elf && !found && i < elf.e_phnum; i++) {
        ElfW(Phdr) header;
        off_t place = (off_t)(elf.e_phoff + (uint64_t)i * elf.e_phentsize);
        if (pread(fd, &header, sizeof header, place) != (ssize_t)sizeof header)
            break;
        found = header.p_type == PT_NOTE && has_mark_in(fd, &header);
    }
    close(fd);
    return found;
}

static bool is_this_file(const char *path)
{
    struct stat it, self;
    return stat(path, &it) == 0 && stat("/proc/self/exe", &self) == 0 && it.st_dev == self.st_dev &&
           it.st_ino == self.st_ino;
}

/* A file of that name may be another one's start of `offload`, and one that may not be read has no mark to see. */
static bool leads_to_name(const char *path)
{
    char *target = realpath(path, NULL);
    const char *slash = target ? strrchr(target, '/') : NULL;
    bool leads = slash && strcmp(slash, "/offload") == 0;
    free(target);
    return leads;
}

bool itself_is(const char *path)
{
    return is_this_file(path) || leads_to_name(path) || has_mark(path);
}

/* ---- the name ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What was executed as an open file (fexecve(3)) or as /proc/self/exe has no name of its own. */
static bool is_nameless(const char *path)
{
    return strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/", 6) == 0;
}

const char *itself_called(char **argv)
{
    const char *executed = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    /* In a script's first line this executable is argv[0], put there by the kernel; the script was executed. */
    bool tells = executed && *executed && !is_nameless(executed) && (is_this_file(executed) || has_mark(executed));
    return last_part(tells ? executed : *argv ? *argv : "");
}
