/*
 * The kernel's interfaces for lazy buffers, where the headers of the build machine are older than they: userfaultfd's
 * from linux/userfaultfd.h of Linux 6.6, PAGEMAP_SCAN and PROCMAP_QUERY from linux/fs.h of Linux 6.7 and 6.11.
 */
#ifndef LIBOFFLOAD_UFFD_H
#define LIBOFFLOAD_UFFD_H

#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#ifndef UFFDIO_POISON
#define UFFDIO_POISON _IOWR(0xAA, 0x08, struct uffdio_poison)
struct uffdio_poison {
    struct uffdio_range range;
    uint64_t mode;
    int64_t updated;
};
#endif

struct page_region_found {
    uint64_t start, end, categories;
};

struct pagemap_scan {
    uint64_t size, flags, start, end, walk_end, vector, vector_length, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_PAGES _IOWR('f', 16, struct pagemap_scan)
#define PAGE_PRESENT (1 << 3)
#define PAGE_SWAPPED (1 << 4)

/* PROCMAP_QUERY, on a descriptor of /proc/PID/maps. */
struct map_query {
    uint64_t size, flags, address;
    uint64_t start, end, map_flags, page_size, offset, inode;
    uint32_t device_major, device_minor, name_size, build_id_size;
    uint64_t name, build_id;
};

#define QUERY_MAP _IOWR('f', 17, struct map_query)
#define MAP_READABLE 0x01
#define MAP_WRITABLE 0x02
#define MAP_IS_SHARED 0x08
#define MAP_THERE_OR_NEXT 0x10
#define MAP_OF_FILE 0x20

#endif
