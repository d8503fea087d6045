"""The stage as a whole against brute force: outcomes, scores and chains of random corpora."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joining import OF_SETS

from dc_tools.core.records import Line, Problem, encode
from dc_tools.core.run import Dropped, Kept
from dc_tools.dedup.settings import Keep, Metric, Settings, Twins
from dc_tools.dedup.stage import deduplicate, summary

WORDS = ["sum", "array", "数", "größe", "of", "n"]


def outcomes(statements, choices=None, tests=None, more=None):
    """Outcome of each statement and the facts; ids are r0, r1, ...; `more` has further fields by number."""
    tests, more = tests or {}, more or {}
    rows = [
        Line(encode({"id": f"r{i}", "statement": s, "tests": tests.get(i, []), **more.get(i, {})}), index=i)
        for i, s in enumerate(statements)
    ]
    facts = {}
    found = list(deduplicate(((line, line.decode(Problem)) for line in rows), choices or Settings(), facts))
    assert [outcome.line.raw for outcome in found] == [line.raw for line in rows]
    return found, facts


def evidence_of(outcome):
    return outcome.line.fields.get_as("dedup", dict, {})


def plain_score(a, b, metric):
    """Score of two statements without headings or LaTeX, by plain Python; 3-word shingles."""
    sets = []
    for text in (a, b):
        words = text.split()
        if not words:
            return 0.0
        short = {("short", *words)}
        sets.append({tuple(words[i : i + 3]) for i in range(len(words) - 2)} if len(words) > 2 else short)
    common = len(sets[0] & sets[1])
    return common / (len(sets[0] | sets[1]) if metric is Metric.JACCARD else min(map(len, sets)))


@st.composite
def statements(draw):
    found = []
    for _ in range(draw(st.integers(0, 9))):
        if found and draw(st.booleans()):
            words = draw(st.sampled_from(found)).split()
            place = draw(st.integers(0, len(words)))
            words[place : place + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(WORDS), max_size=1))
        else:
            words = draw(st.lists(st.sampled_from(WORDS), max_size=14))
        found.append(" ".join(words))
    return found


@st.composite
def choices(draw):
    return Settings(
        draw(st.sampled_from(OF_SETS)),
        threshold=draw(st.sampled_from([0.5, 0.75, 0.95])),
        keep=draw(st.sampled_from(Keep)),
        batch=draw(st.integers(1, 4)),
    )


@settings(max_examples=200, deadline=None)
@given(statements(), choices())
def test_clusters_are_the_components_of_brute_force_and_every_removal_is_explained(texts, chosen):
    found, facts = outcomes(texts, chosen)
    metric, threshold, keep = chosen.metric, chosen.threshold, chosen.keep
    pairs = {
        (a, b) for a, b in combinations(range(len(texts)), 2) if plain_score(texts[a], texts[b], metric) >= threshold
    }
    component = list(range(len(texts)))
    for _ in texts:
        for a, b in pairs:
            component[a] = component[b] = min(component[a], component[b])
    for c in set(component):
        members = [i for i in range(len(texts)) if component[i] == c]
        kept = [i for i in members if isinstance(found[i], Kept)]
        length = {i: len(texts[i]) if keep is Keep.LONGEST else 0 for i in members}
        assert kept == [min(members, key=lambda i: (-length[i], i))]
        if len(members) == 1:
            assert found[members[0]].line.to_bytes() == found[members[0]].line.raw
        for i in members:
            said = evidence_of(found[i])
            if i in kept:
                assert len(members) == 1 or list(said) == ["cluster"]
                continue
            assert isinstance(found[i], Dropped)
            assert said["kept_id"] == f"r{kept[0]}"
            assert said["cluster"] == evidence_of(found[kept[0]])["cluster"]
            other = int(said.get("through", said["kept_id"])[1:])
            assert (min(i, other), max(i, other)) in pairs
            assert ("through" in said) == ((min(i, kept[0]), max(i, kept[0])) not in pairs)
            if said["metric"] == "exact":
                assert texts[i].split() == texts[other].split()
                assert said["score"] == 1.0
            else:
                assert said["score"] == plain_score(texts[i], texts[other], Metric(said["metric"])) >= threshold
    assert facts["dedup"]["clusters"] == sum(component.count(c) > 1 for c in set(component))


def test_scores_by_hand():
    # abc bcd cde def | abc bcd cde deX: 3 of 5 | all of abc bcd cde: 3 of 3
    texts = ["a b c d e f", "a b c d e x", "a b c d e"]
    found, _ = outcomes(texts, Settings(Metric.EITHER, threshold=0.6))
    said = [evidence_of(outcome) for outcome in found]
    assert (said[1]["metric"], said[1]["score"]) == ("jaccard", 0.6)
    assert said[1]["evidence"]["shingles"] == {"common": 3, "removed": 4, "matched": 4}
    assert (said[2]["metric"], said[2]["score"], said[2]["evidence"]["containment"]) == ("jaccard", 0.75, 1.0)
    found, _ = outcomes(texts, Settings(Metric.EITHER, threshold=0.8))
    said = [evidence_of(outcome) for outcome in found]
    assert (said[2]["metric"], said[2]["score"], said[2]["kept_id"]) == ("containment", 1.0, "r0")
    assert (said[1]["metric"], said[1]["score"], said[1]["through"], said[1]["kept_id"]) == (
        "containment", 1.0, "r2", "r0",
    )


def test_only_the_body_is_compared_but_exact_means_the_whole_statement():
    texts = [
        "Add two numbers a and b.\nExample 1:\n1 2", "add TWO numbers a and b.\nExample 1:\n9 9",
        "Add two numbers a and b.\n Example 1: \n1  2",
    ]
    found, _ = outcomes(texts)
    assert [evidence_of(outcome).get("metric") for outcome in found] == [None, "jaccard", "exact"]


def test_empty_statements_are_nobodys_duplicates():
    found, facts = outcomes(["", " \n", "", "x", "x"])
    assert [isinstance(outcome, Kept) for outcome in found] == [True, True, True, True, False]
    assert facts["dedup"]["distinct"] == 1


def test_one_word_statements_compare_as_a_whole():
    found, _ = outcomes(["sort", "Sort", "sort it", "sort  it.", "it"])
    assert [isinstance(outcome, Kept) for outcome in found] == [True, False, True, False, True]


def test_other_outputs_for_one_input_keep_twins_apart_and_are_counted():
    twin = "Find the shortest path between two nodes of a graph with positive weights"
    tests = {
        0: [{"input": "1\n", "output": "1"}], 1: [{"input": "1", "output": "2"}], 2: [{"input": "7", "output": "2"}],
    }
    found, facts = outcomes([twin, twin, twin], tests=tests)
    assert [isinstance(outcome, Kept) for outcome in found] == [True, True, False]
    assert evidence_of(found[2])["kept_id"] == "r0"
    assert facts["dedup"]["vetoed_pairs"] == [["r0", "r1"]]
    assert summary(facts).endswith("matches that are no duplicates (same test input, other output) 1")


def test_most_tests_wins_and_shared_tests_are_evidence():
    tests = {i: [{"input": str(n), "output": str(n * n)} for n in range(count)] for i, count in enumerate((3, 5, 4))}
    found, _ = outcomes(["print the square"] * 3, Settings(keep=Keep.MOST_TESTS), tests)
    assert [isinstance(outcome, Kept) for outcome in found] == [False, True, False]
    assert [evidence_of(o)["evidence"]["shared_tests"] for o in (found[0], found[2])] == [3, 4]


def test_twins_are_dropped_where_that_is_asked_for():
    tests = {0: [{"input": "1", "output": "1"}], 1: [{"input": "1", "output": "2"}]}
    found, facts = outcomes(["print the answer"] * 2, Settings(twins=Twins.DROP), tests)
    assert [isinstance(outcome, Kept) for outcome in found] == [True, False]
    assert facts["dedup"]["vetoed"] == 0


def test_the_best_verified_stays_and_equal_programs_are_evidence():
    def curated(passed, ratio, status="AC"):
        reference = {"solution": 0, "status": status, "passed": passed, "total": 9}
        return {"curation": {"reference": reference, "coverage": {"ratio": ratio}}}

    more = {0: curated(5, 0.9), 1: curated(9, 0.8), 2: curated(9, 1.0), 3: curated(9, 1.0, "WA"), 4: {"curation": {}}}
    code = "def f({0}):\n    for {1} in range({0}):\n        if {1} % 3 == 0 or {1} % 5 == 0:\n            print({1})\n"
    more[0]["solutions"] = [{"code": code.format("n", "i")}, {"code": code.format("n", "i").replace("3", "7")}]
    more[1]["solutions"] = [{"code": "print 1"}]
    more[2]["solutions"] = [{"code": code.format("count", "each")}]
    found, _ = outcomes(["print the squares"] * 5, Settings(keep=Keep.BEST_VERIFIED), more=more)
    assert [isinstance(outcome, Kept) for outcome in found] == [False, False, True, False, False]
    assert [evidence_of(found[i])["evidence"].get("shared_solutions") for i in (0, 1, 3)] == [1, None, None]


def test_many_identical_statements_are_one_cluster():
    found, facts = outcomes(["print the square of the number"] * 5000)
    assert facts["dedup"]["clusters"] == 1
    assert sum(isinstance(outcome, Kept) for outcome in found) == 1
    assert facts["dedup"]["candidates"] == 0


def test_a_very_long_statement_is_no_trouble():
    words = [f"w{i % 5000}" for i in range(300_000)]
    found, _ = outcomes([" ".join(words), "short one here", " ".join(words[:250_000])])
    assert [isinstance(outcome, Kept) for outcome in found] == [True, True, False]
    assert evidence_of(found[2])["span"]["words"] == 5000


FAMILY = [f"{' '.join(f'w{i}' for i in range(60))} n{i}" for i in range(300)]


@pytest.mark.parametrize("metric", OF_SETS)
def test_a_large_family_whose_leader_contradicts_it_is_still_one_cluster(metric):
    """The longest text leads; each of the others agrees with the others."""
    leader = f"{FAMILY[0]} and some more words"
    tests = {i: [{"input": "1", "output": "2"}] for i in range(300)} | {300: [{"input": "1", "output": "3"}]}
    found, _ = outcomes([*FAMILY, leader], Settings(metric, threshold=0.8), tests)
    assert [i for i, each in enumerate(found) if isinstance(each, Kept)] == [0, 300]


def test_a_large_family_of_many_camps_is_a_cluster_for_each():
    tests = {i: [{"input": "1", "output": str(i % 7)}] for i in range(300)}
    found, facts = outcomes(FAMILY, Settings(threshold=0.8), tests)
    assert [i for i, each in enumerate(found) if isinstance(each, Kept)] == list(range(7))
    assert facts["dedup"]["pairs"] < 40_000


def test_a_large_family_whose_leader_is_contaminated_is_still_one_cluster(tmp_path):
    leader = f"{FAMILY[0]} and twenty words of an evaluation set {' '.join(f'x{i}' for i in range(12))}"
    known = tmp_path / "known.jsonl"
    known.write_bytes(encode({"id": "known", "statement": leader.split("and", 1)[1]}))
    choices = Settings(Metric.CONTAINMENT, threshold=0.95, against=(str(known),))
    found, facts = outcomes([*FAMILY, leader], choices)
    assert [i for i, each in enumerate(found) if isinstance(each, Kept)] == [0]
    assert facts["dedup"]["contaminated"] == 1
