#!/usr/bin/env bash
# Set up .venv and run the tests; arguments go to pytest.
#
#     tests/run.sh                      all but the slow ones
#     tests/run.sh -m slow              these; -m "" for all
#     tests/run.sh tests/core -x -k resume
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
"$root/bin/setup" train demo test
cd "$root"
exec .venv/bin/python -m pytest "$@"
