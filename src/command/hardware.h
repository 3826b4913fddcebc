/* The disks and drives of the machine, and whether they can copy by themselves. */
#ifndef OFFLOAD_HARDWARE_H
#define OFFLOAD_HARDWARE_H

/*
 * Prints a line for each SCSI disk and each NVMe namespace, under two headings. Each is asked, by the engine that would
 * have it copy, where the user may; one that does not answer is not waited for.
 */
void hardware_print(void);

#endif
