"""The Hugging Face hub: datasets as inputs, `hf://owner/name[@revision][/path][?split=...&config=...]`, and models,
`owner/name[@revision]`.

A path is a file, or a folder whose files are meant. Without a path the dataset's card says which files make up a
configuration and its splits, and where it does not, their names do: `data/train-00000-of-00003.parquet`,
`taco/test.jsonl`, `default/train/0000.parquet`. Where several splits or configurations could be meant, none is guessed.

What is read of a dataset has a name of the same form, `hf://owner/name@<commit>/<file>`, so that it says for ever which
bytes were read, on every machine; the cache, the token and the endpoint are huggingface_hub's (HF_HOME, HF_TOKEN,
HF_ENDPOINT, HF_HUB_OFFLINE). Which files a revision holds is noted in the cache, for runs without a network.
"""

import contextlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from dc_tools.core.errors import CannotRun, UsageError, missing_extra
from dc_tools.core.lines import ON_THE_HUB
from dc_tools.core.manifest import write_atomic
from dc_tools.core.records import encode

T = TypeVar("T")
FORM = "hf://owner/name[@revision][/path][?split=...&config=...]"
DATASET, MODEL = "dataset", "model"
TIMEOUT_S = 10.0
"""For the first word of the hub; downloads have huggingface_hub's own limits."""
NAME = re.compile(
    r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>refs/convert/\w+|refs/pr/\d+|[^/?]+))?"
    r"(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?", re.ASCII
)
MODEL_NAME = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w.%-]+))?", re.ASCII)
MODEL_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""What transformers and vLLM load: weights in one format, tokenizer, chat template."""
COMMIT = re.compile(r"[0-9a-f]{40}")
DATA = re.compile(r"\.(parquet|jsonl|ndjson|json)(?:\.gz|\.zst)?$", re.IGNORECASE)
NO_DATA = re.compile(r"(^|/)\.|(^|/)(dataset_infos?|dataset_dict|state|([^/]*\.)?manifest)\.json$")
"""Hidden files and what tools write about data."""
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}
"""Words in file names -> the split they tell, as the `datasets` library understands them."""
WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?![a-z])")
SHARD = re.compile(r"^(\w[\w.]*?)-\d{5}-of-\d{5}")
DEFAULT = "default"


@dataclass(frozen=True)
class Reference:
    """What an `hf://` name says."""

    repo: str
    revision: str = "main"
    path: str = ""
    split: str | None = None
    config: str | None = None
    kind: str = DATASET

    @property
    def dataset(self) -> str:
        """The name for people."""
        return self.repo if self.kind == MODEL else f"{ON_THE_HUB}{self.repo}"

    @property
    def page(self) -> str:
        """Its page on the hub."""
        return self.repo if self.kind == MODEL else f"datasets/{self.repo}"


class DataFiles(msgspec.Struct):
    """One split in a dataset card."""

    split: str
    path: str | list[str]


class Config(msgspec.Struct):
    """One configuration in a dataset card."""

    config_name: str = DEFAULT
    data_files: str | list[str | DataFiles] | dict[str, str | list[str]] = msgspec.field(default_factory=list)
    data_dir: str | None = None


class Listing(msgspec.Struct):
    """The files of a revision and the configurations of its card."""

    commit: str
    files: list[str]
    configs: list[Config]


@dataclass(frozen=True)
class Part:
    """A file of data with the configuration and split that it belongs to."""

    file: str
    config: str
    split: str


def parse(name: str) -> Reference:
    """Take a name apart. Errors: `UsageError`."""
    found = NAME.fullmatch(name.removeprefix(ON_THE_HUB).removeprefix("datasets/"))
    if not found:
        raise UsageError(f"{name}: not of the form {FORM}")
    asked = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    if set(asked) - {"split", "config"} or "" in asked.values():
        raise UsageError(f"{name}: after ? come split=NAME, config=NAME or both, joined by &")
    revision, path = unquote(found["revision"] or "main"), unquote(found["path"] or "").strip("/")
    return Reference(found["repo"], revision, path, asked.get("split"), asked.get("config"))


def files_of(name: str, quiet: bool = False) -> list[str]:
    """The files meant by `name`, in the order of their names, each as a name with its commit; all are then here.

    Errors: `UsageError` for what is not there or not clear, `CannotRun` where the hub does not give it.
    """
    reference = parse(name)
    _quieten(bars=not quiet and sys.stderr.isatty())
    listing = _listing(reference)
    found = [
        f"{reference.dataset}@{listing.commit}/{file.replace('%', '%25').replace('?', '%3F')}"
        for file in chosen(reference, listing)
    ]
    for each in found:
        local_path(each)
    return found


def local_path(name: str) -> str:
    """Where the file of a name that `files_of` gave lies on this machine; it is downloaded where it does not yet."""
    hub, reference = _hub(), parse(name)
    return _asked(reference, lambda: str(hub.hf_hub_download(
        reference.repo, reference.path, repo_type=DATASET, revision=reference.revision
    )))


def is_model(name: str) -> bool:
    """Whether `name` has the form of a model on the hub."""
    return MODEL_NAME.fullmatch(name) is not None


def model_folder(name: str) -> Path:
    """Where the files of the model `owner/name[@revision]` are on this machine; downloaded where they are not yet.

    Errors: `CannotRun`.
    """
    found = MODEL_NAME.fullmatch(name)
    if not found:
        raise UsageError(f"{name}: not of the form owner/name[@revision]")
    reference = Reference(found["repo"], unquote(found["revision"] or "main"), kind=MODEL)
    _quieten(bars=sys.stderr.isatty())
    return Path(_asked(reference, lambda: _hub().snapshot_download(
        reference.repo, revision=reference.revision, allow_patterns=list(MODEL_FILES)
    )))


# -- which files ------------------------------------------------------------------------------------------------


def chosen(reference: Reference, listing: Listing) -> list[str]:
    """The files of one split of one configuration, sorted. Errors: `UsageError`."""
    if reference.path in listing.files:
        if reference.split or reference.config:
            raise UsageError(f"{reference.dataset}/{reference.path} is a file: it has no split and no config to choose")
        return [reference.path]
    parts = _parts(reference, listing)
    if not parts:
        inside = f"/{reference.path}" if reference.path else ""
        raise UsageError(
            f"{reference.dataset}{inside}: no .parquet, .jsonl or .json files at {reference.revision}"
            f" (@refs/convert/parquet may have them)"
        )
    config = _one("config", reference.config, {part.config for part in parts}, reference)
    parts = [part for part in parts if part.config == config]
    asked = reference.split and (SPLITS.get(reference.split) or reference.split)
    splits = {part.split for part in parts}
    split = _one("split", reference.split if reference.split in splits else asked, splits, reference)
    files = sorted({part.file for part in parts if part.split == split})
    kinds = sorted({_kind(file) for file in files})
    if len(kinds) > 1:
        raise UsageError(f"{reference.dataset}: {split} is there as {' and as '.join(kinds)}: name a folder or a file")
    return files


def _one(key: str, asked: str | None, there: set[str], reference: Reference) -> str:
    """The value of `key` that is asked for, or the only one there is."""
    names = sorted(there)
    listed = ", ".join(f"{key}={value}" for value in names)
    if asked is None and len(names) > 1:
        raise UsageError(f"{reference.dataset}: which {key}? Add ?{key}=... to its name: there is {listed}")
    if asked is not None and asked not in there:
        raise UsageError(f"{reference.dataset}: no {key}={asked}; there is {listed}")
    return asked if asked is not None else next(iter(there))


def _parts(reference: Reference, listing: Listing) -> list[Part]:
    files = _readable(file for file in listing.files if _inside(file, reference.path))
    if not reference.path:
        parts = [part for config in listing.configs for part in _of_the_card(config, files)]
        if parts:
            return parts
    configs: dict[str, list[str]] = {}
    for file in files:
        configs.setdefault(_config_of(file, reference.path), []).append(file)
    return [part for config, of_it in configs.items() for part in _by_name(config, of_it, reference.path)]


def _readable(files: Iterable[str]) -> list[str]:
    """Those that hold records; .json, which holds other things as often, counts where nothing else does."""
    data = [file for file in files if DATA.search(file) and not NO_DATA.search(file)]
    return [file for file in data if _kind(file) != "json"] or data


def _kind(file: str) -> str:
    found = DATA.search(file)
    kind = found[1].lower() if found else ""
    return "jsonl" if kind == "ndjson" else kind


def _inside(file: str, folder: str) -> bool:
    return not folder or file.startswith(f"{folder}/")


def _by_name(config: str, files: list[str], folder: str = "") -> list[Part]:
    """Splits as the names tell them; files without one belong to none, or all to train where no file has one."""
    told = {file: _split_of(file.removeprefix(folder).strip("/")) for file in files}
    anything = any(told.values())
    return [Part(file, config, split or "train") for file, split in told.items() if split or not anything]


def _split_of(file: str) -> str:
    """The split in a file's own name, or else in its nearest folder that tells one; empty where none does."""
    *folders, last = file.split("/")
    shard = SHARD.match(last)
    if shard and not WORD.search(shard[1].lower()):
        return shard[1]
    words = (WORD.search(each.lower()) for each in (last, *reversed(folders)))
    return next((SPLITS[word[1]] for word in words if word), "")


