#include "library.h"

#include "command.h"
#include "names.h"
#include "program.h"

#include <config.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "liboffload.so"
/* What the library's file holds, as what(1) looks for it, and behind it the version. */
#define MARK "@(#)liboffload "

/* ---- where it is ---- */

/*
 * An installation may have been moved as a whole (DESTDIR, another prefix): what follows the last directory that BINDIR
 * and LIBDIR share is still as it was. False if this executable is not in such a place.
 */
static bool path_beside(const char *directory, char path[PATH_MAX])
{
    static const char bindir[] = BINDIR, libdir[] = LIBDIR;
    size_t common = 0;
    for (size_t i = 0; bindir[i] && bindir[i] == libdir[i]; i++)
        if (bindir[i] == '/')
            common = i;
    size_t tail = strlen(bindir + common);
    size_t length = strlen(directory);
    if (length < tail || strcmp(directory + length - tail, bindir + common) != 0)
        return false;
    int n = snprintf(path, PATH_MAX, "%.*s%s/" LIBRARY, (int)(length - tail), directory, libdir + common);
    return n > 0 && n < PATH_MAX;
}

static bool find(char path[PATH_MAX])
{
    const char *self = program_self();
    if (self) {
        char directory[PATH_MAX];
        const char *slash = strrchr(self, '/');
        *stpncpy(directory, self, (size_t)(slash - self)) = 0;
        int n = snprintf(path, PATH_MAX, "%s/.libs/" LIBRARY, directory);
        if (n > 0 && n < PATH_MAX && access(path, R_OK) == 0)
            return true;
        if (path_beside(directory, path) && access(path, R_OK) == 0)
            return true;
    }
    stpcpy(path, LIBDIR "/" LIBRARY);
    return access(path, R_OK) == 0;
}

/* ---- its version ---- */

/* The version behind the mark among n bytes, in `version`, which stays empty if there is no mark. */
static void find_version(const char *bytes, size_t n, char version[32])
{
    const char *mark = memmem(bytes, n, MARK, strlen(MARK));
    version[0] = 0;
    if (!mark)
        return;
    mark += strlen(MARK);
    for (size_t i = 0; i < 31 && mark + i < bytes + n && mark[i] > ' ' && mark[i] <= '~'; i++) {
        version[i] = mark[i];
        version[i + 1] = 0;
    }
}

static void read_version(const char *path, char version[32])
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    version[0] = 0;
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        size_t n = (size_t)status.st_size;
        void *bytes = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            find_version(bytes, n, version);
            munmap(bytes, n);
        }
    }
    close(fd);
}

static bool is_of_this_version(const char *path)
{
    char version[32];
    read_version(path, version);
    if (strcmp(version, PACKAGE_VERSION) == 0)
        return true;
    char *shown = name_printable(path);
    if (*version)
        say("the library %s is version %s, this command is " PACKAGE_VERSION
            ", so the program runs without it; install both from one package",
            shown, version);
    else
        say("the library %s does not tell its version, this command is " PACKAGE_VERSION
            ", so the program runs without it; install both from one package",
            shown);
    free(shown);
    return false;
}

const char *library_to_load(bool needed)
{
    static char path[PATH_MAX];
    const char *complaint = NULL;
    if (!find(path))
        complaint = "the library is not at %s: run 'make' in its source tree, or install it again";
    else if (strpbrk(path, ": "))
        complaint = "LD_PRELOAD cannot hold the path %s with its space or colon: install the library elsewhere";
    if (!complaint)
        return is_of_this_version(path) ? path : NULL;
    char text[PATH_MAX + 200];
    snprintf(text, sizeof text, complaint, name_printable(path));
    if (needed)
        fail(STATUS_FAILED, "%s", text);
    say("%s; the program runs without it", text);
    return NULL;
}

/* ---- LD_PRELOAD ---- */

/* Whether the n bytes are a path to some liboffload.so: two of them in a process would do everything twice. */
static bool is_a_library(const char *entry, size_t n)
{
    size_t length = strlen(LIBRARY);
    return n >= length && memcmp(entry + n - length, LIBRARY, length) == 0 &&
           (n == length || entry[n - length - 1] == '/');
}

void library_preload(const char *path)
{
    const char *entry = getenv("LD_PRELOAD");
    char *value = malloc(strlen(path) + (entry ? strlen(entry) : 0) + 2);
    if (!value)
        fail(STATUS_FAILED, "no memory for LD_PRELOAD; give the process more of it (ulimit -v)");
    char *end = stpcpy(value, path);
    while (entry && *entry) {
        size_t n = strcspn(entry, ": ");
        if (n && !is_a_library(entry, n)) {
            *end++ = ':';
            end = mempcpy(end, entry, n);
        }
        entry += n + (entry[n] != 0);
    }
    *end = 0;
    setenv("LD_PRELOAD", value, 1);
    free(value);
}
