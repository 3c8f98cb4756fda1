#!/usr/bin/env bash
# Speed and loss beside Vowpal Wabbit: one pass of FTRL over the same uncompressed text file, whole
# commands, runs of both programs in turn, median of the ratios.
#
#   bench/peers/vw.sh PROGRAM [ROWS] [RUNS]       PROGRAM is a release build of parashard
#
# Vowpal Wabbit is `vw` on PATH, or else the PyPI package, which is installed into a folder of its own
# below target/. The package starts through Python; what that alone takes is printed and is left in.
# Bounds: from text at least as fast, from the block format at least twice as fast, progressive log
# loss at most 0.002 worse, first pull within 150 ms. Exit codes: 0 all hold, 1 one does not, 77 Vowpal Wabbit is not to be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
. bench/peers/timing.sh

program=${1:?usage: bench/peers/vw.sh PROGRAM [ROWS] [RUNS]}
rows=${2:-1000000} runs=${3:-5}
work=${CARGO_TARGET_DIR:-target}/peers
text=$work/synthetic-$rows.vw
block=$work/synthetic-$rows.psb
bits=22
mkdir -p "$work"

find_vw() {
    local python=$work/vw/bin/python
    if command -v vw >/dev/null; then
        vw=(vw)
        return
    fi
    if ! "$python" -c 'import vowpalwabbit' 2>/dev/null; then
        rm -rf "$work/vw"
        python3 -m venv "$work/vw" 2>/dev/null && "$work/vw/bin/pip" install --quiet vowpalwabbit >&2 || return 1
    fi
    vw=("$python" -m vowpalwabbit)
}

run_vw() {
    timed "${vw[@]}" --ftrl --loss_function logistic -b "$bits" --noconstant \
        --ftrl_alpha 0.1 --ftrl_beta 1 --l1 1 --data "$text"
}

# run_ours FILE
run_ours() {
    timed "$program" train --train "$1" --bits "$bits" --alpha 0.1 --beta 1 --l1 1 --l2 0 \
        --servers 2 --workers 2 --passes 1 --json "$work/run.json" --model "$work/run.model"
}

if ! find_vw; then
    echo "skipped: Vowpal Wabbit is neither on PATH nor can it be installed with pip" >&2
    exit 77
fi
if [ ! -s "$text" ]; then
    "$program" data generate --rows "$rows" --seed 1 --format vw --output "$text.new"
    mv "$text.new" "$text"
fi
if [ ! -s "$block" ]; then
    "$program" data convert --bits "$bits" --output "$block.new.psb" "$text"
    mv "$block.new.psb" "$block"
fi
cat "$text" "$block" >/dev/null

echo "Vowpal Wabbit starts and ends in $(timed "${vw[@]}" --version) s without work"
printf '%4s %10s %10s %10s %14s\n' run 'vw s' 'text s' 'block s' 'first pull ms'
: >"$work/ratios-text" && : >"$work/ratios-block" && : >"$work/first-pulls"
for run in $(seq "$runs"); do
    vw_seconds=$(run_vw)
    vw_loss=$(awk '/^average loss = / { print $4 }' "$work/log")
    text_seconds=$(run_ours "$text")
    loss=$(field train_log_loss)
    first_pull_ms=$(field first_pull_ms)
    block_seconds=$(run_ours "$block")
    printf '%4s %10s %10s %10s %14.1f\n' "$run" "$vw_seconds" "$text_seconds" "$block_seconds" "$first_pull_ms"
    echo "$first_pull_ms" >>"$work/first-pulls"
    awk -v a="$vw_seconds" -v b="$text_seconds" 'BEGIN { print a / b }' >>"$work/ratios-text"
    awk -v a="$vw_seconds" -v b="$block_seconds" 'BEGIN { print a / b }' >>"$work/ratios-block"
done

text_ratio=$(median <"$work/ratios-text")
block_ratio=$(median <"$work/ratios-block")
first_pull_ms=$(median <"$work/first-pulls")
echo "times as fast as Vowpal Wabbit, median of $runs: $text_ratio from text, $block_ratio from blocks"
echo "progressive log loss: $loss, Vowpal Wabbit $vw_loss"
echo "from the start to the first pull: $first_pull_ms ms, median of $runs from text"
code=0
holds "$text_ratio >= 1" || { echo "too slow from text: at least 1 is the bound"; code=1; }
holds "$block_ratio >= 2" || { echo "too slow from blocks: at least 2 is the bound"; code=1; }
holds "$loss <= $vw_loss + 0.002" || { echo "the loss is more than 0.002 worse"; code=1; }
holds "$first_pull_ms <= 150" || { echo "the first pull comes too late: 150 ms is the bound"; code=1; }
exit "$code"
