#include "smb.h"

#include "../core/syscalls.h"

#include <stddef.h>
#include <sys/ioctl.h>

/* The ioctl CIFS_QUERY_INFO and what it takes, which no header for programs has (fs/smb/client/cifs_ioctl.h). */
struct query {
    uint32_t type, class, additional, flags;
    uint32_t answer; /* room for the answer, in bytes; afterwards, its length */
    uint32_t question;
};

#define QUERY_INFO _IOWR(0xcf, 7, struct query)
#define OF_A_FILE 1                 /* SMB2_0_INFO_FILE, [MS-SMB2] 2.2.37 */
#define NETWORK_OPEN_INFORMATION 34 /* [MS-FSCC] 2.4.29 */

/* FileNetworkOpenInformation: numbers are little-endian, as all machines that we know the system calls of. */
struct network_open_information {
    uint64_t created, accessed, written, changed;
    int64_t allocation, end;
    uint32_t attributes, reserved;
};

/* Such times count tenths of microseconds since 1601. */
#define TICKS_PER_SECOND 10000000
#define FROM_1601_TO_1970 11644473600

static struct timespec from_ticks(uint64_t ticks)
{
    return (struct timespec){
        .tv_sec = (time_t)(ticks / TICKS_PER_SECOND) - FROM_1601_TO_1970,
        .tv_nsec = (long)(ticks % TICKS_PER_SECOND) * 100,
    };
}

bool smb_ask(int fd, struct file_state *state)
{
    struct {
        struct query query;
        struct network_open_information said;
    } ask = {.query = {.type = OF_A_FILE, .class = NETWORK_OPEN_INFORMATION, .answer = sizeof ask.said}};
    _Static_assert(offsetof(typeof(ask), said) == sizeof(struct query), "the answer follows");
    if (KERNEL(SYS_ioctl, fd, QUERY_INFO, &ask) < 0 || ask.query.answer != sizeof ask.said)
        return false;
    *state = (struct file_state){
        .size = ask.said.end, .modified = from_ticks(ask.said.written), .changed = from_ticks(ask.said.changed)};
    return true;
}
