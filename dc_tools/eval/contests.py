"""Contests as Codeforces' API gives them: who took part, with which rating, and what the problems are worth.

A file of contests is one JSON object that has the API's answers by method and contest: `contest.standings:1349` and
`contest.ratingChanges:1349`. Only users whose rating the contest changed count; of teams the first member does.
"""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dc_tools.core.errors import CannotRun
from dc_tools.eval.elo import Standings

GZIP = b"\x1f\x8b"
FEWEST = 200
"""Rated users up to which a contest says too little (CodeElo)."""


class _Problem(msgspec.Struct):
    index: str
    contestId: int | None = None
    points: float | None = None


class _Member(msgspec.Struct):
    handle: str


class _Party(msgspec.Struct):
    members: list[_Member]


class _Row(msgspec.Struct):
    party: _Party
    points: float
    penalty: float = 0.0


class _Contest(msgspec.Struct):
    name: str = ""
    startTimeSeconds: int = 0


class _Table(msgspec.Struct):
    problems: list[_Problem]
    rows: list[_Row]
    contest: _Contest = msgspec.field(default_factory=_Contest)


class _Change(msgspec.Struct):
    handle: str
    oldRating: int


class _Standings(msgspec.Struct):
    result: _Table


class _Changes(msgspec.Struct):
    result: list[_Change]


@dataclass(frozen=True)
class Contest:
    """A rated contest."""

    id: str
    name: str
    points: dict[str, float | None]
    """Of each problem by its id, as 1349A; None where contests of this kind have none."""
    standings: Standings
    start_s: int = 0
    """When it began, in seconds of Unix time; 0 where that is not known."""


@dataclass(frozen=True)
class Contests:
    """Those that a model can be rated in, and why others cannot be used."""

    usable: dict[str, Contest]
    dropped: dict[str, str]


def contest_of(name: str, standings: bytes, changes: bytes) -> Contest:
    """A contest from the API's two answers. Errors: `msgspec.DecodeError`, `ValueError` where it rates too few."""
    table = msgspec.json.decode(standings, type=_Standings).result
    before = {c.handle: c.oldRating for c in msgspec.json.decode(changes, type=_Changes).result}
    rows = [row for row in table.rows if row.party.members and row.party.members[0].handle in before]
    if len(rows) <= FEWEST:
        raise ValueError(f"{len(rows)} rated users, {FEWEST + 1} are needed")
    return Contest(
        name, table.contest.name,
        {f"{problem.contestId or name}{problem.index}": problem.points for problem in table.problems},
        Standings(
            np.array([row.points for row in rows]), np.array([row.penalty for row in rows]),
            np.array([before[row.party.members[0].handle] for row in rows]),
        ),
        table.contest.startTimeSeconds,
    )


def contests_of(answers: Mapping[str, msgspec.Raw]) -> Contests:
    """The contests among the API's answers, by contest, in the order in which they began as far as that is known."""
    usable: dict[str, Contest] = {}
    dropped: dict[str, str] = {}
    for name in dict.fromkeys(key.partition(":")[2] for key in answers):
        parts = [answers.get(f"contest.{method}:{name}") for method in ("standings", "ratingChanges")]
        try:
            if parts[0] is None or parts[1] is None:
                raise ValueError("standings and rating changes are both needed")
            usable[name] = contest_of(name, bytes(parts[0]), bytes(parts[1]))
        except ValueError as error:  # msgspec's errors are among them
            dropped[name] = str(error)
    return Contests(dict(sorted(usable.items(), key=lambda item: item[1].start_s)), dropped)


def read_contests(file: Path) -> Contests:
    """The contests of a file, which may be gzipped. Errors: `CannotRun`."""
    return contests_of(_read(file, dict[str, msgspec.Raw], "a file of contests"))


def read_users(file: Path) -> list[int]:
    """A table of the ratings of users, sorted: a JSON list of ratings, or an object of how many have each.

    Errors: `CannotRun`.
    """
    found = _read(file, list[int] | dict[int, int], "a table of ratings")
    ratings = found if isinstance(found, list) else [each for each, users in found.items() for _ in range(users)]
    if not ratings:
        raise CannotRun(f"{file}: the table of ratings is empty")
    return sorted(ratings)


def _read(file: Path, kind: Any, what: str) -> Any:
    """A JSON file, which may be gzipped."""
    try:
        raw = file.read_bytes()
        return msgspec.json.decode(gzip.decompress(raw) if raw[:2] == GZIP else raw, type=kind)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CannotRun(f"{file}: not {what}: {error}") from error
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror or error}") from error
