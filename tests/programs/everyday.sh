#!/bin/bash
# As other people would use it: preloaded for whatever a day's work calls, and beside other libraries, in namespaces, in a
# chroot, under filters and sanitizers. What is seen and left is as without it.
test_limit=3600
. "$(dirname "$0")/../fixture.sh"
need_root
PATH=/usr/bin:/bin:/usr/sbin:/sbin
# A make of our own, not a part of the one that may be running us.
unset MAKEFLAGS MAKELEVEL MFLAGS
export HOME=$scratch/home

# As `both`, but both run under one path, for what writes its path into what it makes. COMMANDS: for bash.
both_at_one_place() { # COMMANDS
    local way status
    rm -rf plain ours work
    for way in plain ours; do
        status=0
        mkdir work
        (
            cd work
            if [ $way = plain ]; then
                exec "$patience" 300 bash -c "$1"
            else
                exec "$patience" 300 env LD_PRELOAD="$library" bash -c "$1"
            fi
        ) >"$scratch/$way.out" 2>"$scratch/$way.err" </dev/null || status=$?
        echo "$status" >"$scratch/$way.status"
        mv work $way
        tree $way >"$scratch/$way.tree"
    done
    compare_ways "$PWD" "$1"
    expect_status 0
}

# ---- a day's work ----------------------------------------------------------------------------------

# shellcheck disable=SC2016 # the commands' own
session='
set -e
cp -a ../tree .
cp --reflink=never tree/source one && cp --reflink=never one two && cmp one two
dd if=one of=three bs=64k status=none && dd if=one of=four status=none count=100
cat one two >five && cat five | head -c 5000000 >six && tail -c 3000000 six >seven
split -b 3000000 one part. && cat part.* | cmp - one
sort -r one | head -n 5000 | uniq -c | awk "{ print \$2, \$1 }" >eight
grep -c Quick one && wc two && cksum three
sed -i "s/Fox/fox/" three && perl -pi -e "s/Brown/brown/" three && diff one three >difference || true
patch -s one -o nine <difference
tar -c --sort=name --mtime=@1000000000 tree one | gzip -n >archive.gz && mkdir out && tar -xzf archive.gz -C out
xz -0 -k one && xz -dc one.xz | cmp - one && bzip2 -1 -k two && zstd -q two
find . -name "part.*" -print0 | sort -z | xargs -0 -P 4 -I "{}" cp --reflink=never "{}" "{}".copy
ln one hard && ln -s one soft && mv four tree/four && install -m 750 one ten && touch -r one ten
python3 -c "import shutil; shutil.copytree(\"tree\", \"again\")"
echo "tee was here" | tee -a seven >/dev/null && truncate -s 100000 six && cp --sparse=always six sparse
printf "all: a b c\na b c:\n\tcp --reflink=never one target.\$@\n" >Makefile && make -s -j 4
env -i /bin/cp --reflink=never one bare
nohup cp --reflink=never one eleven >/dev/null 2>&1
setsid -w cp --reflink=never one twelve
timeout 50 cp --reflink=never one thirteen
nice cp --reflink=never one fourteen
(exec >fifteen; cat one; echo and more)
while read -r line; do echo "$line"; done <eight >sixteen
busybox cp one seventeen && busybox tar cf - tree | busybox tar tf - | sort
rsync -a tree/ mirrored/ && rsync -a --delete again/ mirrored/
md5sum one two three five seven | sort
'

# shellcheck disable=SC2016
project='
set -e
cat >configure.ac <<END
AC_INIT([little], [1.0])
AM_INIT_AUTOMAKE([foreign subdir-objects])
AC_PROG_CC
AC_PROG_RANLIB
AC_CHECK_HEADERS([unistd.h fcntl.h sys/mman.h])
AC_CHECK_FUNCS([mmap copy_file_range nothing])
AC_CONFIG_HEADERS([config.h])
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
END
cat >Makefile.am <<END
bin_PROGRAMS = little
little_SOURCES = main.c
little_LDADD = liblittle.a
noinst_LIBRARIES = liblittle.a
liblittle_a_SOURCES = a.c b.c
TESTS = little
END
echo "int a(void); int b(void); int main(void) { return a() - b(); }" >main.c
echo "int a(void); int a(void) { return 5; }" >a.c
echo "int b(void); int b(void) { return 5; }" >b.c
autoreconf -i >/dev/null 2>&1
./configure -q
make -s -j 4
make -s check >/dev/null
make -s install DESTDIR="$PWD/installed"
make -s dist
tar -xzf little-1.0.tar.gz && rm little-1.0.tar.gz
./little
rm -rf config.log autom4te.cache *.log
'

