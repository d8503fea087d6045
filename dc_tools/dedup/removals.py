"""The account of each removal: found from the decisions here, written out from the texts in the workers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from dc_tools.core.parallel import Workers
from dc_tools.core.records import Line
from dc_tools.dedup.decide import Decisions
from dc_tools.dedup.evidence import Described, Evidence, Likeness, explain
from dc_tools.dedup.intake import Taken
from dc_tools.dedup.matches import EXACT, NGRAM, Matches
from dc_tools.dedup.settings import Settings
from dc_tools.dedup.spans import common_spans

CONTAMINATED, DUPLICATE = "contaminated", "duplicate"
EXPLAINED_AT_ONCE = 32


@dataclass(frozen=True)
class Removal:
    """Two records, and why the one goes."""

    reason: str
    removed: bytes
    matched: bytes
    likeness: Likeness
    cluster: int | None = None
    kept_id: str | None = None
    """Where the matched record is not the one that is kept."""
    against: str | None = None


def evidence(
    decisions: Decisions, matches: Matches, taken: Taken, settings: Settings, workers: Workers
) -> Iterator[Evidence]:
    """The account of each removed record, in the order of the records."""
    removals = _removals(decisions, matches, taken, settings)
    batches = iter(lambda: list(islice(removals, EXPLAINED_AT_ONCE)), [])
    for explained in workers.map(_explained, batches):
        yield from explained


def _removals(
    decisions: Decisions, matches: Matches, taken: Taken, settings: Settings
) -> Iterator[Removal]:
    cluster_of = {record: each for each in decisions.clusters for record in each.members if record != each.kept}
    for record in sorted([*decisions.contaminated, *decisions.overlapping, *cluster_of]):
        cluster = cluster_of.get(record)
        if cluster:
            other = cluster.through[record]
            kept = None if other == cluster.kept else taken.lines.line(cluster.kept).decode(Described).id
            likeness = _likeness(matches, taken, record, other)
            yield Removal(DUPLICATE, *_raw(taken, record, other), likeness, cluster.number, kept)
            continue
        if record in decisions.contaminated:
            reference = decisions.contaminated[record]
            likeness = _likeness(matches, taken, record, reference)
        else:
            reference, common, share = decisions.overlapping[record]
            measures = {"ngram": {"words": settings.ngram, "common": common, "of_reference": share}}
            likeness = Likeness(NGRAM, share, measures)
        file = taken.lines.line(reference).file
        yield Removal(CONTAMINATED, *_raw(taken, record, reference), likeness, against=file)


def _raw(taken: Taken, record: int, other: int) -> tuple[bytes, bytes]:
    return taken.lines.line(record).raw, taken.lines.line(other).raw


def _likeness(matches: Matches, taken: Taken, record: int, other: int) -> Likeness:
    found = matches.likeness(int(taken.nodes[record]), int(taken.nodes[other]))
    if taken.keys[record] == taken.keys[other]:
        return found._replace(metric=EXACT, score=1.0)
    return found


def _explained(removals: list[Removal]) -> list[Evidence]:
    pairs = [
        (Line(each.removed).decode(Described), Line(each.matched).decode(Described)) for each in removals
    ]
    spans = common_spans([(removed.statement, matched.statement) for removed, matched in pairs])
    found = []
    for removal, (removed, matched), span in zip(removals, pairs, spans, strict=True):
        account = explain(removal.reason, removed, matched, removal.likeness, span)
        account.cluster, account.against = removal.cluster, removal.against
        if removal.kept_id is not None:
            account.through, account.kept_id = account.kept_id, removal.kept_id
        found.append(account)
    return found
