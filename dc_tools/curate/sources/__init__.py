"""One file for each raw format: a row in, a draft or a refusal out. A row of the wrong types is a `BadLine`."""

from collections.abc import Callable
from dataclasses import replace

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Line, encode
from dc_tools.curate.draft import Draft
from dc_tools.curate.filters import self_contained
from dc_tools.curate.formats import Format, chosen, keys_of
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.sources import (
    apps,
    codecontests,
    codeforces,
    deepcoder,
    humaneval,
    humaneval_plus,
    kodcode,
    leetcode,
    livecodebench,
    mbpp,
    plain,
    rllm_leetcode,
    rstar,
    sandboxfusion,
    synthetic1,
    taco,
)

SOURCES: dict[Format, Callable[[Line], Draft | Refusal]] = {
    Format.HUMANEVAL: humaneval.draft,
    Format.HUMANEVAL_PLUS: humaneval_plus.draft,
    Format.MBPP: mbpp.draft,
    Format.LEETCODE: leetcode.draft,
    Format.RLLM_LEETCODE: rllm_leetcode.draft,
    Format.KODCODE: kodcode.draft,
    Format.RSTAR: rstar.draft,
    Format.LIVECODEBENCH: livecodebench.draft,
    Format.SANDBOXFUSION: sandboxfusion.draft,
    Format.TACO: taco.draft,
    Format.APPS: apps.draft,
    Format.CODECONTESTS: codecontests.draft,
    Format.CODEFORCES: codeforces.draft,
    Format.SYNTHETIC1: synthetic1.draft,
    Format.DEEPCODER: deepcoder.draft,
    Format.PLAIN: plain.draft,
}


def draft(line: Line, wanted: Format) -> Draft | Refusal:
    """What `line` holds, read as `wanted`; a refusal, too, where its statement shows a picture or tells of a dialogue.

    Errors: `BadLine` for a row of another or an unknown shape.
    """
    if line.raw.startswith(b"["):
        raise BadLine("a JSON array where one object a line is read: jq -c '.[]' makes lines of it")
    format_ = chosen(wanted, keys_of(line.fields))
    if not isinstance(format_, Format):
        raise BadLine(format_)
    try:
        found = _writable(SOURCES[format_](line))
    except RecursionError:
        return Refusal(Reason.PARSE_ERROR, "the row holds what is nested too deeply")
    return found if isinstance(found, Refusal) else self_contained(found.problem) or found


def _writable(found: Draft | Refusal) -> Draft | Refusal:
    """`found`, if a record can hold it: Python literals have strings and numbers that no JSON line has."""
    if isinstance(found, Refusal):
        return replace(found, detail=found.detail.encode("utf-8", "backslashreplace").decode())
    try:
        if found.own is None:
            encode(found.problem)
    except TypeError as error:
        return Refusal(Reason.PARSE_ERROR, f"a value that a record cannot hold: {error}")
    return found
