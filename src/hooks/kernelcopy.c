/* Copies that the program asks the kernel for: no byte passes through the program. */
#define FAMILY_KERNELCOPY
#include "hook.h"

EXPORT ssize_t sendfile(int out, int in, off_t *from, size_t n)
{
    copy_look(in);
    size_t copied = copy_between(out, in, from, n);
    if (copied)
        return (ssize_t)copied;
    bool counted = copy_writing(out);
    return copy_wrote(out, original_sendfile(out, in, from, n), counted);
}

/* File systems that share extents do so for this call by themselves. */
EXPORT ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags)
{
    copy_look(in);
    bool counted = copy_writing(out);
    copy_note_own_call(in, out);
    return copy_wrote(out, original_copy_file_range(in, from, out, to, n, flags), counted);
}

EXPORT ssize_t splice(int in, off_t *from, int out, off_t *to, size_t n, unsigned flags)
{
    copy_look(in);
    bool counted = copy_writing(out);
    return copy_wrote(out, original_splice(in, from, out, to, n, flags), counted);
}
