#!/usr/bin/env bash
# Installs what building and testing Parashard needs and the machine lacks: a C compiler, a Rust
# toolchain and, where the system has it, libhwloc. Knows Debian, Ubuntu and the RHEL family. What is there already is left alone.
#
#   .ci/setup.sh [--for demo|test|soak] [--dry-run]
#
#   --dry-run          print the commands, one a line, and run none
#   --fresh            take the machine as one that has nothing installed
#   --os-release FILE  take the machine for the one that FILE describes
#   --privilege P      root, sudo (without a password) or none, instead of looking
#
# Exit codes: 0 done, 2 usage, 5 something is missing that this script may not or cannot install;
# the line to run then stands on standard error.
set -euo pipefail
. "$(dirname "$0")/toolchain.sh"

goal=demo dry_run=no fresh=no os_release=/etc/os-release privilege=
while [ $# -gt 0 ]; do
    case "$1" in
        --for) goal=${2:-} && shift ;;
        --dry-run) dry_run=yes ;;
        --fresh) fresh=yes ;;
        --os-release) os_release=${2:-} && shift ;;
        --privilege) privilege=${2:-} && shift ;;
        *) echo "setup: unknown argument '$1'; see the head of $0" >&2 && exit 2 ;;
    esac
    shift
done
case "$goal" in demo | test | soak) ;; *) echo "setup: --for takes demo, test or soak" >&2 && exit 2 ;; esac
case "$privilege" in '' | root | sudo | none) ;; *) echo "setup: --privilege takes root, sudo or none" >&2 && exit 2 ;; esac

RUSTUP_LINE="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"

say() { echo "setup: $*" >&2; }

has() { [ "$fresh" = no ] && command -v "$1" >/dev/null 2>&1; }

# distribution: prints family and version, for example "ubuntu 22.04" or "rhel 9".
distribution() {
    local ID='' ID_LIKE='' VERSION_ID=''
    [ -r "$os_release" ] || return 1
    . "$os_release"
    case " $ID $ID_LIKE " in
        *' ubuntu '*) echo "ubuntu ${UBUNTU_VERSION_ID:-$VERSION_ID}" ;;
        *' debian '*) echo "debian $VERSION_ID" ;;
        *' rhel '*) echo "rhel ${VERSION_ID%%.*}" ;;
        *) return 1 ;;
    esac
}

# missing_tools: names the tools of this goal that are not there.
missing_tools() {
    has cc || has gcc || echo gcc
    [ "$fresh" = no ] && [ -e /usr/include/stdio.h ] || echo libc
    has pkg-config || echo pkg-config
    # Cargo checks its registry by these; bare container images come without them.
    [ "$fresh" = no ] && [ -e /etc/ssl/certs/ca-certificates.crt -o -e /etc/pki/tls/certs/ca-bundle.crt ] ||
        echo ca-certificates
    [ "$goal" != soak ] || has c++ || has g++ || echo g++
    # Its header alone is compared with; building and running need nothing of it.
    [ "$goal" = demo ] || [ "$fresh" = no -a -e /usr/include/infiniband/verbs.h ] || echo verbs-header
    [ "$goal" = demo ] || missing_machine_tools
}

# missing_machine_tools: what the virtual machine of tests/verbs is made of and runs in, as packages of
# Debian. The kernel is Debian's own, so other systems run those tests where they have a device.
missing_machine_tools() {
    local pair
    [ "$(distribution | cut -d ' ' -f 1)" = debian ] || return 0
    for pair in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static rdma:iproute2 ibv_devinfo:ibverbs-utils \
        ib_write_bw:perftest cpio:cpio modprobe:kmod objcopy:binutils pigz:pigz xz:xz-utils; do
        has "${pair%%:*}" || PATH=$PATH:/usr/sbin:/sbin has "${pair%%:*}" || echo "${pair#*:}"
    done
    [ "$fresh" = no ] && [ -e /etc/libibverbs.d/rxe.driver ] || echo ibverbs-providers
}

# missing_extras: names what the build uses where it is and does without where it is not: libhwloc,
# which RHEL keeps in a repository that is not enabled; there sysfs serves alone.
missing_extras() {
    [ "$1" != rhel ] || return 0
    [ "$fresh" = no ] && pkg-config --exists hwloc libudev 2>/dev/null || echo hwloc libudev
}

# missing_rust: names the Rust components of this goal that are not there.
missing_rust() {
    if [ "$fresh" = yes ] || ! (find_toolchain); then
        echo rust
        return
    fi
    [ "$goal" != demo ] || return 0
    (find_toolchain && cargo fmt --version >/dev/null 2>&1) || echo rustfmt
    (find_toolchain && cargo clippy --version >/dev/null 2>&1) || echo clippy
}

debian_package() {
    case "$1" in
        libc) echo libc6-dev ;;
        verbs-header) echo libibverbs-dev ;;
        hwloc | libudev) echo "lib${1#lib}-dev" ;;
        *) echo "$1" ;;
    esac
}

rhel_package() {
    case "$1" in
        libc) echo glibc-devel ;;
        pkg-config) echo pkgconf-pkg-config ;;
        g++) echo gcc-c++ ;;
        verbs-header) echo rdma-core-devel ;;
        *) echo "$1" ;;
    esac
}

