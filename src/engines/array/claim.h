/*
 * Claims on block devices: an open with O_EXCL (open(2)), which the kernel grants to one holder at a time. Who mounts a
 * device, swaps to it or builds on it holds it so, and a holder of a partition keeps others from the whole disk. The bytes of
 * a mounted file system are not those of the device's own page cache, so that neither side may be in such use.
 *
 * They are held within one call of the program only: who wants to mount the device then is told that it is busy.
 */
#ifndef LIBOFFLOAD_CLAIM_H
#define LIBOFFLOAD_CLAIM_H

#include "../engine.h"

/* Descriptors, which read past the page cache and move no time of access; or -1: that side is a file, or not claimed. */
struct claims {
    int source, destination;
};

/*
 * Claims what is raw of the pair. REASON_NONE, or CLAIMED and nothing is held. Opens and closes the device anew, which
 * drops the process's locks on its node (fcntl(2)): a device that anybody has locked so is not claimed. All signals must
 * be blocked, and the process have one thread.
 */
enum reason claims_take(const struct file_pair *pair, struct claims *claims);

/* Gives them back. */
void claims_give(const struct claims *claims);

#endif