def _config_of(file: str, folder: str) -> str:
    """The outermost folder that names neither a split nor just data."""
    folders = file.removeprefix(folder).strip("/").split("/")[:-1]
    return next((each for each in folders if each != "data" and not WORD.search(each.lower())), DEFAULT)


def _of_the_card(config: Config, files: list[str]) -> list[Part]:
    """The files that the patterns of a card's configuration match."""
    given, base = config.data_files, f"{config.data_dir.strip('/')}/" if config.data_dir else ""
    if isinstance(given, dict):
        given = [DataFiles(split, path) for split, path in given.items()]
    listed = [given] if isinstance(given, str) else given
    parts: list[Part] = []
    for each in listed:
        if isinstance(each, DataFiles):
            found = _matching([each.path] if isinstance(each.path, str) else each.path, base, files)
            parts += [Part(file, config.config_name, each.split) for file in found]
    free = [each for each in listed if isinstance(each, str)] or ([] if listed or not base else ["**"])
    return parts + _by_name(config.config_name, _matching(free, base, files))


def _matching(patterns: list[str], base: str, files: list[str]) -> list[str]:
    """Those that a pattern matches; `*` stays within a folder, `**` does not."""
    return [
        file for file in files if any(
            fnmatchcase(file, base + pattern) and ("**" in pattern or file.count("/") == (base + pattern).count("/"))
            for pattern in (each.removeprefix("./") for each in patterns)
        )
    ]


