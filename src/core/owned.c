#include "owned.h"

#include "syscalls.h"

#include <string.h>

uint8_t owned[OWNED_RANGE];
int owned_lender;

bool owned_is_lenders(void)
{
    return KERNEL(SYS_getpid) == owned_lender;
}

void owned_lend(void)
{
    owned_lender = (int)KERNEL(SYS_getpid);
}

/* Not by the child itself. A child that has memory of its own begins without a lender, as what it was made of has now. */
void owned_take_back(void)
{
    if (owned_lender && owned_is_lenders())
        owned_lender = 0;
}

void owned_forget_all(void)
{
    memset(owned, 0, sizeof owned);
}
