/* The disks and drives of the machine, and whether they say that they can copy by themselves. */
#ifndef OFFLOAD_HARDWARE_H
#define OFFLOAD_HARDWARE_H

/* Prints a line for each SCSI disk and each NVMe controller, under two headings. */
void hardware_print(void);

#endif
