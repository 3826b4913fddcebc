#include "servers.h"

#include <stdio.h>
#include <string.h>

static bool is_nfs(const struct mount *mount)
{
    return strcmp(mount->type, "nfs") == 0 || strcmp(mount->type, "nfs4") == 0;
}

static bool is_smb(const struct mount *mount)
{
    return strcmp(mount->type, "cifs") == 0 || strcmp(mount->type, "smb3") == 0;
}

bool mount_is_remote(const struct mount *mount)
{
    return is_nfs(mount) || is_smb(mount);
}

char *mount_protocol(const struct mount *mount, char text[16])
{
    char version[10] = "";
    *text = '\0';
    if (mount_is_remote(mount) && mount_option(mount, "vers", version, sizeof version))
        snprintf(text, 16, "%s %s", is_nfs(mount) ? "NFS" : "SMB", version);
    return text;
}

/* NFS has the operations COPY and CLONE since 4.2 (RFC 7862); SMB has FSCTL_SRV_COPYCHUNK since version 2. */
const char *mount_too_old(const struct mount *mount)
{
    char version[16] = "";
    unsigned major = 0, minor = 0;
    if (!mount_is_remote(mount) || !mount_option(mount, "vers", version, sizeof version) ||
        sscanf(version, "%u.%u", &major, &minor) < 1)
        return NULL;
    if (is_smb(mount))
        return major < 2 ? "Mount it with vers=3.1.1." : NULL;
    return major < 4 || (major == 4 && minor < 2) ? "Mount it with vers=4.2." : NULL;
}

bool mount_is_leased(const struct mount *mount)
{
    return is_smb(mount);
}

bool mount_is_uncounted(const struct mount *mount)
{
    char cache[16];
    return is_smb(mount) && mount_option(mount, "cache", cache, sizeof cache) && strcmp(cache, "strict") != 0;
}

bool mounts_of_two_servers(const struct mount *a, const struct mount *b)
{
    char first[64], second[64];
    return mount_option(a, "addr", first, sizeof first) && mount_option(b, "addr", second, sizeof second) &&
           strcmp(first, second) != 0;
}
