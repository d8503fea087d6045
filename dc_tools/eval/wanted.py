"""What the flags ask for, checked before any work is done."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_tools.core.errors import CannotRun, UsageError
from dc_tools.core.run import Run
from dc_tools.eval.benchmarks import MODULES, is_on_the_hub
from dc_tools.eval.groups import GroupBy, parse_group_by
from dc_tools.eval.rows import row_names
from dc_tools.eval.sampling import Asked
from dc_tools.eval.summary import parse_ks

FORMATS = ("json", "markdown", "latex")
OPTIONS = {
    "lcb": ("grader", "extraction", "start_date", "end_date", "release"), "codeforces": ("contests", "users", "method"),
}
"""Flags that only one benchmark takes."""


@dataclass(frozen=True)
class Wanted:
    """What the flags ask for, parsed; `asked` is None where no model is sampled."""

    ks: list[int]
    group_by: list[GroupBy]
    minimums: list[str]
    judge: bool
    format: str
    datasets: list[str]
    data: str | None
    options: dict[str, str]
    """What single benchmarks are asked for beside their data."""
    samples_out: str | None
    report: str | None
    traces: int
    """Most failing rollouts that the report traces."""
    runs: list[str]
    compare: bool
    partial: bool
    asked: Asked | None

    def options_of(self, dataset: str) -> dict[str, str]:
        """Those that this benchmark takes."""
        return {name: value for name, value in self.options.items() if name in OPTIONS.get(dataset, ())}


def wanted(k: str, group_by: str, datasets: str, asked: Asked | None, **rest: Any) -> Wanted:
    """The flags. Errors: `UsageError`."""
    ks, names = parse_ks(k), _datasets(datasets)
    if asked and asked.sampling.n < max(ks):
        raise UsageError(f"pass@{max(ks)} needs n >= k: --n is {asked.sampling.n}")
    if rest["format"] not in FORMATS:
        raise UsageError(f"--format {rest['format']}: choose json, markdown or latex")
    _check_data(names, rest["data"])
    if len(names) > 1 and not asked:
        raise UsageError("FILE holds samples for one of --datasets; several are for --model")
    if rest["compare"] and asked and names:
        raise UsageError("--compare sets FILEs against each other; the rows of --datasets have no problem in common")
    for dataset, flags in OPTIONS.items():
        given = sorted(set(flags) & set(rest["options"]))
        if given and dataset not in names:
            raise UsageError(f"--{given[0].replace('_', '-')} is for --datasets {dataset}")
    return Wanted(ks=ks, group_by=parse_group_by(group_by), datasets=names, asked=asked, **rest)


def _check_data(names: list[str], data: str | None) -> None:
    if data is not None and not names:
        raise UsageError("--data is for --datasets NAME")
    for name in names if data is None else ():
        if not is_on_the_hub(name):
            raise UsageError(f"--datasets {name} needs --data DIR: it is not on the hub as it is read here")
    if data is not None and len(names) > 1 and not Path(data).is_dir():
        raise UsageError(f"--data {data}: several --datasets need a folder with a file for each")


def _datasets(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in MODULES:
            raise UsageError(f"--datasets {name}: choose from {', '.join(MODULES)}")
    return names


def rows_of(run: Run, want: Wanted) -> dict[str, str]:
    """File -> row. A model sampled on benchmarks has a row for each, named after it, and no files."""
    if not (want.asked and want.datasets):
        return row_names(run.files)
    if run.files != [os.devnull]:
        raise UsageError("--model with --datasets takes its problems from --data, not from FILE")
    return {name: name for name in want.datasets}


def check_targets(run: Run, want: Wanted) -> None:
    """Refuse now what could not be written when all is judged."""
    if not run.lines_out and run.options.shard_records:
        raise UsageError(f"--shard-records: -o {run.options.output} takes the files of an evaluation")
    data, output = Path(want.data or "").resolve(), Path(run.options.output).resolve()
    if not run.lines_out and want.data and (output == data or data in output.parents):
        raise UsageError(f"-o {run.options.output}: that is in --data, which would change; choose another folder")
    for flag, target in (("--samples-out", want.samples_out), ("--report", want.report)):
        if target is None:
            continue
        if not run.lines_out:
            raise UsageError(f"{flag} {target}: the folder {run.options.output} has its own")
        if Path(target).is_dir():
            raise CannotRun(f"{flag} {target}: that is a folder")
        if not Path(target).parent.is_dir():
            raise CannotRun(f"{flag} {target}: the folder {Path(target).parent} does not exist")
        if not os.access(Path(target).parent, os.W_OK):
            raise CannotRun(f"{flag} {target}: the folder {Path(target).parent} cannot be written")
