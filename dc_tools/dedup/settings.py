"""What counts as a duplicate and which one stays: the choices of one run, free of heavy imports."""

from dataclasses import dataclass
from enum import StrEnum

from dc_tools.core.errors import UsageError


class Metric(StrEnum):
    """What makes two problems near-duplicates."""

    JACCARD = "jaccard"
    CONTAINMENT = "containment"
    EITHER = "either"
    """Jaccard or containment. Jaccard never exceeds containment, so it finds containment's pairs."""
    TFIDF = "tfidf"
    EMBED = "embed"

    @property
    def is_of_sets(self) -> bool:
        """Whether sets of shingles are compared."""
        return self not in (Metric.TFIDF, Metric.EMBED)


class Unit(StrEnum):
    """What a shingle is made of."""

    WORD = "word"
    CHAR = "char"


class Keep(StrEnum):
    """Which member of a cluster stays; among equals the first.

    Where tests contradict each other and not all that match can join, those that would stay join first. So the order
    of the input counts only among equals: where no two are equal, the same records stay in every order.
    """

    FIRST = "first"
    MOST_TESTS = "most-tests"
    LONGEST = "longest"
    BEST_VERIFIED = "best-verified"
    """Whose reference passed most tests; of equals the one whose tests cover more of it (dc-curate's account)."""


class Twins(StrEnum):
    """What becomes of problems whose texts match and whose tests contradict each other, as `House Robber II` does."""

    KEEP = "keep"
    DROP = "drop"


class Backend(StrEnum):
    """What makes the sketches of --approx."""

    NATIVE = "native"
    DATASKETCH = "datasketch"


DEFAULT_SHINGLE = {Unit.WORD: 3, Unit.CHAR: 12}
DEFAULT_THRESHOLD = {
    Metric.JACCARD: 0.95, Metric.CONTAINMENT: 0.95, Metric.EITHER: 0.95, Metric.TFIDF: 0.8, Metric.EMBED: 0.9,
}
NGRAM_SHARE = 0.5


@dataclass(frozen=True)
class Settings:
    """The choices of one run. Errors: `UsageError` where they do not go together."""

    metric: Metric = Metric.EITHER
    unit: Unit = Unit.WORD
    shingle: int = DEFAULT_SHINGLE[Unit.WORD]
    threshold: float = 0.95
    keep: Keep = Keep.FIRST
    twins: Twins = Twins.KEEP
    workers: int = 1
    batch: int = 2048
    """Statements that are shingled together, at most 4096."""
    is_approximate: bool = False
    backend: Backend = Backend.NATIVE
    embed_model: str | None = None
    against: tuple[str, ...] = ()
    index: str | None = None
    ngram: int | None = None
    ngram_share: float = NGRAM_SHARE
    on_cluster: bool = False

    def __post_init__(self) -> None:
        if self.is_approximate and not self.metric.is_of_sets:
            raise UsageError(f"--approx does not go with --metric {self.metric.value}")
        if self.backend is Backend.DATASKETCH and not self.is_approximate:
            raise UsageError("--backend datasketch needs --approx")
        if (self.metric is Metric.EMBED) != bool(self.embed_model):
            raise UsageError("--metric embed and --embed-model need each other")
        for name, value in (("--ngram", self.ngram), ("--index", self.index)):
            if value and not self.against:
                raise UsageError(f"{name} needs --against")
        if self.on_cluster and not self.metric.is_of_sets:
            raise UsageError(f"--ray-address does not go with --metric {self.metric.value}")
