/* What an SMB server says of a file, past the lease by which the client answers for itself. */
#ifndef LIBOFFLOAD_SMB_H
#define LIBOFFLOAD_SMB_H

#include "../core/guards.h"

/*
 * Asks the server for size, time of modification and time of change of the file behind a descriptor on an SMB mount;
 * times as the kernel's client would have them. The rest of *state is zero. False if the server, or the client, does
 * not tell. May wait for the server. Needs Linux 5.0; no privilege.
 */
bool smb_ask(int fd, struct file_state *state);

#endif
