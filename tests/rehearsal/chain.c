/* The chain of engines with the one for tests in it, before the kernel's. */
#include "engines/engine.h"

extern const struct engine engine_rehearsal;

#define engine_kernel engine_rehearsal, &engine_kernel
#include "engines/chain.c"
