/*
 * Pairs of SCSI disks that were seen to copy, for this process, and what the second one takes in a command. They are known
 * by what the disks call themselves, which is asked at each copy, and not by where this machine finds them: a disk that has
 * come to another's place is another one here too.
 */
#ifndef LIBOFFLOAD_ABLE_H
#define LIBOFFLOAD_ABLE_H

#include "device.h"
#include "scsi_parameters.h"

/* Whether the disks by these names are known to copy from the first to the second; then *limits. Safe in any thread and signal handler. */
bool able_knows(const struct disk_pair *pair, struct scsi_limits *limits);

/* Notes them, if there is room. Safe likewise. */
void able_remember(const struct disk_pair *pair, const struct scsi_limits *limits);

#endif
