"""The closing table: how many rows were kept, and how many dropped for each reason."""

from collections.abc import Iterator

from dc_tools.core.manifest import Counts
from dc_tools.curate.reasons import Reason


def table(counts: Counts) -> Iterator[str]:
    """Lines of the table, reasons in their own order."""
    rows = [("rows", counts.read), ("kept", counts.written)]
    rows += [(reason.value, counts.reasons[reason.value]) for reason in Reason if reason.value in counts.reasons]
    rows += [("rejected", counts.rejected)] if counts.rejected else []
    width = max(len(name) for name, _ in rows)
    for name, count in rows:
        yield f"{name:<{width}} {count:>7}"
