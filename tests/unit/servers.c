/* What the mount of a file server tells of its protocol. */
#include "command/servers.h"

#include <criterion/criterion.h>

static struct mount of(const char *type, const char *options)
{
    return (struct mount){.type = type, .options = options};
}

static void expect_protocol(const char *type, const char *options, const char *wanted)
{
    char text[16];
    struct mount mount = of(type, options);
    cr_expect_str_eq(mount_protocol(&mount, text), wanted, "%s %s", type, options);
}

Test(servers, protocol)
{
    expect_protocol("nfs4", "rw,vers=4.2,hard", "NFS 4.2");
    expect_protocol("nfs", "rw,vers=3", "NFS 3");
    expect_protocol("cifs", "rw,vers=3.1.1,soft", "SMB 3.1.1");
    expect_protocol("smb3", "rw,vers=default", "SMB default");
    expect_protocol("nfs4", "rw", "");
    expect_protocol("nfs4", "rw,vers=4.2.0.0.0.0.0", "");
    expect_protocol("xfs", "rw,vers=4.2", "");
}

static void expect_old(const char *type, const char *options, bool old)
{
    struct mount mount = of(type, options);
    cr_expect_eq(mount_too_old(&mount) != NULL, old, "%s %s", type, options);
}

Test(servers, too_old_versions)
{
    expect_old("nfs", "vers=3", true);
    expect_old("nfs4", "vers=4", true);
    expect_old("nfs4", "vers=4.0", true);
    expect_old("nfs4", "vers=4.1", true);
    expect_old("nfs4", "vers=4.2", false);
    expect_old("nfs4", "vers=4.10", false);
    expect_old("nfs4", "vers=5", false);
    expect_old("cifs", "vers=1.0", true);
    expect_old("cifs", "vers=2.0", false);
    expect_old("smb3", "vers=3.1.1", false);
}

Test(servers, what_is_not_known_is_not_too_old)
{
    expect_old("nfs4", "rw", false);
    expect_old("nfs4", "vers=", false);
    expect_old("cifs", "vers=default", false);
    expect_old("xfs", "vers=1", false);
}

Test(servers, only_smb_believes_a_lease_or_goes_uncounted)
{
    struct mount strict = of("cifs", "vers=3.1.1,cache=strict"), none = of("smb3", "vers=3.1.1,cache=none");
    struct mount silent = of("cifs", "vers=3.1.1"), nfs = of("nfs4", "vers=4.2,cache=none");
    cr_expect(mount_is_leased(&strict) && mount_is_leased(&none) && !mount_is_leased(&nfs));
    cr_expect(mount_is_uncounted(&none));
    cr_expect(!mount_is_uncounted(&strict) && !mount_is_uncounted(&silent) && !mount_is_uncounted(&nfs));
}

Test(servers, two_servers_have_two_addresses)
{
    struct mount first = of("nfs4", "vers=4.2,addr=10.0.0.1"), second = of("nfs4", "vers=4.2,addr=10.0.0.10");
    struct mount silent = of("nfs4", "vers=4.2");
    cr_expect(mounts_of_two_servers(&first, &second));
    cr_expect_not(mounts_of_two_servers(&first, &first));
    cr_expect_not(mounts_of_two_servers(&first, &silent));
    cr_expect_not(mounts_of_two_servers(&silent, &first));
}

Test(servers, kinds)
{
    static const char *const remote[] = {"nfs", "nfs4", "cifs", "smb3"}, *const local[] = {"xfs", "nfsd", "fuse.sshfs"};
    for (unsigned i = 0; i < 4; i++)
        cr_expect(mount_is_remote(&(struct mount){.type = remote[i]}), "%s", remote[i]);
    for (unsigned i = 0; i < 3; i++)
        cr_expect_not(mount_is_remote(&(struct mount){.type = local[i]}), "%s", local[i]);
}
