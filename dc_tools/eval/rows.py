"""The rows of an evaluation: each input file is one, with its tallies and its summary."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dc_tools.core.errors import UsageError
from dc_tools.core.extract import extract_code
from dc_tools.core.records import Problem
from dc_tools.eval.compare import Comparison, compare
from dc_tools.eval.groups import GroupBy
from dc_tools.eval.summary import Summary, summarize
from dc_tools.eval.tally import Extract, Tally, tally
from dc_tools.eval.timing import Timing

_SUFFIXES = re.compile(r"(\.(jsonl|json|gz|zst|parquet))+$")
_SHARD = re.compile(r"part-\d+(\.\w+)*")


class Rows:
    """Tallies by row name, in the order of the files; a row without lines is kept, with zero problems."""

    def __init__(self, names: Sequence[str], ks: Sequence[int]) -> None:
        self.ks = ks
        self.tallies: dict[str, list[Tally]] = {name: [] for name in names}

    def add(
        self, name: str, problem: Problem, scores: Mapping[str, float] | None = None, timing: Timing | None = None,
        extract: Extract = extract_code,
    ) -> None:
        """Count one problem, with further scores that its benchmark gives, and how long sampling took; `extract` finds
        in an answer what is judged.

        Errors: `UsageError` for rollouts, but fewer than k.
        """
        n, k = len(problem.rollouts), max(self.ks)
        if 0 < n < k:
            raise UsageError(f"pass@{k} needs n >= k rollouts of each problem: {problem.id} has n = {n}")
        counted = tally(problem, extract)
        counted.scores |= scores or {}
        counted.timing = timing
        self.tallies[name].append(counted)

    def summaries(self, group_by: Sequence[GroupBy], seed: int) -> dict[str, Summary]:
        """The summary of each row."""
        return {name: summarize(tallies, self.ks, group_by, seed) for name, tallies in self.tallies.items()}

    def comparisons(self, seed: int) -> dict[str, Comparison]:
        """Each further row against the first. Errors: `UsageError`."""
        (_, first), *others = self.tallies.items()
        return {name: compare(first, tallies, seed) for name, tallies in others}


def row_names(files: Sequence[str]) -> dict[str, str]:
    """File -> row: the file's name without suffixes; shards are one row, named as their folder.

    Where files of different folders share a name, as many folders are put before it as tell them apart. Errors:
    `UsageError` for a file that is named twice.
    """
    homes: dict[str, dict[str, list[str]]] = {}
    for file in files:
        at = homes.setdefault(_name(file), {}).setdefault(_home(file), [])
        if at and not _is_shard(file):
            raise UsageError(f"{file}: it is named twice")
        at.append(file)
    found = {file: row for name, at in homes.items() for home, row in _told_apart(name, at) for file in at[home]}
    return {file: found[file] for file in files}


def _told_apart(name: str, homes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The row of each home: its name alone, or else the end of its path."""
    paths = [Path(home).parts for home in homes]
    if len(paths) == 1:
        yield from ((home, name) for home in homes)
        return
    length = next(n for n in range(2, max(map(len, paths)) + 1) if len({path[-n:] for path in paths}) == len(paths))
    yield from ((home, "stdin" if home == "-" else "/".join(Path(home).parts[-length:])) for home in homes)


def _is_shard(file: str) -> bool:
    return _SHARD.fullmatch(Path(file).name) is not None


def _name(file: str) -> str:
    if file == "-":
        return "stdin"
    path = Path(file)
    return path.resolve().parent.name if _is_shard(file) else _SUFFIXES.sub("", path.name) or path.name


def _home(file: str) -> str:
    """What the file's row stands for: the folder of shards, or the file itself."""
    return str(Path(file).resolve().parent if _is_shard(file) else Path(file).resolve()) if file != "-" else file
