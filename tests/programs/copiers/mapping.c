/* mapping WAY SOURCE DESTINATION: copies from a mapping of the source, by one write or into another mapping. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int from = argc == 4 ? open(argv[2], O_RDONLY) : -1;
    int to = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct stat st;
    size_t n;
    char *bytes, *target;

    if (from < 0 || to < 0 || fstat(from, &st) < 0)
        return 2;
    n = (size_t)st.st_size;
    bytes = mmap(NULL, n, PROT_READ, MAP_SHARED, from, 0);
    if (bytes == MAP_FAILED)
        return 2;
    if (strcmp(argv[1], "write") == 0)
        return write(to, bytes, n) != (ssize_t)n;
    target = ftruncate(to, st.st_size) == 0 ? mmap(NULL, n, PROT_WRITE, MAP_SHARED, to, 0) : MAP_FAILED;
    if (target == MAP_FAILED)
        return 2;
    memcpy(target, bytes, n);
    return 0;
}