# shellcheck disable=SC2016
repository='
set -e
export GIT_AUTHOR_DATE="2001-02-03T04:05:06Z" GIT_COMMITTER_DATE="2001-02-03T04:05:06Z"
export GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=pack.threads GIT_CONFIG_VALUE_0=1 GIT_CONFIG_KEY_1=init.defaultBranch GIT_CONFIG_VALUE_1=main
git init -q one && cp --reflink=never ../tree/source one && cd one
git add source && git commit -q -m first
sed -i "s/Quick/quick/" source && git diff --stat && git commit -q -a -m second
git branch side HEAD~1 && git checkout -q side && echo more >>source && git commit -q -a -m third
git checkout -q main && git merge -q -m merged -X ours side && git stash list
cd .. && git clone -q --no-hardlinks one two && git clone -q --bare one three.git
cd two && git worktree add -q ../four HEAD~1 && git gc -q && git fsck --strict && git log --oneline --all --graph
git bundle create -q ../five.bundle --all && git archive HEAD >../six.tar
cd .. && git -C two ls-files -s && git -C two count-objects && git clone -q five.bundle seven && cmp two/source seven/source
rm -rf */.git four/.git three.git five.bundle
'

# shellcheck disable=SC2016
packages='
set -e
mkdir -p made/DEBIAN made/usr/share/little repository state/lists/partial cache/archives/partial
cp ../tree/source made/usr/share/little/file
printf "Package: little\nVersion: 1.0\nArchitecture: all\nMaintainer: n <e@example.org>\nDescription: little\n" >made/DEBIAN/control
SOURCE_DATE_EPOCH=1000000000 dpkg-deb --root-owner-group -b made repository/little_1.0_all.deb
(cd repository && dpkg-scanpackages . 2>/dev/null >Packages)
echo "deb [trusted=yes] copy:$PWD/repository ./" >sources.list
touch status
options="-qq -o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=- -o Dir::State=$PWD/state -o Dir::State::status=$PWD/status
    -o Dir::Cache=$PWD/cache -o APT::Sandbox::User=root -o Acquire::Languages=none"
