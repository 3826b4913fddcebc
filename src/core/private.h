/* Descriptors of the library's own in the program's table: close-on-exec, and far above what the program is given. */
#ifndef LIBOFFLOAD_PRIVATE_H
#define LIBOFFLOAD_PRIVATE_H

/*
 * Moves a descriptor up, out of the program's way. Takes and returns a descriptor or a negative errno. The low number
 * was taken for a moment: only where no other thread can see that.
 */
int private_descriptor(long low);

#endif
