#include "extents.h"

#include "asking.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WITHIN 1000 /* milliseconds */
#define AT_ONCE 128
#define CALLS_MAX 64

/* Extents whose place on the disk says nothing. */
#define NO_PLACE (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_ENCODED)

struct pair {
    const char *source, *destination;
};

union map {
    struct fiemap head;
    char room[sizeof(struct fiemap) + AT_ONCE * sizeof(struct fiemap_extent)];
};

/* Only a regular file: to open another can do something. */
static int open_file(const char *name)
{
    struct stat status;
    if (*name != '/' || stat(name, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    return open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool read_map(int fd, uint64_t from, uint64_t n, union map *map)
{
    map->head = (struct fiemap){.fm_start = from, .fm_length = n, .fm_extent_count = AT_ONCE};
    return ioctl(fd, FS_IOC_FIEMAP, &map->head) == 0;
}

/* Whether the source keeps its bytes of that part in the same place of the disk. */
static enum extents compare_part(int source, const struct fiemap_extent *part)
{
    union map map;
    uint64_t covered = part->fe_logical;
    if (!read_map(source, part->fe_logical, part->fe_length, &map))
        return EXTENTS_UNKNOWN;
    for (unsigned i = 0; i < map.head.fm_mapped_extents; i++) {
        const struct fiemap_extent *e = &map.head.fm_extents[i];
        if (e->fe_logical > covered || e->fe_physical - e->fe_logical != part->fe_physical - part->fe_logical)
            return EXTENTS_APART;
        covered = e->fe_logical + e->fe_length;
    }
    if (covered >= part->fe_logical + part->fe_length)
        return EXTENTS_SHARED;
    return map.head.fm_mapped_extents < AT_ONCE ? EXTENTS_APART : EXTENTS_UNKNOWN;
}

static enum extents compare_extent(int source, const struct fiemap_extent *extent)
{
    if (extent->fe_flags & FIEMAP_EXTENT_SHARED && !(extent->fe_flags & NO_PLACE))
        return compare_part(source, extent);
    return EXTENTS_APART;
}

static enum extents compare(int source, int destination)
{
    union map map;
    uint64_t next = 0;
    for (unsigned calls = 0; calls < CALLS_MAX; calls++) {
        if (!read_map(destination, next, FIEMAP_MAX_OFFSET - next, &map))
            return EXTENTS_UNKNOWN;
        for (unsigned i = 0; i < map.head.fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &map.head.fm_extents[i];
            enum extents found = compare_extent(source, extent);
            if (found != EXTENTS_SHARED)
                return found;
            next = extent->fe_logical + extent->fe_length;
            if (extent->fe_flags & FIEMAP_EXTENT_LAST)
                return EXTENTS_SHARED;
        }
        /* A file that is one hole proves nothing. */
        if (map.head.fm_mapped_extents < AT_ONCE)
            return next ? EXTENTS_SHARED : EXTENTS_UNKNOWN;
    }
    return EXTENTS_UNKNOWN;
}

static void ask(const void *what, void *answer)
{
    const struct pair *pair = what;
    enum extents *found = answer;
    int source = open_file(pair->source);
    int destination = open_file(pair->destination);
    if (source >= 0 && destination >= 0)
        *found = compare(source, destination);
}

enum extents extents_compare(const char *source, const char *destination)
{
    static bool hangs;
    const struct pair pair = {source, destination};
    enum extents found = EXTENTS_UNKNOWN;
    if (hangs)
        return EXTENTS_UNKNOWN;
    hangs = !ask_within(WITHIN, ask, &pair, &found, sizeof found);
    return found;
}
