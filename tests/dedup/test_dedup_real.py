"""Real statements: the same LeetCode problem in two data sets, found although one wraps it in a prompt."""

import gzip
import json
from pathlib import Path

import pytest
from joining import all_pairs, brute_force_pairs

from dc_tools.core.records import Line, Problem, encode
from dc_tools.dedup.settings import Metric, Settings, Unit
from dc_tools.dedup.stage import deduplicate
from dc_tools.dedup.text import body_of, fold, words_of

RAW = Path(__file__).parents[2].parent / "shared" / "data" / "raw"
FIRST, SECOND = RAW / "leetcode_dataset_v0.1.0_train.jsonl.gz", RAW / "rllm_leetcode_train.json.gz"


@pytest.fixture(scope="module")
def copies():
    """(title, statement in the one, statement in the other), matched by their solutions and not by their texts."""
    for path in (FIRST, SECOND):
        if not path.exists():
            pytest.skip(f"{path} is not there")
    with gzip.open(FIRST, "rt", encoding="utf-8") as stream:
        first = [json.loads(line) for line in stream]
    with gzip.open(SECOND, "rt", encoding="utf-8") as stream:
        second = {"".join(row["solutions"].split()): row["problem"] for row in json.load(stream)}
    found = []
    for row in first:
        other = second.get("".join(row["completion"].split()))
        if other is not None:
            found.append((row["task_id"], row["meta"]["question_title"], other))
    assert len(found) > 1500
    return found


def matched(copies, metric):
    """Titles whose copies share a cluster, and removals that matched another title."""
    rows = [("a", title, text) for title, text, _ in copies] + [("b", title, text) for title, _, text in copies]
    lines = [
        Line(encode({"id": f"{source}/{title}", "statement": text, "tests": []}), index=i)
        for i, (source, title, text) in enumerate(rows)
    ]
    choices = Settings(metric, threshold=0.95)
    cluster_of, others = {}, set()
    for outcome in deduplicate(((line, line.decode(Problem)) for line in lines), choices, {}):
        said = outcome.line.fields.get_as("dedup", dict, {})
        name = outcome.line.decode(Problem).id
        cluster_of[name] = said.get("cluster")
        partner = said.get("through", said.get("kept_id"))
        if partner and partner[2:] != name[2:]:
            others.add(name)
    found = [title for title, _, _ in copies if cluster_of[f"a/{title}"] == cluster_of[f"b/{title}"] is not None]
    return found, others


def test_copies_of_a_problem_are_found_by_containment_and_few_others(copies):
    found, others = matched(copies, Metric.EITHER)
    assert len(found) / len(copies) > 0.99
    assert len(others) <= 6, others


@pytest.mark.parametrize("metric", [Metric.JACCARD, Metric.CONTAINMENT])
def test_join_of_real_statements_equals_brute_force(copies, metric):
    bodies = [body_of(fold(text)) for _, one, other in copies[:300] for text in (one, other)]
    plain = []
    for body in bodies:
        words = words_of(body)
        plain.append({tuple(words[i : i + 3]) for i in range(len(words) - 2)})
    expected = brute_force_pairs(plain, metric, 0.6)
    assert all_pairs(bodies, Unit.WORD, 3, metric, 0.6, 100) == expected
    assert len(expected) > 100


def test_jaccard_alone_misses_them(copies):
    found, _ = matched(copies, Metric.JACCARD)
    assert len(found) / len(copies) < 0.01
