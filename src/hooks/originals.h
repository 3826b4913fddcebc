/*
 * The functions that our hooks stand in front of, as the next object in the program's search order has them: libc's,
 * or another preloaded library's.
 *
 * Each is a variable `original_NAME`, made from calls.def. It can be called at any time, also from a signal handler: its first call
 * looks the function up, stores it there, and goes on to it (docs/decisions/024).
 */
#ifndef LIBOFFLOAD_ORIGINALS_H
#define LIBOFFLOAD_ORIGINALS_H

#include <aio.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <utime.h>
#include <utmp.h>

struct file_handle;
struct open_how;
struct statx;
struct mmsghdr;

#define CALL(returns, name, parameters, ...) extern returns(*original_##name) parameters;
#define HOOK_ONLY(name)
#define TWIN(twin, name)
#define HANDOVER(name) extern void (*original_##name)(void);
#define ENDING(name) HANDOVER(name)
#define LENDING(name) HANDOVER(name)
#define CLONING(name) HANDOVER(name)
#define THREADING(name) HANDOVER(name)
#define FAMILY_ALL
#include "calls.def"
#undef FAMILY_ALL
#undef CALL
#undef TWIN
#undef HANDOVER
#undef HOOK_ONLY
#undef ENDING
#undef LENDING
#undef CLONING
#undef THREADING

/*
 * The constructor's own: what is loaded now is what originals are looked up in. Where that could need the dynamic linker's help,
 * which a signal handler may not ask for, all are looked up at once.
 */
void originals_start(void);

#endif
