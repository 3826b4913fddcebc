#include "owned.h"

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
}
