#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Turns \040 into a space and so on, in place: the kernel writes space, tab, newline and backslash so. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *c = text; *c; to++) {
        if (c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' && c[3] >= '0' && c[3] <= '7') {
            *to = (char)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0'));
            c += 4;
        } else {
            *to = *c++;
        }
    }
    *to = '\0';
}

/* The next word of a line, or NULL at its end. */
static char *word(char **line)
{
    char *found = strsep(line, " ");
    return found && *found ? found : NULL;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL...] - TYPE DEVICE SUPER-OPTIONS */
static bool parse_line(char *line, struct mount *mount)
{
    const char *id = word(&line), *parent = word(&line), *device = word(&line);
    char *root = word(&line), *point = word(&line), *options = word(&line), *optional;
    if (!id || !parent || !device || !root || !point || !options)
        return false;
    do {
        optional = word(&line);
    } while (optional && strcmp(optional, "-") != 0);
    char *type = word(&line), *what = line ? strsep(&line, " ") : NULL;
    char *super = line ? line : options;
    if (!type || !what || sscanf(id, "%u", &mount->id) != 1 ||
        sscanf(device, "%u:%u", &mount->major, &mount->minor) != 2)
        return false;
    unescape(root);
    unescape(point);
    unescape(what);
    mount->root = root;
    mount->point = point;
    mount->type = type;
    mount->device = what;
    mount->options = super;
    return true;
}

bool mounts_parse(char *text, struct mounts *mounts)
{
    size_t lines = 1;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    *mounts = (struct mounts){.list = calloc(lines, sizeof *mounts->list), .text = text};
    if (!mounts->list)
        return false;
    for (char *line; (line = strsep(&text, "\n"));)
        mounts->count += parse_line(line, &mounts->list[mounts->count]);
    return true;
}

/* A whole file of /proc, whose size is not known beforehand; NULL if it cannot be read. */
static char *read_whole(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    /* No byte of it is NUL. */
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

bool mounts_read(struct mounts *mounts)
{
    *mounts = (struct mounts){0};
    char *text = read_whole("/proc/self/mountinfo");
    if (text && mounts_parse(text, mounts))
        return true;
    free(text);
    *mounts = (struct mounts){0};
    return false;
}

void mounts_free(struct mounts *mounts)
{
    free(mounts->list);
    free(mounts->text);
    *mounts = (struct mounts){0};
}

const struct mount *mounts_of(const struct mounts *mounts, int fd)
{
    char path[64];
    unsigned id;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    char *info = read_whole(path);
    const char *line = info ? strstr(info, "mnt_id:") : NULL;
    const struct mount *found = NULL;
    if (line && sscanf(line, "mnt_id: %u", &id) == 1)
        for (size_t i = 0; i < mounts->count; i++)
            if (mounts->list[i].id == id)
                found = &mounts->list[i];
    free(info);
    return found;
}

/* Whether the path is the directory, or below it. */
static bool lies_under(const char *path, const char *directory)
{
    size_t n = strlen(directory);
    if (strcmp(directory, "/") == 0)
        return path[0] == '/';
    return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

const struct mount *mounts_at(const struct mounts *mounts, const char *path)
{
    const struct mount *found = NULL;
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount *m = &mounts->list[i];
        /* What is mounted later on the same place hides what was there. */
        if (lies_under(path, m->point) && (!found || strlen(m->point) >= strlen(found->point)))
            found = m;
    }
    return found;
}

bool mount_option(const struct mount *mount, const char *name, char *value, size_t size)
{
    size_t n = strlen(name);
    for (const char *option = mount->options; *option;) {
        size_t length = strcspn(option, ",");
        bool has_value = strncmp(option, name, n) == 0 && length > n && option[n] == '=';
        const char *from = has_value ? option + n + 1 : option + length;
        size_t bytes = (size_t)(option + length - from);
        if ((has_value || (length == n && strncmp(option, name, n) == 0)) && bytes < size) {
            memcpy(value, from, bytes);
            value[bytes] = '\0';
            unescape(value);
            return true;
        }
        option += length;
        option += *option == ',';
    }
    return false;
}
