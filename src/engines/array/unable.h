/*
 * Pairs of disks that are known not to copy, for this process: disks are asked once, not at each copy. A disk that is
 * exchanged for another of the same number is not asked again, which costs no more than the offload.
 */
#ifndef LIBOFFLOAD_UNABLE_H
#define LIBOFFLOAD_UNABLE_H

#include "../../core/reasons.h"

#include <sys/types.h>

/* Why they cannot, or REASON_NONE if that is not known. Safe in any thread and signal handler, as all here. */
enum reason unable_why(dev_t source, dev_t destination);

/* Notes it, if there is room. REASON_NONE is not noted. */
void unable_remember(dev_t source, dev_t destination, enum reason why);

#endif
