/* Why an engine does not serve two places, in words, with what would change it. */
#ifndef OFFLOAD_REFUSALS_H
#define OFFLOAD_REFUSALS_H

#include "places.h"
#include "trial.h"

/* What a file system is known to refuse though the library's table of quirks allows it. */
enum refusal {
    REFUSAL_UNKNOWN, /* nothing is known to stand against it */
    REFUSAL_SWAP,
    REFUSAL_NO_REFLINK,
    REFUSAL_TWO_MOUNTS,
    REFUSAL_NOCOW,
    REFUSAL_UPPER,
    REFUSAL_LOWER,
    REFUSAL_OTHER_BTRFS,
};

/*
 * What will make, or has made, the engine's call fail. `nocow`: the destination has, or would have, the attribute
 * +C. The trial tells what was tried and how it failed; after one that went well there is nothing.
 */
enum refusal refusal_find(const struct places *places, const struct trial *trial, bool nocow);

/* Prints both, beside the label. */
void refusal_print(const char *label, enum refusal refusal, const struct places *places);

/* The same for a reason of the library's; `error` is the errno behind it, or 0. `engine`: its name. */
void reason_print(const char *label, enum reason why, int error, const char *engine, const struct places *places,
                  const struct file_pair *pair);

/* A version (LINUX_VERSION_CODE form) as "6.1" or "6.1.53", in `text`, which it returns. */
char *kernel_version(unsigned version, char text[16]);

/* Whether this XFS, which the descriptor leads to, can share extents; false if it does not say. */
bool xfs_lacks_reflink(int fd);

/* Whether the file is in use as swap space (/proc/swaps). */
bool is_swap(const struct statx *status);

#endif
