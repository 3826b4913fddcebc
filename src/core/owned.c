#include "owned.h"

#include <string.h>

uint8_t owned[OWNED_RANGE];

void owned_forget_all(void)
{
    memset(owned, 0, sizeof owned);
}
