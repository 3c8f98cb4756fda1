#!/usr/bin/env bash
# Boots one machine, lets it run SHARE/job.sh, and ends with that script's exit code.
#
#   boot.sh MACHINE SHARE [SECONDS [ROLE WIRE]]
#
# MACHINE is the folder that build.sh has filled; SHARE is the machine's /host, which it can write to.
# With ROLE a or b the machine has a network card whose other end is the machine of the other role with the
# same WIRE, a folder. The console comes out on standard output. MACHINE_MB in the environment is its memory
# instead of 768 MB.
# Exit codes: those of the job up to 94, 124 when the time is over, 125 when the machine did not end by itself.
set -uo pipefail
machine=${1:?usage: boot.sh MACHINE SHARE [SECONDS [ROLE WIRE]]} share=${2:?} seconds=${3:-120} role=${4:-} wire=${5:-}

# Emulation hands the host's time-stamp counter through; told its frequency, the guest need not find out
# by a loop, which goes wrong on a loaded host.
khz=$(awk -F: '/^bogomips/ { printf "%d", $2 * 500; exit }' /proc/cpuinfo)
words="console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check tsc_early_khz=$khz"
words+=" random.trust_cpu=on audit=0 apparmor=0 selinux=0 nmi_watchdog=0 cryptomgr.notests"
words+=" initcall_blacklist=crypto_kdf108_init 8250.nr_uarts=1"
network=()
if [ -n "$role" ]; then
    [ "$role" = a ] && other=b || other=a
    words+=" role=$role"
    network=(-netdev "dgram,id=net,local.type=unix,local.path=$wire/$role,remote.type=unix,remote.path=$wire/$other"
        -device "virtio-net-pci,netdev=net,romfile=,host_mtu=9000,mac=52:54:00:00:00:0$role")
fi

# In the foreground: whoever ends this script's process group, as a suite's time-out does, ends the machine too.
timeout --foreground --kill-after=5 "$seconds" qemu-system-x86_64 -M pc -accel tcg,thread=multi -cpu Nehalem -m "${MACHINE_MB:-768}" -smp 2 \
    -nodefaults -display none -no-reboot -serial stdio -monitor none \
    -device isa-debug-exit,iobase=0xf4,iosize=0x04 \
    -fsdev "local,id=host,path=$share,security_model=none,multidevs=remap" -device virtio-9p-pci,fsdev=host,mount_tag=host \
    ${network[@]+"${network[@]}"} \
    -kernel "$machine/vmlinux" -initrd "$machine/initramfs" -append "$words" </dev/null | tr -d '\r'
code=${PIPESTATUS[0]}
[ "$code" -ne 124 ] && [ "$code" -ne 137 ] || exit 124
[ $((code & 1)) = 1 ] && [ "$code" -ge 65 ] || exit 125
exit $(((code >> 1) - 32))
