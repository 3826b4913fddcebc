#include "engine.h"

#include <stddef.h>

static const struct engine *const engines[] = {&engine_clone, &engine_kernel, NULL};

const struct engine *const *engine_list(void)
{
    return engines;
}

const struct engine *engine_choose(const struct file_pair *pair, unsigned allowed, enum reason *why)
{
    *why = REASON_NO_ENGINE;
    for (unsigned i = 0; engines[i]; i++) {
        enum reason refusal = allowed >> i & 1 ? engines[i]->refuses(pair) : REASON_NO_ENGINE;
        if (refusal == REASON_NONE)
            return engines[i];
        if (*why == REASON_NO_ENGINE)
            *why = refusal;
    }
    return NULL;
}
