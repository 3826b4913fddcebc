#include "underway.h"

extern char __libc_single_threaded __attribute__((weak));

static const char several_threads; /* is zero */

unsigned underway_writes;
const char *underway_single = &several_threads;

#if GLIBC_SAYS_ALWAYS
void underway_start(void)
{
    if (&__libc_single_threaded)
        underway_single = &__libc_single_threaded;
}
#else
/* Bound when the program is loaded, if libpthread is there then. */
extern char pthread_create __attribute__((weak));

static const char one_thread = 1;
static bool loads; /* the program has loaded something that may have brought libpthread */

void underway_start(void)
{
    if (&__libc_single_threaded)
        underway_single = &__libc_single_threaded;
    else if (!&pthread_create && !loads)
        underway_single = &one_thread;
}

void underway_loading(void)
{
    loads = true;
    if (underway_single == &one_thread)
        underway_single = &several_threads;
}

bool underway_told(void)
{
    return underway_single == &one_thread;
}
#endif

#if GLIBC_SAYS_ALWAYS && !THREADS_ARE_SEEN
bool underway_told(void)
{
    return false;
}
#endif
