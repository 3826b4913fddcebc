#include "originals.h"

#include "../core/syscalls.h"

#include <dlfcn.h>
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

/* What a name leads to that no later object defines: a program can meet it only through dlsym(3) or a weak symbol. */
static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

/* Until the constructor has run, each original is a function of its own that does what calls.def says under `before`. */
#define SYSTEM(number, ...) early_result(KERNEL(SYS_##number, __VA_ARGS__))
#define LATE(name, ...) (originals_resolve(), original_##name(__VA_ARGS__))
#define CALL(returns, name, parameters, before)                                                                        \
    static returns early_##name parameters                                                                             \
    {                                                                                                                  \
        return (returns)(before);                                                                                      \
    }                                                                                                                  \
    returns(*original_##name) parameters = early_##name;
#define TWIN(twin, name)
#define HANDOVER(name) void (*original_##name)(void);
#define ENDING(name) HANDOVER(name)
#define FAMILY_ALL
#include "calls.def"
#undef CALL
#undef HANDOVER
#undef ENDING

struct original {
    const char *name;
    void *variable; /* &original_NAME */
};

static const struct original originals[] = {
#define CALL(returns, name, parameters, before) {#name, (void *)&original_##name},
#define HANDOVER(name) {#name, (void *)&original_##name},
#define ENDING(name) HANDOVER(name)
#include "calls.def"
};

void originals_resolve(void)
{
    if (originals_resolved)
        return;
    for (size_t i = 0; i < sizeof originals / sizeof *originals; i++) {
        void *found = dlsym(RTLD_NEXT, originals[i].name);
        if (!found)
            found = (void *)missing;
        __atomic_store_n((void **)originals[i].variable, found, __ATOMIC_RELAXED);
    }
    originals_resolved = true;
}
