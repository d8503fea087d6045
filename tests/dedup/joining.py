"""Pairs of texts as the product finds them and as brute force does."""

from contextlib import ExitStack
from itertools import combinations
from tempfile import NamedTemporaryFile

from dc_tools.core.parallel import Workers
from dc_tools.core.records import Line, Problem, encode
from dc_tools.dedup import intake
from dc_tools.dedup.pairs.finders import finder_for
from dc_tools.dedup.references import References
from dc_tools.dedup.settings import Metric, Settings, Unit


def brute_force_sets(texts, unit, k):
    """Shingle sets as Python tuples; the words of these texts are what whitespace separates."""
    found = []
    for text in map(str.casefold, texts):
        tokens = text.split() if unit is Unit.WORD else list(" ".join(text.split()))
        if len(tokens) < k:
            found.append({("short", *text.split())} if tokens else set())
        else:
            found.append({tuple(tokens[i : i + k]) for i in range(len(tokens) - k + 1)})
    return found


def brute_force_pairs(sets, metric, threshold):
    """(a, b, common) of all pairs at or above the threshold."""
    found = []
    for a, b in combinations(range(len(sets)), 2):
        common = len(sets[a] & sets[b])
        whole = len(sets[a] | sets[b]) if metric is Metric.JACCARD else min(len(sets[a]), len(sets[b]))
        if whole and common / whole >= threshold:
            found.append((a, b, common))
    return found

OF_SETS = [metric for metric in Metric if metric.is_of_sets]


def lines_of(texts):
    for i, text in enumerate(texts):
        line = Line(encode({"id": str(i), "statement": text, "tests": []}), index=i)
        yield line, line.decode(Problem)


def joined_pairs(texts, unit, k, metric, threshold, batch, references=(), **more):
    """(a, b, common) as the product finds them, for each text by its first equal; and the candidates."""
    choices = Settings(metric, unit, k, threshold, batch=batch, **more)
    with ExitStack() as stack, NamedTemporaryFile() as file:
        file.write(b"".join(line.raw + b"\n" for line, _ in lines_of(references)))
        file.flush()
        workers = stack.enter_context(Workers(1))
        finder = finder_for(choices, workers, stack)
        taken = intake.take(References([], [file.name]), lines_of(texts), choices, finder, stack)
        pairs = finder.pairs(taken, taken.firsts())
    found = list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.common.tolist(), strict=True))
    return found, taken.nodes.tolist(), pairs.candidates


def all_pairs(texts, unit, k, metric, threshold, batch):
    """What brute force finds, from the pairs of distinct sets."""
    pairs, nodes, _ = joined_pairs(texts, unit, k, metric, threshold, batch)
    common = {(a, b): met for a, b, met in pairs}
    sets = brute_force_sets(texts, unit, k)
    found = []
    for a, b in combinations(range(len(texts)), 2):
        if nodes[a] == nodes[b] >= 0:
            found.append((a, b, len(sets[a])))
        elif (place := (min(nodes[a], nodes[b]), max(nodes[a], nodes[b]))) in common:
            found.append((a, b, common[place]))
    return found
