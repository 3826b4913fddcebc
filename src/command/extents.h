/* Whether a file shares its extents, as the file system tells it: the witness of a copy that the kernel made. */
#ifndef OFFLOAD_EXTENTS_H
#define OFFLOAD_EXTENTS_H

#include <stdint.h>

enum extents {
    EXTENTS_UNKNOWN, /* the files cannot be opened or asked, or have too many extents to be looked at */
    EXTENTS_APART,   /* some of the destination is its own */
    EXTENTS_SHARED,  /* all of it lies where the source's bytes lie */
};

/*
 * Asks for both files, by their names. Takes a second at most, also where a server is gone: after one that did not
 * answer none is asked any more.
 */
enum extents extents_compare(const char *source, const char *destination);

#endif
