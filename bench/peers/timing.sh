# For the scripts beside this one, which source it: whole commands and what they took. "$work" is their folder.

# timed COMMAND...: its output goes to $work/log, its seconds to standard output.
timed() {
    local started ended
    started=$(date +%s%N)
    "$@" >"$work/log" 2>&1 </dev/null || { cat "$work/log" >&2; echo "this failed: $*" >&2; return 1; }
    ended=$(date +%s%N)
    awk -v ns=$((ended - started)) 'BEGIN { printf "%.3f\n", ns / 1e9 }'
}

# field NAME: a number of the last run's summary, $work/run.json.
field() { grep -oE "\"$1\": *[-+0-9.eE]+" "$work/run.json" | head -n 1 | sed 's/.*: *//'; }

median() { sort -n | awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'; }

# holds EXPRESSION: whether it is true for awk.
holds() { awk "BEGIN { exit !($1) }"; }
