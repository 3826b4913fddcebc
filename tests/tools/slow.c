/*
 * slow FILE OFFSET
 *
 * Writes 4096 times "W" there by one pwrite(2), from memory that is filled late: prints "writing" when the kernel waits for it,
 * with the file's lock held, goes on at a line from standard input, and prints "written" in the end.
 *
 * Exit status: 0, or 1 after an error of a call; 2 if misused.
 */
#include "../older.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char bytes[4096];

static void *fill_late(void *faults)
{
    struct uffd_msg message;

    if (read(*(int *)faults, &message, sizeof(message)) != sizeof(message))
        return NULL;
    puts("writing");
    getchar();
    struct uffdio_copy fill = {.dst = message.arg.pagefault.address & -(uintptr_t)sizeof(bytes),
                               .src = (uintptr_t)bytes,
                               .len = sizeof(bytes)};
    ioctl(*(int *)faults, UFFDIO_COPY, &fill);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    char *page = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open(argv[1], O_WRONLY), faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api version = {.api = UFFD_API};
    struct uffdio_register range = {.range = {(uintptr_t)page, sizeof(bytes)}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    pthread_t thread;

    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(bytes, 'W', sizeof(bytes));
    if (page == MAP_FAILED || ioctl(faults, UFFDIO_API, &version) < 0 || ioctl(faults, UFFDIO_REGISTER, &range) < 0 ||
        pthread_create(&thread, NULL, fill_late, &faults) != 0)
        return 1;
    if (pwrite(fd, page, sizeof(bytes), strtol(argv[2], NULL, 10)) != sizeof(bytes))
        return 1;
    puts("written");
    return 0;
}
