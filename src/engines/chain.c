#include "engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct engine *const engines[] = {&engine_clone, &engine_array, &engine_server, &engine_kernel, NULL};

const struct engine *const *engine_list(void)
{
    return engines;
}

unsigned engine_bit(const char *name, size_t n)
{
    for (unsigned i = 0; engines[i]; i++)
        if (strlen(engines[i]->name) == n && memcmp(engines[i]->name, name, n) == 0)
            return 1U << i;
    return 0;
}

bool engine_any_beyond_kernel(unsigned allowed)
{
    for (unsigned i = 0; engines[i]; i++)
        if (engines[i]->beyond_kernel && allowed >> i & 1)
            return true;
    return false;
}

enum reason engine_refusal(unsigned place, const struct file_pair *pair, unsigned allowed)
{
    if (!(allowed >> place & 1))
        return REASON_NO_ENGINE;
    bool raw = pair->raw_source || pair->raw_destination;
    return raw && !engines[place]->raw ? REASON_NOT_REGULAR : engines[place]->refuses(pair);
}

/* Says only that the files are another engine's. */
static bool is_beside_the_point(enum reason why)
{
    return why == REASON_NO_ENGINE || why == REASON_ON_SERVER || why == REASON_NO_ARRAY_FS;
}

const struct engine *engine_choose(const struct file_pair *pair, unsigned allowed, enum reason *why)
{
    *why = REASON_NO_ENGINE;
    for (unsigned i = 0; engines[i]; i++) {
        enum reason refusal = engine_refusal(i, pair, allowed);
        if (refusal == REASON_NONE)
            return engines[i];
        /* Where the disks would copy, what keeps them from it is more than what no other engine can do. */
        if (refusal != REASON_NOT_REGULAR && (is_beside_the_point(*why) || refusal == REASON_UNWRITTEN))
            *why = refusal;
    }
    return NULL;
}
