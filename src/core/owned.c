#include "owned.h"

#include "syscalls.h"
#include "table.h"

#include <string.h>
#include <sys/stat.h>

uint8_t owned[OWNED_RANGE];
bool owned_lent;

bool owned_is_childs(void)
{
    return table_is_anothers();
}

void owned_lend(void)
{
    /* There must be one to tell a child by. */
    table_make_own();
    owned_lent = true;
}

void owned_forget_all(void)
{
    memset(owned, 0, sizeof owned);
}

void owned_forget_file_of(int fd)
{
    struct stat st, other;
    if (KERNEL(SYS_fstat, fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
        for (int i = 0; i < OWNED_RANGE; i++)
            if (owned_holds(i) && KERNEL(SYS_fstat, i, &other) == 0 && other.st_dev == st.st_dev &&
                other.st_ino == st.st_ino)
                owned_set(i, false);
    owned_set(fd, false);
}
