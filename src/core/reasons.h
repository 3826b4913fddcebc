/* The reasons for which a copy is not offloaded, or not to its end. The one list is reasons.def. */
#ifndef LIBOFFLOAD_REASONS_H
#define LIBOFFLOAD_REASONS_H

enum reason {
#define REASON(name, words) REASON_##name,
#include "reasons.def"
#undef REASON
    REASONS
};

/* The sentence that a user reads: a constant in plain English, without a full stop. */
const char *reason_words(enum reason why);

#endif
