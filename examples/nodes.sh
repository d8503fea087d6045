#!/usr/bin/env bash
# dc-learn over two machines that share a file system, without a scheduler.
#
#     first machine:   examples/nodes.sh head
#     second machine:  examples/nodes.sh join FIRST
#     first machine:   examples/nodes.sh learn problems.jsonl MODEL RUN [FLAG]...
#     both, at the end: examples/nodes.sh stop
#
# Ray lets in who has the token in ~/.ray/auth_token: copy it where the machines have not one home folder.
set -euo pipefail
port=${DC_RAY_PORT:-6379}
export RAY_ENABLE_UV_RUN_RUNTIME_ENV=0 RAY_AUTH_MODE=${RAY_AUTH_MODE:-token}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case ${1:-} in
    head)
        if [ "$RAY_AUTH_MODE" = token ]; then ray get-auth-token --generate > /dev/null; fi
        ray start --head --port "$port" --include-dashboard false --disable-usage-stats ;;
    join) ray start --address "$2:$port" --disable-usage-stats ;;
    learn)
        problems=$2 model=$3 run=$4
        shift 4
        dc-learn "$problems" --model "$model" -o "$run" --resume --ray-address "$(hostname -i | cut -d' ' -f1):$port" \
            --recipe "${DC_RECIPE:-$here/recipes/deepcoder-1.5b.toml}" "$@" ;;
    stop) ray stop ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
