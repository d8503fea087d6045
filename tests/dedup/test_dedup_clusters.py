"""Clusters: chains, vetoes, keep policies; no cluster is lost and none contradicts itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dc_tools.dedup.clusters import MATCHED_VARIANTS, MAX_VARIANTS, Match, contradict, find_clusters


def cluster(records_of, matches=(), results=None, merit=None):
    results = results or {}
    return find_clusters(
        records_of, [Match(*m) for m in matches], lambda r: dict(results.get(r, {})), lambda r: (merit or {}).get(r, 0)
    )


def test_records_of_one_node_are_a_cluster_and_the_first_is_kept():
    (found,) = cluster({7: [0, 3, 5]}).clusters
    assert (found.members, found.kept, found.through) == ([0, 3, 5], 0, {3: 0, 5: 0})


def test_merit_decides_and_the_first_of_equals_wins():
    (found,) = cluster({7: [0, 3, 5]}, merit={0: 1, 3: 4, 5: 4}).clusters
    assert (found.kept, found.through) == (3, {0: 3, 5: 3})


def test_a_chain_says_through_which_record_it_came():
    (found,) = cluster({0: [0], 1: [1], 2: [2, 4], 3: [3]}, [(0, 1, 0.96), (1, 2, 0.97), (2, 3, 0.98)]).clusters
    assert found.kept == 0
    assert found.through == {1: 0, 2: 1, 4: 1, 3: 2}


def test_the_shortest_way_to_the_kept_record_is_taken():
    (found,) = cluster({0: [0], 1: [1], 2: [2]}, [(0, 1, 0.99), (1, 2, 0.99), (0, 2, 0.95)]).clusters
    assert found.through == {1: 0, 2: 0}


def test_records_that_contradict_each_other_stay_apart_though_their_texts_are_equal():
    found = cluster({0: [0, 1, 2]}, results={0: {1: 10}, 1: {1: 11}, 2: {1: 11, 2: 5}})
    assert [c.members for c in found.clusters] == [[1, 2]]
    assert found.vetoed == [(0, 1), (0, 2)]


def test_a_third_record_cannot_join_two_that_contradict_each_other():
    # 0 and 2 contradict each other; 1 agrees with both and goes with the better match.
    results = {0: {1: 10}, 1: {}, 2: {1: 99}}
    found = cluster({0: [0], 1: [1], 2: [2]}, [(0, 1, 0.95), (1, 2, 0.99)], results)
    assert [c.members for c in found.clusters] == [[1, 2]]
    assert found.vetoed == [(0, 1)]


def test_the_record_of_more_merit_chooses_first_among_those_that_contradict_each_other():
    # 1 agrees with 0 and 2, which contradict each other: of equal nodes the one of most merit makes the first variant.
    results = {0: {1: 10}, 1: {}, 2: {1: 99}}
    for merit, joined in (({0: 3, 1: 1, 2: 2}, [0, 1]), ({0: 2, 1: 1, 2: 3}, [1, 2]), ({0: 1, 1: 3, 2: 2}, [1, 2])):
        assert [c.members for c in cluster({0: [0, 1, 2]}, (), results, merit).clusters] == [joined]
        edges = [(0, 1, 0.96), (1, 2, 0.96)]
        assert [c.members for c in cluster({0: [0], 1: [1], 2: [2]}, edges, results, merit).clusters] == [joined]


def test_nodes_of_very_many_variants_are_no_trouble():
    records_of = {node: list(range(node * 300, node * 300 + 300)) for node in range(6)}
    edges = [(a, b, 0.96) for a in range(6) for b in range(a)]
    found = cluster(records_of, edges, {record: {1: record} for record in range(1800)})
    assert found.clusters == []
    inside = sum(min(tried, MAX_VARIANTS) for tried in range(300))
    assert len(found.vetoed) == 6 * inside + len(edges) * MATCHED_VARIANTS**2


def test_contradiction_needs_a_shared_input_with_another_output():
    assert contradict({1: 2}, {1: 3, 5: 6})
    assert not contradict({1: 2}, {1: 2, 5: 6})
    assert not contradict({1: 2}, {3: 4})
    assert not contradict({}, {3: 4})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_clusters_are_the_components_where_nothing_contradicts(data):
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=8))
    places = iter(range(sum(sizes)))
    records_of = {node: [next(places) for _ in range(size)] for node, size in enumerate(sizes)}
    node = st.integers(0, len(sizes) - 1)
    edges = data.draw(st.lists(st.tuples(node, node, st.sampled_from([0.95, 0.97, 1.0])), max_size=10))
    edges = [(min(a, b), max(a, b), s) for a, b, s in edges if a != b]
    merit = {r: data.draw(st.integers(0, 2)) for records in records_of.values() for r in records}
    component = list(range(len(sizes)))
    for _ in sizes:
        for a, b, _ in edges:
            component[a] = component[b] = min(component[a], component[b])
    expected = sorted(
        members for c in set(component)
        if len(members := sorted(r for n, rs in records_of.items() if component[n] == c for r in rs)) > 1
    )
    found = cluster(records_of, edges, merit=merit).clusters
    assert [c.members for c in found] == expected
    node_of = {r: n for n, records in records_of.items() for r in records}
    linked = {frozenset(edge[:2]) for edge in edges}
    for each in found:
        assert merit[each.kept] == max(merit[r] for r in each.members)
        assert sorted([*each.through, each.kept]) == each.members
        for removed, other in each.through.items():
            assert node_of[removed] == node_of[other] or frozenset((node_of[removed], node_of[other])) in linked
            steps = 0
            while other != each.kept:
                other, steps = each.through[other], steps + 1
                assert steps < len(each.members)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_cluster_holds_a_contradiction(data):
    count = data.draw(st.integers(2, 8))
    pairs = st.dictionaries(st.integers(0, 2), st.integers(0, 1), max_size=2)
    results = {record: data.draw(pairs) for record in range(count)}
    split = data.draw(st.integers(1, count - 1))
    records_of = {0: list(range(split)), 1: list(range(split, count))}
    found = cluster(records_of, [(0, 1, 0.96)], results)
    for each in found.clusters:
        assert not any(contradict(results[a], results[b]) for a in each.members for b in each.members)
    for a, b in found.vetoed:
        assert a < b
