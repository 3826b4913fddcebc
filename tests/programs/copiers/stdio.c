/* stdio WAY SOURCE DESTINATION: copies as C programs do that use streams. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char buffer[65536];

static int by_blocks(FILE *from, FILE *to, size_t block)
{
    size_t n;

    while ((n = fread(buffer, 1, block, from)) > 0)
        if (fwrite(buffer, 1, n, to) != n)
            return 1;
    return 0;
}

static int by_bytes(FILE *from, FILE *to)
{
    int c;

    while ((c = getc_unlocked(from)) != EOF)
        if (putc_unlocked(c, to) == EOF)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    FILE *from = argc == 4 ? fopen(argv[2], "r") : NULL;
    FILE *to = from ? fopen(argv[3], "w") : NULL;
    int failed;

    if (!to)
        return 2;
    failed = strcmp(argv[1], "bytes") == 0 ? by_bytes(from, to) : by_blocks(from, to, (size_t)atol(argv[1]));
    return fclose(to) != 0 || failed || ferror(from);
}
