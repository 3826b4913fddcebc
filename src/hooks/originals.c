#include "originals.h"

#include "../core/syscalls.h"
#include "lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

bool originals_resolved;

/* A system call's result as libc would return it. */
static long early_result(long result)
{
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

/* A process call that no later object defines: a program can meet it only through dlsym(3) or a weak symbol. */
static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

/* Until the constructor has run, each original is a function of its own: calls.def says under `before` what it does. */
#define SYSTEM(number, ...) early_result(KERNEL(SYS_##number, __VA_ARGS__))
/* Every libc since 2.28 has those that are LATE; the trap is there so that one without ends here, not in a loop. */
#define LATE(name, ...) \
    (originals_resolve(), original_##name == early_##name ? __builtin_trap() : (void)0, original_##name(__VA_ARGS__))
#define CALL(returns, name, parameters, before) \
    static returns early_##name parameters      \
    {                                           \
        return (returns)(before);               \
    }                                           \
    returns(*original_##name) parameters = early_##name;
#define HOOK_ONLY(name)
#define TWIN(twin, name)
#define HANDOVER(name) void (*original_##name)(void) = (void (*)(void))missing;
#define ENDING(name) HANDOVER(name)
#define LENDING(name) HANDOVER(name)
#define THREADING(name) HANDOVER(name)
#define FAMILY_ALL
#include "calls.def"
#undef CALL
#undef HANDOVER
#undef ENDING
#undef LENDING
#undef THREADING

static const struct wanted originals[] = {
#define CALL(returns, name, parameters, before) {#name, (void *)&original_##name},
#define HANDOVER(name) {#name, (void *)&original_##name},
#define ENDING(name) HANDOVER(name)
#define LENDING(name) HANDOVER(name)
#define THREADING(name) HANDOVER(name)
#include "calls.def"
};

void originals_resolve(void)
{
    if (originals_resolved)
        return;
    lookup_next(originals, sizeof originals / sizeof *originals);
    originals_resolved = true;
}
