/*
 * Quirks: which file systems and kernels an engine may be used on. What no line of the table allows is refused.
 */
#ifndef LIBOFFLOAD_QUIRKS_H
#define LIBOFFLOAD_QUIRKS_H

#include "../core/reasons.h"

#include <stdint.h>

/*
 * May the engine of that name be used on a file system of that type (statfs(2) f_type) under that kernel
 * (LINUX_VERSION_CODE form)? REASON_NONE, or why not.
 */
enum reason quirk_refuses(const char *engine, uint64_t fs_type, unsigned kernel);

#endif
