"""Texts as vectors of a sentence-transformers model, and all pairs of vectors whose cosine reaches a threshold.

The home of the package `sentence_transformers`, the extra `embed`. A model is a local folder; nothing is downloaded.
The pairs are exact for the vectors. What a vector says of its text is the model's affair: it reads no more than its own
limit of tokens, and the last digits depend on the device and on which texts share a batch.

Memory holds two blocks of vectors at a time; all of them lie in a temporary file.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dc_tools.core.errors import CannotRun, missing_extra
from dc_tools.dedup.arrays import Ints
from dc_tools.dedup.pairs.cosine import Flags, Floats, Scored, reaching
from dc_tools.dedup.text import body_of

Matrix: TypeAlias = npt.NDArray[np.float32]

BLOCK = 2048
"""Vectors of a block: a product of two blocks takes 16 MiB."""
CHUNK = 1 << 21
"""Elements of vectors that are verified at a time."""


def raw_body(statement: str) -> str:
    """The body of a statement as `body_of` cuts it, its letters and signs left alone."""
    plain = statement.replace("\xa0", " ")
    lowered = plain.lower()
    if len(lowered) != len(plain):
        lowered = "".join(low if len(low := c.lower()) == 1 else c for c in plain)
    return statement[: len(body_of(lowered))]


class Encoder:
    """Turns texts into vectors, on the first GPU or the CPU."""

    def __init__(self, model: Any, name: str) -> None:
        self._model, self._name = model, name

    @classmethod
    def load(cls, folder: str | Path) -> "Encoder":
        """The model that sentence-transformers saved in `folder`; code that came with it is not run.

        Errors: `CannotRun` where the folder holds no such model or the extra `embed` is missing.
        """
        if not (Path(folder) / "modules.json").is_file():
            raise CannotRun(f"{folder}: not the folder of a sentence-transformers model (no modules.json)")
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ImportError as error:
            raise missing_extra(error.name or "sentence-transformers", "embed") from None
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            model = SentenceTransformer(str(Path(folder).resolve()), local_files_only=True)
        except Exception as error:  # each library below has its own errors for a broken file
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CannotRun(f"{folder}: the model cannot be loaded: {first}") from error
        return cls(model, str(folder))

    def encode(self, texts: list[str]) -> Matrix:
        """Unit vectors (texts, width); zeros for a text in which the model finds nothing. Errors: `CannotRun`."""
        vectors = self._model.encode(texts, convert_to_numpy=True, show_progress_bar=False)
        vectors = np.asarray(vectors, dtype=np.float32)
        if not np.isfinite(vectors).all():
            raise CannotRun(f"{self._name}: the model made vectors that are not finite")
        return unit_vectors(vectors)


class VectorFile:
    """Vectors of one width, appended to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rows, self._width = file, 0, 0

    def add(self, vectors: Matrix) -> None:
        """Append vectors (texts, width). Errors: `CannotRun`, disk full."""
        try:
            self._file.write(np.ascontiguousarray(vectors).data)
            self._file.flush()
        except OSError as error:
            place = tempfile.gettempdir()
            raise CannotRun(f"{place}: {error.strerror}: TMPDIR must hold the vectors of all texts") from error
        self._rows, self._width = self._rows + len(vectors), vectors.shape[1]

    def array(self) -> Matrix:
        """All vectors (texts, width), mapped into memory as they are read."""
        if not self._rows:
            return np.zeros((0, 0), dtype=np.float32)
        return np.memmap(self._file, dtype=np.float32, mode="r", shape=(self._rows, self._width))


@contextmanager
def open_vectors() -> Iterator[VectorFile]:
    """An empty `VectorFile` on a nameless file in TMPDIR, gone when the process ends."""
    with tempfile.TemporaryFile(prefix="dc-dedup-") as file:
        yield VectorFile(file)


def unit_vectors(vectors: Matrix) -> Matrix:
    """Rows of length one; rows of zeros stay."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Matrix = (vectors / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return scaled


def find_vector_pairs(vectors: Matrix, threshold: float, references: Flags | None = None) -> Scored:
    """All pairs of `unit_vectors` at or above `threshold` (in (0, 1]); pairs of two `references` are left out.

    Products in float32 err by no more than `_rounding`; what they leave is computed again in float64, so that scores
    depend on the two vectors alone. Time grows with the square of their number.
    """
    is_reference = np.zeros(len(vectors), dtype=np.bool_) if references is None else references
    order = np.argsort(~is_reference, kind="stable")
    candidates = _candidates(vectors, order, int(is_reference.sum()), threshold)
    return reaching(threshold, ((a, b, _cosines(vectors, a, b)) for a, b in candidates))


def _candidates(vectors: Matrix, order: Ints, references: int, threshold: float) -> Iterator[tuple[Ints, Ints]]:
    """Pairs that may reach the threshold, each once; none of two of the first `references` of `order`."""
    least = np.float32(threshold - _rounding(vectors.shape[1]))
    for start in range(references, len(order), BLOCK):
        later = vectors[order[start : start + BLOCK]]
        end = start + len(later)
        for begin in range(0, end, BLOCK):
            earlier = vectors[order[begin : min(begin + BLOCK, end)]]
            one, other = np.nonzero(earlier @ later.T >= least)
            once = one + begin < other + start
            yield order[one[once] + begin], order[other[once] + start]


def _rounding(width: int) -> float:
    """How far a float32 product of two nearly unit vectors may be from their cosine, in any order of its sums.

    A sum of `width` products errs by less than width * 2^-24 and a little, each norm by 2^-24; twice all that.
    """
    return (width + 8) * 2.0**-23


def _cosines(vectors: Matrix, a: Ints, b: Ints) -> Floats:
    """The cosine of each pair, in float64; zero where a vector is zero."""
    scores = np.zeros(len(a))
    step = max(CHUNK // max(vectors.shape[1], 1), 1)
    for i in range(0, len(a), step):
        x, y = vectors[a[i : i + step]].astype(np.float64), vectors[b[i : i + step]].astype(np.float64)
        norms = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
        scores[i : i + step] = (x * y).sum(axis=1) / np.where(norms > 0, norms, 1.0)
    return scores
