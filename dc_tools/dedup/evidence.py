"""Why a record was removed: the record it matched, metric and score, shared tests, and the longest common text."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import orjson
import xxhash

from dc_tools.core.records import Checker, CheckerType, Mode, Struct, Test
from dc_tools.dedup.clusters import Results
from dc_tools.dedup.programs import fingerprints
from dc_tools.dedup.spans import Span

SHARED_TESTS = 3
"""Tests with equal input and output that count as evidence."""


class Described(Struct):
    """The part of a record that is compared; of a reference only `id` is required."""

    id: str
    statement: str = ""
    tests: list[Test] = msgspec.field(default_factory=list)
    mode: Mode = Mode.STDIN
    checker: Checker = msgspec.field(default_factory=Checker)
    solutions: Any = None
    """Ours, or whatever a reference calls so."""


class Likeness(NamedTuple):
    """Why two records match."""

    metric: str
    score: float
    measures: dict[str, Any]
    """What else is known of the two."""


class Evidence(Struct):
    """The field `dedup` of a removed record. `kept_id` is the cluster's kept record, or the one in `against`."""

    reason: str
    """`duplicate` or `contaminated`."""
    kept_id: str
    metric: str
    """`exact` where the whole statements are equal, else what the score is: `jaccard`, `ngram`, ..."""
    score: float
    evidence: dict[str, Any]
    span: Span | None
    cluster: int | None = None
    through: str | None = None
    """The removed record that this one matched instead: metric, score and span speak of that pair."""
    against: str | None = None


def explain(
    reason: str, removed: Described, matched: Described, likeness: Likeness, span: Span | None
) -> Evidence:
    """The evidence for one pair, from what is known of their texts, and from their tests and solutions."""
    metric, score, measures = likeness
    evidence = dict(measures)
    agreeing = shared_tests(removed, matched)
    if agreeing >= SHARED_TESTS:
        evidence["shared_tests"] = agreeing
    programs = shared_programs(removed, matched)
    if programs:
        evidence["shared_solutions"] = programs
    return Evidence(reason, matched.id, metric, score, evidence, span)


def results_of(record: Described) -> Results:
    """Hash of each test input -> hash of its output; only where one output alone is right.

    Inputs of stdin and function tests never meet. A record that contradicts itself loses that input.
    """
    if record.checker.type is not CheckerType.DEFAULT:
        return {}
    is_json = record.mode is Mode.FUNCTION
    results: Results = {}
    torn = set()
    for test in record.tests:
        key = xxhash.xxh3_64_intdigest(_input_form(test.input, is_json), seed=int(is_json))
        value = xxhash.xxh3_64_intdigest(_output_form(test.output, is_json))
        if results.setdefault(key, value) != value:
            torn.add(key)
    return {key: value for key, value in results.items() if key not in torn}


def shared_tests(a: Described, b: Described) -> int:
    """Number of test inputs that both have with equal outputs."""
    return len(results_of(a).items() & results_of(b).items())


def shared_programs(a: Described, b: Described) -> int:
    """Number of programs, whatever their names, that solve both."""
    return len(fingerprints(_codes(a)) & fingerprints(_codes(b)))


def _codes(record: Described) -> Iterator[str]:
    for solution in record.solutions if isinstance(record.solutions, list) else []:
        code = solution.get("code") if isinstance(solution, dict) else solution
        if isinstance(code, str):
            yield code


def _input_form(text: str, is_json: bool) -> bytes:
    """Bytes equal for inputs that a program cannot tell apart: JSON without its spacing, lines without their ends."""
    if is_json:
        return _json_form(text)
    return _encoded("\n".join(line.rstrip() for line in text.rstrip().splitlines()))


def _output_form(text: str, is_json: bool) -> bytes:
    """Bytes equal for outputs that the default comparison takes as equal tokens."""
    return _json_form(text) if is_json else _encoded(" ".join(text.split()))


def _json_form(text: str) -> bytes:
    try:
        return orjson.dumps(orjson.loads(text))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _encoded(text.strip())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
