#include "settings.h"

#include "../engines/engine.h"
#include "syscalls.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A clone costs about as much as writing 64 KiB to the page cache: below that there is nothing to win. */
#define DEFAULT_MIN_SIZE (64 << 10)

struct settings settings = {.engines = ~0U, .min_size = DEFAULT_MIN_SIZE};

/* One line: "liboffload: NAME=VALUE: PROBLEM". One write(2), so that lines of several processes do not mix. */
static void complain(const char *name, const char *value, const char *problem)
{
    const char *pieces[] = {"liboffload: ", name, "=", value, ": ", problem, "\n"};
    char line[512];
    size_t length = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t room = sizeof line - 1 - length;
        size_t n = strnlen(pieces[i], room);
        memcpy(line + length, pieces[i], n);
        length += n;
    }
    line[length - 1] = '\n';
    KERNEL(SYS_write, STDERR_FILENO, line, length);
}

static void read_off(const char *value)
{
    if (strcmp(value, "off") == 0)
        settings.off = true;
    else if (strcmp(value, "on") != 0 && *value)
        complain("OFFLOAD", value, "neither \"on\" nor \"off\"; taken as \"on\"");
}

/* The bit of the engine whose name is the n bytes at `name`, or 0. */
static unsigned engine_bit(const char *name, size_t n)
{
    const struct engine *const *list = engine_list();
    for (unsigned i = 0; list[i]; i++)
        if (strlen(list[i]->name) == n && memcmp(list[i]->name, name, n) == 0)
            return 1U << i;
    return 0;
}

static void read_engines(const char *value)
{
    unsigned engines = 0;
    for (const char *name = value; *name;) {
        size_t n = strcspn(name, ",");
        unsigned bit = engine_bit(name, n);
        if (!bit) {
            complain("OFFLOAD_ENGINES", value, "no list of engines (clone, kernel) with commas; all are used");
            return;
        }
        engines |= bit;
        name += n;
        if (*name == ',')
            name++;
    }
    if (engines)
        settings.engines = engines;
}

static void read_min_size(const char *value)
{
    off_t size = 0;
    const char *digit = value;
    while (*digit >= '0' && *digit <= '9' && size < (off_t)1 << 56)
        size = size * 10 + (*digit++ - '0');
    if (!*value)
        return;
    if (*digit)
        complain("OFFLOAD_MIN_SIZE", value, "not a number of bytes; 65536 is used");
    else
        settings.min_size = size;
}

static void read_report(const char *value)
{
    settings.report = *value ? value : NULL;
}

static const struct {
    const char *name;
    void (*read)(const char *value);
} readers[] = {
    {"OFFLOAD", read_off},
    {"OFFLOAD_ENGINES", read_engines},
    {"OFFLOAD_MIN_SIZE", read_min_size},
    {"OFFLOAD_REPORT", read_report},
};

static void read_setting(const char *entry)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        size_t n = strlen(readers[i].name);
        if (strncmp(entry, readers[i].name, n) == 0 && entry[n] == '=')
            readers[i].read(entry + n + 1);
    }
}

void settings_read(char *const *environment, bool secure)
{
    settings.filtered = KERNEL(SYS_prctl, PR_GET_SECCOMP) != 0;
    if (secure) {
        settings.off = true;
        return;
    }
    for (; environment && *environment; environment++)
        if (strncmp(*environment, "OFFLOAD", 7) == 0)
            read_setting(*environment);
}
