#include "reasons.h"

static const char *const words[] = {
#define REASON(name, sentence) sentence,
#include "reasons.def"
#undef REASON
};

const char *reason_words(enum reason why)
{
    return words[why];
}
