/*
 * diskcopy [-e ENGINE] [-r BYTES] [-c COUNT] SOURCE DESTINATION [FROM:TO:BYTES...]
 *
 * Has disks copy by themselves, with the library's engines for them and nothing else of it: byte ranges, or without
 * ranges as much as both disks have, from and to their starts. Ranges longer than the disks take are cut; -r cuts them
 * shorter, and -c sends no more than so many in a command.
 *
 * Prints "open ENGINE REASON", what the disks take, "command RANGES BYTES MICROSECONDS" for each, and "bytes N".
 * Exit status: 0, or 1 if the disks do not copy, with the reason, or "error ERRNO" after the commands that were done.
 */
#include "engines/array/device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct disk_range *ranges;
static size_t ranges_count;
static uint64_t shortest = UINT64_MAX;
static unsigned most = UINT32_MAX;

static void fail(const char *what, const char *which)
{
    fprintf(stderr, "diskcopy: %s: %s\n", which, what);
    exit(2);
}

static void append(struct disk_range range)
{
    ranges = realloc(ranges, (ranges_count + 1) * sizeof *ranges);
    if (!ranges)
        fail(strerror(errno), "ranges");
    ranges[ranges_count++] = range;
}

/* In pieces that the disks take. */
static void append_cut(const struct disk_pair *pair, struct disk_range range)
{
    uint64_t step = shortest < pair->range_bytes ? shortest : pair->range_bytes;
    while (range.n) {
        uint64_t n = range.n < step ? range.n : step;
        append((struct disk_range){range.from, range.to, n});
        range = (struct disk_range){range.from + n, range.to + n, range.n - n};
    }
}

static void take_range(const struct disk_pair *pair, const char *text)
{
    struct disk_range range;
    if (sscanf(text, "%" SCNu64 ":%" SCNu64 ":%" SCNu64, &range.from, &range.to, &range.n) != 3)
        fail("not FROM:TO:BYTES", text);
    append_cut(pair, range);
}

static dev_t device_of(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        fail(strerror(errno), path);
    if (!S_ISBLK(status.st_mode))
        fail("not a block device", path);
    return status.st_rdev;
}

static const struct disk_engine *open_disks(struct disk_pair *pair, const char *wanted, char **paths)
{
    static const struct disk_engine *const engines[] = {&disk_scsi, &disk_nvme, NULL};
    dev_t source = device_of(paths[0]), destination = device_of(paths[1]);
    for (int i = 0; engines[i]; i++) {
        if (wanted && strcmp(wanted, engines[i]->name) != 0)
            continue;
        enum reason why = engines[i]->open(pair, source, destination);
        printf("open %s %s\n", engines[i]->name, reason_name(why));
        if (why == REASON_NONE)
            return engines[i];
    }
    return NULL;
}

static uint64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* One command. Returns how many ranges it was, or a negative errno. */
static int copy_some(const struct disk_engine *engine, const struct disk_pair *pair, size_t at, uint64_t *bytes)
{
    size_t left = ranges_count - at;
    uint64_t begin = microseconds(), n = 0;
    int done = engine->copy(pair, ranges + at, left < most ? (unsigned)left : most);
    if (done < 0)
        return done;
    for (int i = 0; i < done; i++)
        n += ranges[at + (size_t)i].n;
    printf("command %d %" PRIu64 " %" PRIu64 "\n", done, n, microseconds() - begin);
    fflush(stdout);
    *bytes += n;
    return done;
}

static int copy_all(const struct disk_engine *engine, const struct disk_pair *pair)
{
    uint64_t bytes = 0;
    int done = 0;
    for (size_t at = 0; at < ranges_count && done >= 0; at += (size_t)done) {
        done = copy_some(engine, pair, at, &bytes);
        if (done < 0)
            break;
    }
    printf("bytes %" PRIu64 "\n", bytes);
    if (done < 0)
        printf("error %d\n", -done);
    return done < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct disk_pair pair;
    const char *wanted = NULL;
    int option;
    while ((option = getopt(argc, argv, "e:r:c:")) != -1) {
        if (option == 'e')
            wanted = optarg;
        else if (option == 'r')
            shortest = strtoull(optarg, NULL, 10);
        else if (option == 'c')
            most = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    if (argc - optind < 2)
        fail("two disks are needed", "usage");
    const struct disk_engine *engine = open_disks(&pair, wanted, argv + optind);
    if (!engine)
        return 1;
    printf("block %u sector %u ranges %u range %" PRIu64 " command %" PRIu64 "\n", pair.block, pair.sector, pair.ranges,
           pair.range_bytes, pair.command_bytes);
    for (int i = optind + 2; i < argc; i++)
        take_range(&pair, argv[i]);
    if (argc - optind == 2)
        append_cut(&pair, (struct disk_range){.n = pair.sizes[0] < pair.sizes[1] ? pair.sizes[0] : pair.sizes[1]});
    int status = copy_all(engine, &pair);
    engine->close(&pair);
    return status;
}
