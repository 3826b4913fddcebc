#include "text.h"

#include "../../core/syscalls.h"

#include <fcntl.h>
#include <string.h>

bool text_append(char *path, const char *text)
{
    size_t length = strlen(path), n = strlen(text);
    if (length + n >= TEXT_PATH)
        return false;
    memcpy(path + length, text, n + 1);
    return true;
}

bool text_append_number(char *path, uint64_t number)
{
    char digits[24];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return text_append(path, at);
}

bool text_read(const char *path, char text[TEXT_FILE])
{
    long fd = KERNEL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    long n = KERNEL(SYS_read, fd, text, TEXT_FILE - 1);
    KERNEL(SYS_close, fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

bool text_number(const char **at, uint64_t *number)
{
    const char *c = *at;
    *number = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    bool any = c != *at;
    *at = c;
    return any;
}
