#!/usr/bin/env bash
# A run that learns for the hours in which a machine is free, night after night, and is measured when it is done.
#
#     0 22 * * *  /path/to/examples/cron/nightly.sh problems.jsonl MODEL heldout.jsonl /path/to/runs/small
#
# Every night goes on where the last one stopped; when all steps are done, further nights do nothing. Mail comes from
# cron only where something fails: what the commands say goes to RUN.log.
set -euo pipefail
problems=$1 model=$2 heldout=$3 run=$4
hours=${DC_HOURS:-8} steps=${DC_STEPS:-100}
recipe=${DC_RECIPE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/recipes/cpu-demo.toml}
exec 9>"$run.lock"
flock -n 9 || { echo "$run: last night's run is still at work" >&2; exit 75; }
exec 3>&2 2>>"$run.log"

code=0
dc-learn "$problems" --model "$model" --recipe "$recipe" --steps "$steps" --stop-after $((hours * 3600)) \
    -o "$run" --resume || code=$?
case $code in
    0) ;;
    75) exit 0 ;;  # stopped in time, to go on tomorrow
    *) echo "dc-learn ended with $code: see $run.log" >&3; exit "$code" ;;
esac
dc-rollout "$heldout" --model "$run/model" --n 4 --prompt-style fenced --max-tokens 64 -o "$run/answers.jsonl" --resume
dc-sandbox "$run/answers.jsonl" -o "$run/judged.jsonl" --resume
dc-eval "$run/judged.jsonl" --report "$run/report.html" -o "$run/scores.jsonl" --force
