/*
 * Quirks: which file systems and kernels an engine may be used on. What no line of the table allows is refused.
 */
#ifndef LIBOFFLOAD_QUIRKS_H
#define LIBOFFLOAD_QUIRKS_H

#include "../core/reasons.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first kernel of an engine that may be used on none. */
#define QUIRK_NEVER UINT32_MAX

struct quirk {
    const char *engine;
    const char *name;   /* the file system, as mount(8) and /proc/filesystems call it */
    uint64_t fs_type;   /* statfs(2) f_type */
    uint32_t since;     /* the first kernel on which the engine may be used here, or QUIRK_NEVER */
    enum reason before; /* what is said of a kernel before that */
};

/* The table, for those who show it; the first line for an engine and a file system counts. */
extern const struct quirk quirks[];
extern const size_t quirks_count;

/* Whether that type (statfs(2) f_type) is the kernel's SMB client's: smb3 and cifs have numbers of their own. */
bool fs_is_smb(uint64_t fs_type);

/*
 * May the engine of that name be used on a file system of that type (statfs(2) f_type) under that kernel
 * (LINUX_VERSION_CODE form)? REASON_NONE, or why not.
 */
enum reason quirk_refuses(const char *engine, uint64_t fs_type, unsigned kernel);

#endif
