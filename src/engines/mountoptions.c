#include "mountoptions.h"

#include "../core/syscalls.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* Of linux/mount.h and linux/stat.h, which lack them on many systems. The numbers are the same on all machines. */
#define STATMOUNT_CALL 457
#define WANTS_OPTIONS UINT64_C(0x80) /* STATMOUNT_MNT_OPTS */
#define UNIQUE_MOUNT_ID 0x4000U      /* STATX_MNT_ID_UNIQUE */

struct mount_request { /* struct mnt_id_req, its first version */
    uint32_t size, spare;
    uint64_t id;
    uint64_t wanted;
};

struct mount_answer { /* struct statmount */
    uint32_t size;
    uint32_t options; /* where in `text` they begin */
    uint64_t told;
    uint64_t others[62];
    char text[2048];
};

/* statx(2)'s buffer; libc's may lack the member, which lies at byte 144. */
union mount_status {
    struct statx st;
    uint64_t words[32];
};

static bool ask(int fd, struct mount_answer *answer)
{
    union mount_status status;
    struct mount_request request = {.size = sizeof request, .wanted = WANTS_OPTIONS};
    memset(&status, 0, sizeof status);
    if (KERNEL(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, UNIQUE_MOUNT_ID, &status) < 0 ||
        !(status.st.stx_mask & UNIQUE_MOUNT_ID))
        return false;
    request.id = status.words[144 / sizeof(uint64_t)];
    return KERNEL(STATMOUNT_CALL, &request, answer, sizeof *answer, 0) == 0 && answer->told & WANTS_OPTIONS &&
           answer->options < sizeof answer->text;
}

/* Whether the word is one of the list's, which commas part. */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

bool mount_has_option(int fd, const char *option, bool *has)
{
    struct mount_answer answer;
    if (!ask(fd, &answer))
        return false;
    answer.text[sizeof answer.text - 1] = '\0';
    *has = has_word(answer.text + answer.options, option);
    return true;
}
