/*
 * Static probes (USDT) of provider "liboffload", for bpftrace, perf and SystemTap: a nop each where nobody listens, and
 * nothing where the library was built without <sys/sdt.h>. liboffload(7) describes them.
 */
#ifndef LIBOFFLOAD_PROBES_H
#define LIBOFFLOAD_PROBES_H

#include "config.h"

#ifdef HAVE_SYS_SDT_H
#include <sys/sdt.h>
#else
#define STAP_PROBE2(provider, name, a, b) ((void)(a), (void)(b))
#define STAP_PROBE4(provider, name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

/* What is written to a descriptor is what was read from another: a session begins. */
#define PROBE_RECOGNISE(source, destination) STAP_PROBE2(liboffload, recognise, source, destination)

/* An engine has put bytes into the destination, from an offset on. */
#define PROBE_OFFLOAD(destination, offset, bytes, engine) \
    STAP_PROBE4(liboffload, offload, destination, offset, bytes, engine)

/* A session ends, for a reason (reason_name()). */
#define PROBE_SETTLE(destination, reason) STAP_PROBE2(liboffload, settle, destination, reason)

/* What could have been a copy is left to the program's own calls, for a reason. */
#define PROBE_REFUSE(destination, reason) STAP_PROBE2(liboffload, refuse, destination, reason)

#endif
