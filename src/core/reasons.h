/* The reasons for which a copy is not offloaded, or not to its end. The one list is reasons.def. */
#ifndef LIBOFFLOAD_REASONS_H
#define LIBOFFLOAD_REASONS_H

enum reason {
#define REASON(name, words, cure) REASON_##name,
#include "reasons.def"
#undef REASON
    REASONS
};

/* The reason's name as reasons.def has it, in capitals: a constant. */
const char *reason_name(enum reason why);

/* The sentence that a user reads: a constant in plain English, without a full stop. */
const char *reason_words(enum reason why);

/* What a user can do about it, or that and why nothing is to be done: a constant, one sentence with its full stop. */
const char *reason_cure(enum reason why);

#endif
