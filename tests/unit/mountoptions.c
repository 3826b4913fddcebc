/* What the kernel tells of a mount's options. */
#include "engines/mountoptions.h"

#include "files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool tells_options(void)
{
    struct utsname name;
    unsigned major = 0, minor = 0;
    uname(&name);
    return sscanf(name.release, "%u.%u", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 11));
}

/* A directory of a mount that has options of its own, which are put into `options`; -1 if there is none. */
static int open_mount_with_options(char *options, size_t size)
{
    char line[4096], point[4096];
    FILE *file = fopen("/proc/self/mountinfo", "r");
    int fd = -1;
    cr_assert_not_null(file);
    while (fd < 0 && fgets(line, sizeof line, file)) {
        const char *last = strrchr(line, ' ') + 1;
        if (!strchr(last, ',') || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
            continue;
        fd = open(point, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
        snprintf(options, size, "%.*s", (int)strcspn(last, "\n"), last);
    }
    fclose(file);
    return fd;
}

Test(mountoptions, what_mountinfo_shows_is_found)
{
    char options[4096];
    bool has = false;
    if (!tells_options())
        cr_skip_test("this kernel does not tell the options of a mount: it is older than 6.11");
    int fd = open_mount_with_options(options, sizeof options);
    if (fd < 0)
        cr_skip_test("no mount here has options");
    /* The first says whether it is read-only, which is told in another way. */
    strtok(options, ",");
    for (char *word = strtok(NULL, ","); word; word = strtok(NULL, ",")) {
        cr_expect(mount_has_option(fd, word, &has));
        cr_expect(has, "%s", word);
        word[strlen(word) - 1] = '\0';
        cr_expect(!mount_has_option(fd, word, &has) || !has, "only a part: %s", word);
    }
    cr_expect(mount_has_option(fd, "cache=none", &has));
    cr_expect_not(has);
}

Test(mountoptions, what_is_no_descriptor_tells_nothing)
{
    bool has;
    cr_expect_not(mount_has_option(-1, "rw", &has));
}
