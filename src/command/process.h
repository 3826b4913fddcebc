/* What this process may do that copies could use. */
#ifndef OFFLOAD_PROCESS_H
#define OFFLOAD_PROCESS_H

/* Prints it, a line each. */
void process_print(void);

#endif
