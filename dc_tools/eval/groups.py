"""By what problems can be grouped. A problem with several tags belongs to each tag's group."""

from enum import StrEnum

from dc_tools.core.errors import UsageError
from dc_tools.core.records import Problem

UNKNOWN = "unknown"
_LEVELS = ("easy", "medium", "hard")


class GroupBy(StrEnum):
    """A property of a problem by which scores are broken down."""

    DIFFICULTY = "difficulty"
    SOURCE = "source"
    TAG = "tag"
    PLATFORM = "platform"
    """The site that the problem is from, as LiveCodeBench names it."""
    MONTH = "month"
    """The month in which the problem was published."""


def labels(problem: Problem, by: GroupBy) -> list[str]:
    """The groups that `problem` belongs to."""
    match by:
        case GroupBy.DIFFICULTY:
            return [problem.difficulty or UNKNOWN]
        case GroupBy.SOURCE:
            return [problem.source.dataset or UNKNOWN]
        case GroupBy.PLATFORM:
            return [str(problem.meta.get("platform") or UNKNOWN)]
        case GroupBy.TAG:
            return sorted(set(problem.tags)) or [UNKNOWN]
        case GroupBy.MONTH:
            return [(problem.source.date or UNKNOWN)[:7]]


def easy_first(label: str) -> tuple[int, str]:
    """Sort key: easy, medium, hard, then the other labels by name."""
    known = label.lower() in _LEVELS
    return (_LEVELS.index(label.lower()) if known else len(_LEVELS), label)


def parse_group_by(text: str) -> list[GroupBy]:
    """`difficulty,tag` as a list; empty text is no grouping. Errors: `UsageError`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(GroupBy):
            raise UsageError(f"--group-by {name}: choose from {', '.join(GroupBy)}")
    return [GroupBy(name) for name in dict.fromkeys(names)]
