/*
 * Signals while the core is at work: none of the program's handlers may run then, for it could come back into the core.
 * All of these are safe anywhere and leave errno alone.
 */
#ifndef LIBOFFLOAD_SIGNALS_H
#define LIBOFFLOAD_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Blocks all signals; *blocked receives what was blocked before, as the kernel's mask (bit i: signal i + 1). */
void signals_block(uint64_t *blocked);

/* Blocks these and no others. */
void signals_restore(uint64_t blocked);

/*
 * Whether one of the others has come since. Those that the program ignores do not count: without us the kernel would not
 * have kept them.
 */
bool signals_wait(uint64_t blocked);

/*
 * Before waiting for a server, after signals_block(): lets through the signals that end the process at once, because
 * the program has left them their default action and does not block them. A plain call that waits for a server that has
 * gone is ended by them too (TASK_KILLABLE). Only in a process of one thread: in another, a second thread takes such a
 * signal, and could give it a handler meanwhile.
 */
void signals_let_end(uint64_t blocked);

#endif
