/* Questions that may never be answered: a file system whose server is gone, a drive that hangs. */
#ifndef OFFLOAD_ASKING_H
#define OFFLOAD_ASKING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Runs ask(what, answer) in a child process and brings the answer's `size` bytes, of which the child starts with those
 * that are there. False if it gave none within that many milliseconds; the child is then left to the kernel, which may
 * hold it for as long as the server is gone, with no file of ours but the pipe open.
 */
bool ask_within(int milliseconds, void (*ask)(const void *what, void *answer), const void *what, void *answer,
                size_t size);

#endif
