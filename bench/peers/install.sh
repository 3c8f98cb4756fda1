#!/usr/bin/env bash
# Installs what `parashard bench … --peers` runs beside Parashard, from the system's own packages:
# OpenMPI and MPICH with their compilers, Redis, iperf3. Builds the MPI program with each.
#
#   bench/peers/install.sh [--build-only]
#
# What cannot be installed is named and left out; the benchmarks skip it with one word. The built
# programs go to target/peers. Exit codes: 0 all there, 1 something is missing.
set -uo pipefail
cd "$(dirname "$0")/../.."

work=${CARGO_TARGET_DIR:-target}/peers
mkdir -p "$work"
missing=0

# want COMMAND PACKAGE...: the packages that give a command that is not there yet.
packages=()
want() {
    command -v "$1" >/dev/null || packages+=("${@:2}")
}

install_packages() {
    want mpicc.openmpi openmpi-bin libopenmpi-dev
    want mpicc.mpich mpich libmpich-dev
    want redis-server redis-server
    want iperf3 iperf3
    [ ${#packages[@]} -gt 0 ] || return 0
    local prefix=()
    [ "$(id -u)" -eq 0 ] || prefix=(sudo -n)
    local apt=("${prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
    # A server that the package would start is not wanted: the benchmarks start their own.
    if "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >"$work/install.log" 2>&1; then
        return 0
    fi
    "${apt[@]}" update >>"$work/install.log" 2>&1
    "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >>"$work/install.log" 2>&1 || {
        echo "cannot install ${packages[*]}; see $work/install.log" >&2
        missing=1
    }
}

# build NAME COMPILER: the one-sided program for one MPI.
build() {
    if ! command -v "$2" >/dev/null; then
        echo "no $2: the rows of $1 will be skipped" >&2
        missing=1
        return
    fi
    "$2" -O3 -march=native -std=c11 -Wall -Wextra -Werror -o "$work/mpi_rma.$1" bench/peers/mpi_rma.c || missing=1
}

[ "${1:-}" = --build-only ] || install_packages
build openmpi mpicc.openmpi
build mpich mpicc.mpich
for command in redis-server iperf3; do
    command -v "$command" >/dev/null || { echo "no $command: its rows will be skipped" >&2; missing=1; }
done
exit "$missing"
