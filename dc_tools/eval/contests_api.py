"""Contests from the live API of Codeforces, kept in a cache: a contest that is over does not change."""

import time
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from dc_tools.core.errors import CannotRun
from dc_tools.core.manifest import write_atomic
from dc_tools.eval.cache import folder
from dc_tools.eval.contests import Contests, contests_of

METHODS = ("contest.standings", "contest.ratingChanges")
PAUSE_S = 2.0
"""Between two requests, as the API asks for."""
TRIES = 3
TIMEOUT_S = 60.0
BUSY = "limit exceeded"
"""In the words of an API that is asked too often."""


class _Answer(msgspec.Struct):
    status: str
    comment: str = ""


def fetched(url: str, ids: Sequence[str], pause_s: float = PAUSE_S) -> Contests:
    """The contests, from the cache or from the API at `url`; those that it refuses are dropped with its words.

    Errors: `CannotRun` where it cannot be reached.
    """
    answers: dict[str, msgspec.Raw] = {}
    refused: dict[str, str] = {}
    for contest in ids:
        for method in METHODS:
            raw = _answer(url.rstrip("/"), method, contest, pause_s)
            said = msgspec.json.decode(raw, type=_Answer)
            if said.status == "OK":
                answers[f"{method}:{contest}"] = msgspec.Raw(raw)
            else:
                refused[contest] = said.comment or said.status
                break
    found = contests_of({key: raw for key, raw in answers.items() if key.partition(":")[2] not in refused})
    return Contests(found.usable, found.dropped | refused)


def _answer(url: str, method: str, contest: str, pause_s: float) -> bytes:
    kept = folder() / "contests" / f"{sha256(url.encode()).hexdigest()[:8]}-{method}-{contest}.json"
    try:
        return kept.read_bytes()
    except OSError:
        raw = _asked(f"{url}/{method}", contest, pause_s)
    if msgspec.json.decode(raw, type=_Answer).status == "OK":
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, raw)
    return raw


def _asked(url: str, contest: str, pause_s: float) -> bytes:
    import httpx

    said = ""
    for _ in range(TRIES):
        time.sleep(pause_s)
        try:
            answer = httpx.get(url, params={"contestId": contest, "showUnofficial": "false"}, timeout=TIMEOUT_S)
            told = msgspec.json.decode(answer.content, type=_Answer)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            said = str(error)
            continue
        if told.status == "OK" or BUSY not in told.comment.lower():
            return answer.content
        said = told.comment
    raise CannotRun(f"--contests {url}: contest {contest}: {said}")
