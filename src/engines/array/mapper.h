/* Tables of the device mapper, as far as they are linear (Documentation/admin-guide/device-mapper/linear.rst). */
#ifndef LIBOFFLOAD_MAPPER_H
#define LIBOFFLOAD_MAPPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MAPPER_TARGETS 16

/* In bytes: n from `at` on lie on `device` from `offset` on. */
struct mapper_target {
    uint64_t at, n, offset;
    dev_t device;
};

/*
 * The device's table, which is live and not about to be exchanged: how many targets it has, or -1 if it has others than
 * linear ones, too many, or cannot be asked: that needs CAP_SYS_ADMIN and /dev/mapper/control.
 */
int mapper_table(dev_t device, struct mapper_target targets[MAPPER_TARGETS]);

/* For tests: what is asked in the kernel's place. */
extern int (*mapper_instead)(dev_t device, struct mapper_target targets[MAPPER_TARGETS]);

/* What mapper_table() makes of the `size` bytes that the kernel gave behind its header; for it and for tests. */
int mapper_parse(const char *data, uint32_t size, uint32_t count, struct mapper_target targets[MAPPER_TARGETS]);

#endif