# rust_packages FAMILY VERSION: the packages that bring Rust; fails where none is new enough.
# Debian keeps a current toolchain for its browsers beside its old one, Ubuntu has versioned packages,
# RHEL updates its rust-toolset; rustup serves the other releases of Debian and Ubuntu.
rust_packages() {
    local lint=
    [ "$goal" = demo ] || lint=yes
    case "$1 $2" in
        'debian 12' | 'debian 13') echo cargo-web rustc-web ${lint:+rustfmt-web rust-web-clippy} ;;
        'ubuntu 22.04' | 'ubuntu 24.04') echo cargo-1.89 rustc-1.89 ${lint:+rustfmt-1.89 rust-1.89-clippy} ;;
        'ubuntu '2[6-9].*) echo cargo rustc ${lint:+rustfmt rust-clippy} ;;
        debian* | ubuntu*) echo rustup ;;
        'rhel 8' | 'rhel 9' | 'rhel 10') echo rust-toolset ${lint:+rustfmt clippy} ;;
        *) return 1 ;;
    esac
}

# rustup_commands MISSING: as the user who builds, never as root by sudo. The user's default
# toolchain stays what it is; .ci/toolchain.sh finds the new one.
rustup_commands() {
    case " $1 " in
        *' rust '*)
            local components=
            [ "$goal" = demo ] || components=' --component rustfmt,clippy'
            echo "rustup toolchain install stable --profile minimal$components"
            ;;
        *) echo "rustup component add $1" ;;
    esac
}

# plan FAMILY VERSION: prints the commands, those for root with the mark "root:".
plan() {
    local family=$1 version=$2 packages=() tool rust
    for tool in $(missing_tools) $(missing_extras "$family"); do packages+=("$("${family/ubuntu/debian}_package" "$tool")"); done
    rust=$(echo $(missing_rust))
    local by_rustup=no
    if [ -n "$rust" ]; then
        if has rustup; then
            by_rustup=yes
        else
            local found
            found=$(rust_packages "$family" "$version") || { say "no known Rust packages for $family $version"; return 1; }
            [ "$found" = rustup ] && by_rustup=yes
            packages+=($found)
        fi
    fi
    if [ ${#packages[@]} -gt 0 ]; then
        case "$family" in
            rhel)
                if [ "$version" = 8 ] && [[ " ${packages[*]} " == *' rust-toolset '* ]]; then
                    echo "root:dnf -y module enable rust-toolset:rhel8"
                fi
                echo "root:dnf install -y ${packages[*]}"
                ;;
            *)
                echo "root:apt-get update"
                echo "root:env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${packages[*]}"
                ;;
        esac
    fi
    [ "$by_rustup" = no ] || rustup_commands "$rust"
}

# joined_for_root COMMANDS: all root commands as one line.
joined_for_root() {
    local line joined=
    while read -r line; do
        case "$line" in root:*) joined+="${joined:+ && }sudo ${line#root:}" ;; esac
    done <<<"$1"
    echo "$joined"
}

if [ -z "$privilege" ]; then
    if [ "$(id -u)" = 0 ]; then privilege=root; elif has sudo && sudo -n true 2>/dev/null; then privilege=sudo; else privilege=none; fi
fi

system=$(distribution) || system=
needed=$(missing_tools)$(missing_rust)
# Word splitting separates family and version.
extras=$([ -z "$system" ] || missing_extras ${system% *})
if [ -z "$needed$extras" ] || [ -z "$needed" -a "$privilege" = none ]; then
    say "nothing is missing for '$goal'${extras:+ but $(echo $extras), which only root can install: sysfs serves instead}"
    exit 0
fi

if [ -z "$system" ]; then
    say "this system is none that the script knows (Debian, Ubuntu, RHEL and their kin): $os_release"
    say "missing: $(echo $(missing_tools) $(missing_rust)); install a C compiler, pkg-config and Rust $RUST_VERSION_MIN or newer:"
    echo "$RUSTUP_LINE" >&2
    exit 5
fi

if ! commands=$(plan $system); then
    say "install a C compiler, pkg-config and Rust $RUST_VERSION_MIN or newer yourself; Rust by this line:"
    echo "$RUSTUP_LINE" >&2
    exit 5
fi

if [ "$privilege" = none ] && grep -q '^root:' <<<"$commands"; then
    say "this needs root; run this line, then the same make command again:"
    joined_for_root "$commands" >&2
    exit 5
fi

sudo_prefix=
[ "$privilege" != sudo ] || sudo_prefix='sudo '
while read -r command; do
    case "$command" in root:*) command="$sudo_prefix${command#root:}" ;; esac
    if [ "$dry_run" = yes ]; then
        echo "$command"
    else
        say "$command"
        bash -c "$command" </dev/null >&2 || {
            say "this failed: $command"
            # What the build does without is no reason to stop.
            [ -n "$needed" ] || exit 0
            exit 5
        }
    fi
done <<<"$commands"

if [ "$dry_run" = no ] && ! find_toolchain; then
    say "the packages of this system bring no Rust of at least $RUST_VERSION_MIN; run this line, then the same make command again:"
    echo "$RUSTUP_LINE" >&2
    exit 5
fi
