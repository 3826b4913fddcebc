#include "sysfstree.h"

#include "engines/array/sysfs.h"
#include "files.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

char sysfstree[256];

void sysfstree_plant(void)
{
    static char with_slash[sizeof sysfstree + 1];
    snprintf(sysfstree, sizeof sysfstree, "%s/offload-unit.XXXXXX", files_directory());
    cr_assert_not_null(mkdtemp(sysfstree));
    snprintf(with_slash, sizeof with_slash, "%s/", sysfstree);
    sysfs_devices = with_slash;
}

void sysfstree_uproot(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", sysfstree);
    if (*sysfstree)
        cr_assert_eq(system(command), 0);
}

void sysfstree_put(const char *device, const char *file, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s/%s", sysfstree, device, file);
    for (char *c = path + strlen(sysfstree) + 1; (c = strchr(c, '/')) != NULL; c++) {
        *c = '\0';
        mkdir(path, 0700);
        *c = '/';
    }
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out, "%s", path);
    fputs(text, out);
    fclose(out);
}

void sysfstree_link(const char *device, const char *link, const char *target)
{
    char path[600], folder[600];
    snprintf(folder, sizeof folder, "%s/%s/device", sysfstree, device);
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/%s/%s", sysfstree, device, link);
    cr_assert_eq(symlink(target, path), 0);
}

void sysfstree_put_scsi(dev_t number, uint64_t sectors)
{
    char device[32], size[32];
    snprintf(device, sizeof device, "%u:%u", major(number), minor(number));
    snprintf(size, sizeof size, "%" PRIu64 "\n", sectors);
    sysfstree_put(device, "size", size);
    sysfstree_link(device, "device/subsystem", "../../../bus/scsi");
}