apt-get $options update
apt-get $options install --download-only -y little
cmp cache/archives/little_1.0_all.deb repository/little_1.0_all.deb
dpkg-deb -x cache/archives/little_1.0_all.deb unpacked && cmp unpacked/usr/share/little/file ../tree/source
dpkg-deb -I cache/archives/little_1.0_all.deb
rm -rf cache/*.bin cache/archives/lock state
'

# ---- beside others ---------------------------------------------------------------------------------

copy=(dd if=../source of=copy bs=64k status=noxfer)

# A copy is served there too, and nothing is said of it.
served() { # COMMAND..., with @LIBRARY@ where the library's path goes
    local plain=() ours=() word way status
    for word in "$@"; do
        plain+=("${word//@LIBRARY@/}")
        ours+=("${word//@LIBRARY@/$library}")
    done
    rm -rf plain ours
    for way in plain ours; do
        local -n words=$way
        status=0
        mkdir -m 777 $way
        (cd $way && exec "$patience" "$limit" "${words[@]}") >"$scratch/$way.out" 2>"$scratch/$way.err" </dev/null ||
            status=$?
        echo $status >"$scratch/$way.status"
        tree $way >"$scratch/$way.tree"
    done
    compare_ways "$PWD" "$@"
    expect_status 0
    assert_same source ours/copy
}

shared() {
    served "$@"
    assert_not_shared source plain/copy
    assert_shared source ours/copy
}

beside() { # OTHER
    local other
    other=$(find /usr/lib /lib -name "$1" -print -quit 2>/dev/null)
    [ -n "$other" ] || skip "$1 is not installed"
    shared env LD_PRELOAD="@LIBRARY@ $other" "${copy[@]}"
    shared env LD_PRELOAD="$other @LIBRARY@" "${copy[@]}"
    shared env LD_PRELOAD="$other @LIBRARY@" /usr/bin/python3 -c 'import shutil
with open("../source", "rb") as source, open("copy", "wb") as copy:
    shutil.copyfileobj(source, copy)'
}

# shellcheck disable=SC2016 # the other shell's
beside_fakeroot() {
    command -v fakeroot >/dev/null || skip "fakeroot is not installed"
    local work='cp --reflink=never ../source copy && chown 1234:5678 copy && stat -c "%u %g %s" copy &&
        cp -p --reflink=never copy again && tar -c copy again | tar -tv --numeric-owner | cut -c 1-30'
    shared fakeroot env LIBRARY=@LIBRARY@ sh -c 'export LD_PRELOAD="$LIBRARY:$LD_PRELOAD"; '"$work"
    shared fakeroot env LIBRARY=@LIBRARY@ sh -c 'export LD_PRELOAD="$LD_PRELOAD:$LIBRARY"; '"$work"
}

# Compiled with its runtime in the program: one that is loaded asks to be the first of all libraries.
sanitized() { # SANITIZER FLAG...
    local sanitizer=$1
    shift
    cc -g -D_GNU_SOURCE "-fsanitize=$sanitizer" "$@" -o "$scratch/sanitized" "$source_tree/tests/tools/copier.c" \
        2>"$scratch/cc.log" || skip "the compiler cannot: $(tail -n 1 "$scratch/cc.log")"
    # The address space that it wants may be taken by chance.
    set --
    if setarch -R true 2>/dev/null; then
        set -- setarch -R
    fi
    shared "$@" env LD_PRELOAD=@LIBRARY@ "$scratch/sanitized" ../source copy
}

# With mounts that end when it does.
in_root() { # COMMAND...
    # shellcheck disable=SC2016 # the other shell's
    limited unshare -m sh -c 'mount --bind /usr root/usr && exec chroot root "$@"' - "$@"
}

in_a_chroot() {
    local way
    rm -rf root
    mkdir -p root/usr root/work
    for name in bin lib lib64; do
        [ ! -L /$name ] || ln -s "usr/$name" "root/$name"
    done
    cp "$library" root/liboffload.so
    for way in plain ours; do
        cp --reflink=always source root/work/source
        if [ $way = plain ]; then
            in_root dd if=/work/source of=/work/$way bs=64k status=noxfer
        else
            in_root env LD_PRELOAD=/liboffload.so dd if=/work/source of=/work/$way bs=64k status=noxfer
        fi >"$scratch/$way.out" 2>&1
    done
    cmp "$scratch/plain.out" "$scratch/ours.out"
    assert_same source root/work/plain
    assert_same source root/work/ours
    assert_shared source root/work/ours
}

# A filter that lets the program's own calls through, and answers all others with an error, or ends the process.
filtered='
import os, seccomp, sys
action, names, command = sys.argv[1], open(sys.argv[2]).read().split(), sys.argv[3:]
other = {"eperm": seccomp.ERRNO(1), "enosys": seccomp.ERRNO(38), "kill": seccomp.KILL_PROCESS}[action]
filter = seccomp.SyscallFilter(defaction=other)
for name in names:
    try:
        filter.add_rule(seccomp.ALLOW, name)
    except (RuntimeError, OSError, ValueError):
        pass
filter.load()
os.execvp(command[0], command)
'

own_calls() {
    (cd "$1" && limited strace -f -qq -o "$trace" "${copy[@]}" >/dev/null 2>&1)
    calls | cut -d ' ' -f 1 >"$scratch/names"
    # What Python makes to become the program, and what ends it.
    printf '%s\n' execve exit_group rt_sigreturn >>"$scratch/names"
}

under_a_filter() { # ACTION
    /usr/bin/python3 -c 'import seccomp' 2>/dev/null || skip "python3-seccomp is not installed"
    rm -rf first
    mkdir first
    own_calls first
    served /usr/bin/python3 -c "$filtered" "$1" "$scratch/names" env LD_PRELOAD=@LIBRARY@ "${copy[@]}"
}

under_a_services_filter() {
    command -v systemd-analyze >/dev/null || skip "systemd-analyze is not installed"
    /usr/bin/python3 -c 'import seccomp' 2>/dev/null || skip "python3-seccomp is not installed"
    systemd-analyze --no-pager syscall-filter | awk '
        /^@/ { set = $1; next }
        /^    [^#]/ { members[set] = members[set] " " $1 }
        function expand(name, i, n, part) {
            n = split(members[name], part, " ")
            for (i = 1; i <= n; i++)
                if (part[i] ~ /^@/) expand(part[i]); else print part[i]
        }
        END { expand("@system-service") }' >"$scratch/names"
    shared /usr/bin/python3 -c "$filtered" kill "$scratch/names" env LD_PRELOAD=@LIBRARY@ "${copy[@]}"
}

on_xfs() {
    make_source source
    mkdir -p "$HOME" tree/below
    cp --reflink=always source tree/source
    echo small >tree/below/small
    touch -d '2001-02-03 04:05:06' source tree/source tree/below/small
    verdict "a shell session" both_at_one_place "$session"
    verdict "a package is configured, built, checked and installed" both_at_one_place "$project"
    verdict "git" both_at_one_place "$repository"
    verdict "packages are made, fetched and unpacked" both_at_one_place "$packages"
    verdict "beside jemalloc, in either order" beside 'libjemalloc.so.2'
    verdict "beside libeatmydata, in either order" beside 'libeatmydata.so'
    verdict "beside fakeroot, in either order" beside_fakeroot
    verdict "with AddressSanitizer" sanitized address -static-libasan
    verdict "with UndefinedBehaviorSanitizer" sanitized undefined
    verdict "with ThreadSanitizer" sanitized thread -static-libtsan
    verdict "in a user namespace" shared unshare -Ur env LD_PRELOAD=@LIBRARY@ "${copy[@]}"
    verdict "in namespaces of all kinds" shared unshare -Urpf --mount-proc env LD_PRELOAD=@LIBRARY@ "${copy[@]}"
    verdict "in a chroot without /proc and /sys" in_a_chroot
    verdict "under a filter that says EPERM" under_a_filter eperm
    verdict "under a filter that says ENOSYS" under_a_filter enosys
    verdict "under a service's filter that ends the process" under_a_services_filter
}

plan 16
on_each xfs 16 on_xfs