# -- the hub ----------------------------------------------------------------------------------------------------


def _hub() -> Any:
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise missing_extra("huggingface_hub", "hf") from None
    return huggingface_hub


def _quieten(bars: bool) -> None:
    """Let the library say nothing but show its bars: what goes wrong is said here, in one line."""
    hub = _hub()
    hub.utils.logging.set_verbosity_error()
    if not bars:
        hub.utils.disable_progress_bars()


def _listing(reference: Reference) -> Listing:
    """What the hub says is there; what it said before where that cannot change or there is no network."""
    hub = _hub()
    folder = Path(hub.constants.HF_HUB_CACHE) / f"datasets--{reference.repo.replace('/', '--')}" / "dc_tools"
    if hub.constants.HF_HUB_OFFLINE or COMMIT.fullmatch(reference.revision):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(_note(folder, reference.revision).read_bytes(), type=Listing)
    listing = _asked(reference, lambda: _listed(hub.HfApi(), reference))
    with contextlib.suppress(OSError, CannotRun):  # a cache that others fill and we only read
        folder.mkdir(parents=True, exist_ok=True)
        for revision in {reference.revision, listing.commit}:
            write_atomic(_note(folder, revision), encode(listing))
    return listing


def _note(folder: Path, revision: str) -> Path:
    return folder / f"{quote(revision, safe='')}.json"


def _listed(api: Any, reference: Reference) -> Listing:
    info = api.dataset_info(reference.repo, revision=reference.revision, timeout=TIMEOUT_S)
    files = api.list_repo_files(reference.repo, revision=info.sha, repo_type=DATASET)
    try:
        configs = msgspec.convert((info.card_data or {}).get("configs") or [], list[Config])
    except msgspec.ValidationError:
        configs = []
    return Listing(info.sha, files, configs)


def _asked(reference: Reference, ask: Callable[[], T]) -> T:
    """What the library answers; its errors, of whatever HTTP client it uses, as one line that says what to do."""
    try:
        return ask()
    except Exception as error:
        raise CannotRun(f"{reference.dataset}: {_advice(error, reference)}") from error


def _advice(error: Exception, reference: Reference) -> str:
    hub = _hub()
    errors, endpoint = hub.errors, hub.constants.ENDPOINT
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"gated: accept its terms at {endpoint}/{reference.page} and set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"no revision {reference.revision}"
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return f"no such {reference.kind} at {endpoint}, or not for all to read: check its name, and set HF_TOKEN"
    if hub.constants.HF_HUB_OFFLINE:
        return "not all of it was downloaded before, and HF_HUB_OFFLINE is set"
    if status is not None:
        return f"{endpoint} answers {status}: try again later"
    why = str(error).partition("\n")[0] or type(error).__name__
    return f"{endpoint} cannot be reached ({why}); HF_HUB_OFFLINE=1 takes what was downloaded before"
