#include "reasons.h"

static const struct {
    const char *name, *words, *cure;
} reasons[] = {
#define REASON(name, sentence, cure) {#name, sentence, cure},
#include "reasons.def"
#undef REASON
};

const char *reason_name(enum reason why)
{
    return reasons[why].name;
}

const char *reason_words(enum reason why)
{
    return reasons[why].words;
}

const char *reason_cure(enum reason why)
{
    return reasons[why].cure;
}
