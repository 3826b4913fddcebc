/* Mounts of file servers: what their protocol allows. Nothing here asks a server. */
#ifndef OFFLOAD_SERVERS_H
#define OFFLOAD_SERVERS_H

#include "mounts.h"

/* Whether the mount is one of a file server, as far as the engines know such. */
bool mount_is_remote(const struct mount *mount);

/* What the mount speaks, as "NFS 4.2", or "" if it does not tell; in `text`, which is returned. */
char *mount_protocol(const struct mount *mount, char text[16]);

/* What to do if the mount speaks a version in which no server copies: a sentence. NULL if not, or not known. */
const char *mount_too_old(const struct mount *mount);

/* Whether its client believes a lease (SMB): then only what programs leave to the kernel is copied by the server. */
bool mount_is_leased(const struct mount *mount);

/* Whether it is one on which copies cannot be proven by what the kernel counts (SMB without cache=strict). */
bool mount_is_uncounted(const struct mount *mount);

/* Whether two mounts are known to be of two servers, or of one under two addresses. */
bool mounts_of_two_servers(const struct mount *a, const struct mount *b);

#endif
