#include "devices.h"

#include "engines/array/scsi_parameters.h"

#include <string.h>

void device_append_name(char name[DEVICE_NAME], const uint8_t *bytes, size_t n)
{
    size_t length = strlen(name);
    while (n && (bytes[n - 1] == ' ' || bytes[n - 1] == '\n' || bytes[n - 1] == '\0'))
        n--;
    while (n && *bytes == ' ') {
        bytes++;
        n--;
    }
    if (n && length && length + 1 < DEVICE_NAME)
        name[length++] = ' ';
    for (size_t i = 0; i < n && length + 1 < DEVICE_NAME; i++)
        name[length++] = (char)(bytes[i] > ' ' && bytes[i] < 0x7f ? bytes[i] : ' ');
    name[length] = '\0';
}

bool scsi_parse_inquiry(const uint8_t *bytes, size_t n, struct device_identity *identity)
{
    *identity = (struct device_identity){0};
    if (n < 6)
        return false;
    /* What it says is there, beside what is. */
    size_t said = (size_t)bytes[4] + 5;
    if (said < n)
        n = said;
    bool disk = bytes[0] == 0; /* qualifier: connected; type: direct access block device */
    if (!disk || n < 6)
        return false;
    identity->copies = scsi_inquiry_copies(bytes, n);
    if (n >= 16)
        device_append_name(identity->name, bytes + 8, 8);
    if (n >= 32)
        device_append_name(identity->name, bytes + 16, 16);
    return true;
}
