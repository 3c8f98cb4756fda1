#!/usr/bin/env bash
# Time to the optimum of L1 logistic regression beside liblinear: whole commands from the same
# uncompressed text, runs of all programs in turn, medians, and the median of the ratios of each run.
#
#   bench/peers/liblinear.sh PROGRAM DATA [RUNS [SET...]]    PROGRAM is a release build of parashard
#
# DATA holds SET.train.svm.zst, where SET is nycflights (lambda 2) or wordnet_gloss (lambda 1); both without
# it. Three trainings with two servers and two workers: to the end with sequential and with the default
# consistency, and to an early end (a pass gains less than 3e-4 of the objective). Each is held against
# liblinear at the largest of the tolerances below with which it reaches the same objective, to 2e-5 of it.
# Bounds: none is slower. Exit codes: 0 all hold, 1 one does not, 77 liblinear-train (Debian liblinear-tools)
# or the data is not there.
set -euo pipefail
cd "$(dirname "$0")/../.."
. bench/peers/timing.sh

program=${1:?usage: bench/peers/liblinear.sh PROGRAM DATA [RUNS [SET...]]} data=${2:-} runs=${3:-5}
sets=("${@:4}")
[ ${#sets[@]} -gt 0 ] || sets=(wordnet_gloss nycflights)
work=${CARGO_TARGET_DIR:-target}/peers
tolerances=(1e-2 3e-3 1e-3 1e-4 1e-5 1e-6)
settings=(sequential eventual early)
slack=2e-5

command -v liblinear-train >/dev/null ||
    { echo "skipped: liblinear-train is not on PATH; it is in Debian's liblinear-tools" >&2; exit 77; }
for set in "${sets[@]}"; do
    [ -r "$data/$set.train.svm.zst" ] || { echo "skipped: no $set.train.svm.zst in '$data': DATA=FOLDER" >&2; exit 77; }
done
mkdir -p "$work"

# run_peer LAMBDA TOLERANCE: its objective, times lambda, is ours.
run_peer() {
    timed liblinear-train -s 6 -c "$(awk -v l="$1" 'BEGIN { print 1 / l }')" -e "$2" "$text" "$work/peer.model"
}

# run_ours LAMBDA SETTING
run_ours() {
    local more=(--consistency sequential)
    case "$2" in
        eventual) more=() ;;
        early) more+=(--objective-tolerance 3e-4) ;;
    esac
    timed "$program" train --train "$text" --algorithm dbpg --l1 "$1" --no-bias --servers 2 --workers 2 \
        ${more[@]+"${more[@]}"} --json "$work/run.json" --model "$work/run.model"
}

code=0
for set in "${sets[@]}"; do
    case "$set" in nycflights) lambda=2 ;; *) lambda=1 ;; esac
    text=$work/$set.train.svm
    [ -s "$text" ] || zstd -qdc "$data/$set.train.svm.zst" >"$text"
    declare -A objective=() tolerance=() peer_objective=()
    lowest=
    for setting in "${settings[@]}"; do
        run_ours "$lambda" "$setting" >/dev/null
        objective[$setting]=$(field objective)
        lowest=$(printf '%s\n' ${lowest:+"$lowest"} "${objective[$setting]}" | sort -g | head -n 1)
        echo "$set, $setting: objective ${objective[$setting]}, KKT violation $(field kkt_violation)," \
            "$(field nonzero_weights) weights, $(field passes) passes"
    done
    for step in "${tolerances[@]}"; do
        seconds=$(run_peer "$lambda" "$step")
        found=$(awk -v l="$lambda" '/^Objective value/ { printf "%.6f", $4 * l }' "$work/log")
        echo "$set, liblinear -e $step: objective $found, $(awk '/^#nonzeros/ { print $3 }' "$work/log" | cut -d/ -f1) weights, $seconds s"
        peer_objective[$step]=$found
        for setting in "${settings[@]}"; do
            [ -z "${tolerance[$setting]:-}" ] && holds "$found <= ${objective[$setting]} * (1 + $slack)" &&
                tolerance[$setting]=$step
        done
        if holds "$found <= $lowest * (1 + $slack)"; then break; fi
    done
    needed=$(for setting in "${settings[@]}"; do echo "${tolerance[$setting]:-${tolerances[-1]}}"; done | sort -gr | uniq)
    : >"$work/times"
    for run in $(seq "$runs"); do
        for step in $needed; do echo "$run liblinear-$step $(run_peer "$lambda" "$step")" >>"$work/times"; done
        for setting in "${settings[@]}"; do echo "$run $setting $(run_ours "$lambda" "$setting")" >>"$work/times"; done
    done
    printf '%-14s %-11s %10s %18s %10s %16s\n' set setting 'median s' 'liblinear' 'median s' 'times as fast'
    for setting in "${settings[@]}"; do
        step=${tolerance[$setting]:-${tolerances[-1]}}
        of() { awk -v name="$1" '$2 == name { print $3 }' "$work/times"; }
        ratio=$(paste -d' ' <(of "liblinear-$step") <(of "$setting") | awk '{ print $1 / $2 }' | median)
        printf '%-14s %-11s %10s %18s %10s %16s\n' "$set" "$setting" "$(of "$setting" | median)" "-e $step" \
            "$(of "liblinear-$step" | median)" "$ratio"
        holds "$ratio >= 1" || { echo "$set, $setting: slower than liblinear at the same objective"; code=1; }
    done
done
exit "$code"
