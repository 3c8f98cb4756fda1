#!/usr/bin/env bash
# Makes the machine that brings its own RDMA device: Debian's stock kernel, unpacked and not
# installed, and an initramfs with busybox, the modules of Soft-RoCE and the tools of rdma-core.
#
#   build.sh FOLDER     makes FOLDER/vmlinux and FOLDER/initramfs, unless they are there and fresh
#   build.sh --check    only looks whether this host has what the machine is made of
#
# Needs no root. What is made appears by a rename, so that an interrupted run leaves nothing half done.
# Exit codes: 0 done, 5 something is missing, 6 this system cannot make the machine; one line on standard
# error says what and what to do.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: build.sh FOLDER, or --check}

fail() { echo "verbs machine: $*" >&2; exit 5; }

MODULES="virtio_pci virtio_net 9pnet_virtio 9p crc32_generic rdma_rxe rdma_ucm dummy"
PROGRAMS="rdma ip ibv_devices ibv_devinfo ibv_rc_pingpong ib_write_bw ib_read_bw ib_send_lat ib_write_lat setpriv"
NEEDED="qemu-system-x86_64 busybox cpio pigz depmod modprobe objcopy xz apt-get dpkg-deb $PROGRAMS"

unfit() { echo "verbs machine: $*; its tests run where there is an RDMA device" >&2; exit 6; }
[ "$(uname -m)" = x86_64 ] || unfit "it is an x86_64 one, and this host is $(uname -m)"
system=$(. /etc/os-release 2>/dev/null && echo " ${ID:-} ${ID_LIKE:-} ") || system=
case $system in *' ubuntu '*) system= ;; esac
[[ $system == *' debian '* ]] || unfit "it is made of Debian's packages"
for program in $NEEDED; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || fail "$program is missing; run .ci/setup.sh --for test"
done
PATH=$PATH:/usr/sbin:/sbin
[ "$folder" != --check ] || exit 0
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

libraries=/usr/lib/x86_64-linux-gnu
stamp=$({ cat "$0" "$here/init" && dpkg-query -W busybox-static ibverbs-providers perftest iproute2 libc6; } | sha256sum)
if [ -e "$folder/vmlinux" ] && [ -e "$folder/initramfs" ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

work=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The kernel's package is what linux-image-amd64 depends on today.
package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }')
[ -n "$package" ] || fail "this system's package lists know no linux-image-amd64; run apt-get update on a Debian"
version=${package#linux-image-}
kernel=$folder/kernel-$version
if [ ! -d "$kernel" ]; then
    (cd "$work" && apt-get download "$package" >download.log 2>&1) ||
        fail "cannot download $package: $(tail -n 1 "$work/download.log"); the first run needs the network"
    dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
    depmod -b "$work/kernel" "$version"
    mv "$work/kernel" "$kernel"
fi

# A vmlinuz is a loader with the kernel in XZ behind it; qemu starts the kernel itself, which saves seconds.
offset=$(LC_ALL=C grep -abom1 $'\xfd7zXZ' "$kernel/boot/vmlinuz-$version" | head -n 1 | cut -d: -f1)
[ -n "$offset" ] || fail "vmlinuz-$version holds no XZ payload"
tail -c "+$((offset + 1))" "$kernel/boot/vmlinuz-$version" | xz -dc --single-stream >"$work/vmlinux" 2>/dev/null || true
[ "$(head -c 4 "$work/vmlinux" | tail -c 3)" = ELF ] || fail "cannot unpack vmlinuz-$version"

root=$work/root
mkdir -p "$root"/{bin,sbin,proc,sys,dev,tmp,run,etc/libibverbs.d,host,usr/bin,usr/sbin,lib/modules,lib64,"$libraries/libibverbs"}
ln -s "../$libraries" "$root/lib/x86_64-linux-gnu"
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
    case $applet in busybox | ip) ;; *) ln -sf busybox "$root/bin/$applet" ;; esac
done

# copy_with_libraries FILE TARGET
copy_with_libraries() {
    local library
    cp -L "$1" "$2"
    for library in $(ldd "$1" 2>/dev/null | awk '/=> \// { print $3 } /^\t\/lib64/ { print $1 }'); do
        case $library in
            /lib64/*) [ -e "$root$library" ] || cp -L "$library" "$root/lib64/" ;;
            *) [ -e "$root$libraries/${library##*/}" ] || cp -L "$library" "$root$libraries/" ;;
        esac
    done
}
for program in $PROGRAMS; do copy_with_libraries "$(command -v "$program")" "$root/usr/bin/"; done
copy_with_libraries "$libraries/libibverbs/librxe-rdmav34.so" "$root$libraries/libibverbs/"
cp /etc/libibverbs.d/rxe.driver "$root/etc/libibverbs.d/"
# What Rust programs need, the hwloc of those that were built with it included.
for library in libgcc_s.so.1 libhwloc.so.15 libudev.so.1; do
    found=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ { print $NF; exit }')
    [ -z "$found" ] || copy_with_libraries "$found" "$root$libraries/"
done

for module in $MODULES; do
    modprobe -d "$kernel" -S "$version" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' >"$work/modules"
while read -r module; do
    name=$(basename "${module%.xz}")
    case $module in *.xz) xz -dc "$module" >"$root/lib/modules/$name" ;; *) cp "$module" "$root/lib/modules/$name" ;; esac
    objcopy --strip-debug "$root/lib/modules/$name"
    echo "$name" >>"$root/lib/modules/order"
done <"$work/modules"

cp "$here/init" "$root/init"
chmod +x "$root/init"
echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0) | pigz -6 -c >"$work/initramfs"

rm -f "$folder/stamp"
mv "$work/vmlinux" "$folder/vmlinux"
mv "$work/initramfs" "$folder/initramfs"
echo "$version" >"$folder/version"
echo "$stamp" >"$folder/stamp"
