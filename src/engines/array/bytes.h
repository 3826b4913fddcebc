/* Numbers as devices have them: the highest byte first (SCSI), or the lowest (NVMe). */
#ifndef LIBOFFLOAD_BYTES_H
#define LIBOFFLOAD_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t big_endian(const uint8_t *at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static inline uint64_t little_endian(const uint8_t *at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static inline void put_big_endian(uint8_t *at, size_t n, uint64_t value)
{
    for (size_t i = n; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
}

static inline void put_little_endian(uint8_t *at, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++, value >>= 8)
        at[i] = (uint8_t)value;
}

#endif
