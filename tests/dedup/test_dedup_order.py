"""The order of the input: it changes what is kept only among records of equal merit."""

import json
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from joining import OF_SETS

from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Kept
from dc_tools.dedup.clusters import Match, find_clusters
from dc_tools.dedup.settings import Keep, Settings
from dc_tools.dedup.stage import deduplicate

WORDS = ["sum", "array", "数", "of", "n"]
RESULTS = st.dictionaries(st.sampled_from("12"), st.sampled_from("ab"), max_size=2)


def kept_ids(records, chosen):
    """The ids that `deduplicate` keeps of `records` in this order."""
    lines = [Line(encode(record), index=i) for i, record in enumerate(records)]
    outcomes = deduplicate(((line, line.decode(Problem)) for line in lines), chosen, {})
    return {json.loads(outcome.line.raw)["id"] for outcome in outcomes if isinstance(outcome, Kept)}


@st.composite
def texts(draw):
    """Statements of few words; many are near-duplicates of earlier ones."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        if found and draw(st.booleans()):
            words = draw(st.sampled_from(found)).split()
            place = draw(st.integers(0, len(words)))
            words[place : place + draw(st.integers(0, 1))] = draw(st.lists(st.sampled_from(WORDS), max_size=1))
        else:
            words = draw(st.lists(st.sampled_from(WORDS), max_size=10))
        found.append(" ".join(words))
    return found


def padded(text, merit):
    """The same text for every comparison, and the longer the higher the merit (up to 8)."""
    return text.ljust(100) + "\n" * merit


def filled(results, merit):
    """As many tests as `merit` + 2 says: `results`, then inputs that nobody else has."""
    tests = [{"input": given, "output": wanted} for given, wanted in results.items()]
    return tests + [{"input": f"own {merit} {i}", "output": ""} for i in range(merit + 2 - len(tests))]


@st.composite
def corpora(draw):
    """Records whose merits all differ, texts of references, and the choices of a run."""
    pool = draw(texts())
    keep = draw(st.sampled_from([Keep.LONGEST, Keep.MOST_TESTS]))
    merits = draw(st.permutations(range(draw(st.integers(2, 7)))))
    records = []
    for i, merit in enumerate(merits):
        text, results = draw(st.sampled_from(pool)), draw(RESULTS)
        by_length = keep is Keep.LONGEST
        records.append({
            "id": f"r{i}", "statement": padded(text, merit if by_length else draw(st.integers(0, 2))),
            "tests": filled(results, 0 if by_length else merit)[: len(results) if by_length else None],
        })
    references = [
        {"id": f"e{i}", "statement": draw(st.sampled_from(pool)), "tests": filled(draw(RESULTS), 0)}
        for i in range(draw(st.integers(0, 2)))
    ]
    threshold, batch = draw(st.sampled_from([0.5, 0.75, 0.95])), draw(st.integers(1, 4))
    return records, references, {
        "metric": draw(st.sampled_from(OF_SETS)), "keep": keep, "threshold": threshold, "batch": batch,
        "ngram": draw(st.sampled_from([None, 3])) if references else None,
    }


@settings(max_examples=80, deadline=None)
@given(corpora(), st.data())
def test_the_kept_records_are_the_same_in_every_order(tmp_path_factory, corpus, data):
    records, references, choices = corpus
    if references:
        against = tmp_path_factory.mktemp("against") / "eval.jsonl"
        against.write_bytes(b"".join(encode(reference) + b"\n" for reference in references))
        choices["against"] = (str(against),)
    chosen = Settings(**choices)
    kept = kept_ids(records, chosen)
    for _ in range(3):
        assert kept_ids(data.draw(st.permutations(records)), chosen) == kept


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_clusters_are_the_same_in_all_orders_where_merits_differ(data):
    count = data.draw(st.integers(2, 4))
    nodes = [data.draw(st.integers(0, 2)) for _ in range(count)]
    present = sorted(set(nodes))
    edges = [
        (a, b, score) for a in present for b in present
        if a < b and (score := data.draw(st.sampled_from([None, 0.95, 0.97])))
    ]
    results = [data.draw(st.dictionaries(st.integers(0, 1), st.integers(0, 1), max_size=2)) for _ in range(count)]
    merits = data.draw(st.permutations(range(count)))

    def partition(order):
        """The clusters of records that came in this order, and who is kept."""
        places = {}
        for place, record in enumerate(order):
            places.setdefault(nodes[record], []).append(place)
        number = {node: mine[0] for node, mine in places.items()}
        matches = [Match(*sorted((number[a], number[b])), score) for a, b, score in edges]
        found = find_clusters(
            {number[node]: mine for node, mine in places.items()}, matches,
            lambda place: dict(results[order[place]]), lambda place: merits[order[place]],
        )
        return {frozenset(order[place] for place in each.members): order[each.kept] for each in found.clusters}

    first = partition(range(count))
    assert all(partition(order) == first for order in permutations(range(count)))


def test_among_equals_the_first_chooses():
    def record(name, results):
        return {"id": name, "statement": "print the answer", "tests": filled(results, 0)[: len(results)]}

    one, either, other = record("one", {"1": "a"}), record("either", {}), record("other", {"1": "b"})
    assert kept_ids([one, either, other], Settings()) == {"one", "other"}
    assert kept_ids([either, other, one], Settings()) == {"either", "one"}
    assert kept_ids([either, one, other], Settings()) == {"either", "other"}
