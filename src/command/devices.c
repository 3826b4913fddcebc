#include "devices.h"

#include <string.h>

/* Appends n bytes to the name, behind a space if there is something before, as printable ASCII. */
static void append_name(struct device_identity *identity, const uint8_t *bytes, size_t n)
{
    size_t length = strlen(identity->name);
    while (n && (bytes[n - 1] == ' ' || bytes[n - 1] == '\0'))
        n--;
    while (n && *bytes == ' ') {
        bytes++;
        n--;
    }
    if (n && length && length + 1 < sizeof identity->name)
        identity->name[length++] = ' ';
    for (size_t i = 0; i < n && length + 1 < sizeof identity->name; i++)
        identity->name[length++] = (char)(bytes[i] > ' ' && bytes[i] < 0x7f ? bytes[i] : ' ');
    identity->name[length] = '\0';
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
    identity->copies = bytes[5] & 1 << 3;
    if (n >= 16)
        append_name(identity, bytes + 8, 8);
    if (n >= 32)
        append_name(identity, bytes + 16, 16);
    return true;
}

#define NVME_MODEL_AT 24
#define NVME_MODEL_BYTES 40
#define NVME_ONCS_AT 520
#define NVME_ONCS_COPY (1 << 8)

bool nvme_parse_controller(const uint8_t *bytes, size_t n, struct device_identity *identity)
{
    *identity = (struct device_identity){0};
    if (n < NVME_IDENTIFY_BYTES)
        return false;
    unsigned commands = bytes[NVME_ONCS_AT] | (unsigned)bytes[NVME_ONCS_AT + 1] << 8;
    identity->copies = commands & NVME_ONCS_COPY;
    append_name(identity, bytes + NVME_MODEL_AT, NVME_MODEL_BYTES);
    return true;
}
