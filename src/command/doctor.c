/* offload doctor: what this machine and this process allow. */
#include "command.h"
#include "core/session.h"
#include "core/settings.h"
#include "engines/quirks.h"
#include "filesystems.h"
#include "hardware.h"
#include "library.h"
#include "lines.h"
#include "names.h"
#include "process.h"
#include "refusals.h"

#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* How the command starts itself to see whether the library is loaded into it. */
#define AM_I_LOADED "--is-the-library-loaded"

/* ---- the library ---- */

/* In the child: 0 if the library is among what this process has mapped. */
static int is_loaded(void)
{
    char line[4500];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps))
        found = strstr(line, "/liboffload.so\n") != NULL;
    if (maps)
        fclose(maps);
    return found ? 0 : 1;
}

/* Starts this program anew, as any other, with the library. */
static bool can_be_loaded(const char *path)
{
    char word[] = "doctor", question[] = AM_I_LOADED, name[] = "offload";
    char *const arguments[] = {name, word, question, NULL};
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        library_preload(path);
        execv("/proc/self/exe", arguments);
        _exit(2);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void print_library(void)
{
    const char *path = library_to_load(false);
    if (!path) {
        lines_say("library", "none that can be used; standard error says why.");
        return;
    }
    char *shown = name_printable(path);
    if (access("/proc/self/exe", X_OK) < 0)
        lines_say("library", "%s, version " PACKAGE_VERSION "; whether it can be loaded cannot be tried without /proc.",
                  shown);
    else if (can_be_loaded(path))
        lines_say("library", "%s, version " PACKAGE_VERSION ", and programs can load it.", shown);
    else
        lines_say("library",
                  "%s, version " PACKAGE_VERSION ", but a program started with it does not have it: see that it may be "
                  "read and that its file system is not mounted noexec.",
                  shown);
    free(shown);
}

/* ---- settings ---- */

static void print_settings(void)
{
    bool any = false;
    for (size_t i = 0; settings_name(i); i++) {
        const char *file;
        const char *value = settings_given(i, &file);
        if (!value)
            continue;
        char *shown = name_printable(value);
        char *from = file ? name_printable(file) : NULL;
        lines_say(any ? "" : "settings", "%s=%s (%s)", settings_name(i), shown, from ? from : "environment");
        any = true;
        free(shown);
        free(from);
    }
    if (!any)
        lines_say("settings", "none: all is as by default.");
    if (settings.off)
        lines_say("", "The library is switched off by them.");
}

/* ---- the kernel and the quirks that apply ---- */

static bool lets_work(const struct quirk *quirk)
{
    return quirk_refuses(quirk->engine, quirk->fs_type, session_kernel()) == REASON_NONE;
}

static bool same_verdict(const struct quirk *a, const struct quirk *b)
{
    bool same_engine = strcmp(a->engine, b->engine) == 0;
    return same_engine && ((lets_work(a) && lets_work(b)) || (a->since == b->since && a->before == b->before));
}

/* All of the table's lines that say what this one says, by the names of their file systems. */
static void print_quirk(const struct quirk *quirk)
{
    char names[400] = "", since[16];
    size_t length = 0;
    for (size_t i = 0; i < quirks_count; i++)
        if (same_verdict(&quirks[i], quirk) && length < sizeof names)
            length +=
                (size_t)snprintf(names + length, sizeof names - length, "%s%s", length ? ", " : "", quirks[i].name);
    if (quirk->since == QUIRK_NEVER)
        lines_say(quirk->engine, "not on %s: %s.", names, reason_words(quirk->before));
    else if (lets_work(quirk))
        lines_say(quirk->engine, "on %s.", names);
    else
        lines_say(quirk->engine, "not on %s: %s. It needs Linux %s.", names, reason_words(quirk->before),
                  kernel_version(quirk->since, since));
}

static void print_quirks(void)
{
    puts("\nEngines: on which file systems does this kernel let them work?");
    for (size_t i = 0; i < quirks_count; i++) {
        size_t first = 0;
        while (!same_verdict(&quirks[first], &quirks[i]))
            first++;
        if (first == i)
            print_quirk(&quirks[i]);
    }
}

static void print_kernel(void)
{
    struct utsname name;
    if (uname(&name) == 0)
        lines_say("kernel", "%s %s, %s.", name.sysname, name.release, name.machine);
    if (session_kernel() < 0x060d00)
        lines_say("", "Before Linux 6.13 only the owner of a destination can have copies into it offloaded.");
}

int doctor_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], AM_I_LOADED) == 0)
        return is_loaded();
    if (argc != 1) {
        char *shown = name_printable(argv[1]);
        fail(STATUS_FAILED, "doctor takes no arguments, and got %s; write: offload doctor", shown);
    }
    settings_read(environ, false);
    print_kernel();
    print_library();
    print_settings();
    process_print();
    print_quirks();
    filesystems_print();
    hardware_print();
    lines_end();
    return 0;
}
