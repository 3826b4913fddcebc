#include "owned.h"

#include "guards.h"
#include "table.h"

#include <string.h>

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
    /* Who forgets them looks next for what runs ahead; who begins such runs before he looks here: one sees the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void owned_forget_range(int first, int last)
{
    for (int fd = first < 0 ? 0 : first; fd <= last && fd < OWNED_RANGE; fd++)
        owned_set(fd, false);
}

void owned_forget_file_of(int fd)
{
    struct file_state file, other;
    bool looked = guard_look(fd, &file);
    for (int i = 0; looked && i < OWNED_RANGE; i++)
        if (owned_holds(i) && guard_look(i, &other) && guard_same_file(&file, &other))
            owned_set(i, false);
    owned_set(fd, false);
}
