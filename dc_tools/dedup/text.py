"""From a statement to its set of shingles: folding, the cut to the body, and shingle hashes of many texts at once.

Shingle sets are exact; only their elements are 52-bit hashes, so a pair's common count is one too high with a
probability of about |A| |B| / 2^52. Words are runs of letters, digits and underscores: punctuation and operators
count in the exact hash of the whole statement, never in a shingle.
"""

import re
import string
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

from dc_tools.dedup.arrays import ODD_1, Hashes, Ints, mixed, sort_slices
from dc_tools.dedup.settings import Unit

HASH_BITS = 52
BATCH_TEXTS = 1 << 12
"""Most texts in one call of `shingle_sets`, for the memory that it takes."""
PAD = 16
"""Bytes past the last text, so that eight bytes can be loaded from any place in it."""

_SIGNS = {
    "\N{LESS-THAN OR EQUAL TO}": "<=", "\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{NOT EQUAL TO}": "!=",
    "\N{MULTIPLICATION SIGN}": "*", "\N{MIDDLE DOT}": "*", "\N{DOT OPERATOR}": "*", "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"', "\N{ZERO WIDTH SPACE}": "", "\N{ZERO WIDTH NO-BREAK SPACE}": "",
}
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ]+")
_COMMANDS = {
    "leq": "<=", "le": "<=", "leqslant": "<=", "geq": ">=", "ge": ">=", "geqslant": ">=", "neq": "!=", "ne": "!=",
    "lt": "<", "gt": ">", "times": "*", "cdot": "*", "ldots": "...", "dots": "...", "cdots": "...", "left": "",
    "right": "", "text": "", "texttt": "", "textbf": "", "textit": "", "mathrm": "", "mathbf": "", "mathit": "",
    "mathtt": "", "operatorname": "", "displaystyle": "", "quad": " ", "qquad": " ",
}
_LATEX = re.compile(r"(\\[{}%&_#$])|\$+|\\[()\[\]]|\\[,;:! ]|\\([a-z]+)")
_ESCAPED = re.compile(r"\\([{}%&_#$])")
_BRACED = re.compile(r"([\^_])[ \t]*\{([^{}\n]*)\}")
_GROUP = re.compile(r"(?<!\\)\{([\w.,+\- ]*)\}")
_RAISING = re.compile(r"[ \t]*\^[ \t]*")

_HEADING = re.compile(
    r"\n[ \t#*_=>-]*(?:<[a-z/ ]+>[ \t*]*)*"
    r"(?:(?:(?:standard|sample|example)[ \t]*)?(?:inputs?|outputs?)(?:[ \t]+(?:format|specification))?"
    r"|examples?(?:[ \t]*#?\d+)?|samples?(?:[ \t]+(?:tests?|cases?|test[ \t]+cases?))?(?:[ \t]*#?\d+)?"
    r"|constraints?|notes?|remarks?|follow[ \t-]?ups?|explanations?|scoring|hints?)"
    r"(?:[ \t]+\d+)?[ \t*_=#-]*(?:[:<\n]|$)"
)
_WORD_CHARACTER = re.compile(r"\w")
_FOREIGN_SIGN = re.compile(r"[^\x00-\x7f\w]")
UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Characters of scripts that are written without spaces: a word each."""
_UNSPACED = re.compile(f"([{UNSPACED}])")

_IS_SIGN = np.array([chr(c) in "-+*/%<>=^&|!" for c in range(256)])
_IS_BLANK = np.array([c in b" \t" for c in range(256)])
_IS_SPACE = np.array([c < 128 and chr(c).isspace() for c in range(256)])
LONGEST_OPERATOR = 3
_IS_QUOTE = np.array([chr(c) in "'\"`" for c in range(256)])
_IS_PUNCTUATION = np.array([chr(c) in string.punctuation.replace("_", "") for c in range(256)])
_MARKS = bytes(map(bool, _IS_SIGN | _IS_QUOTE))
LONG_WORD = 64
"""Bytes of a word that are hashed for many words at once; the rest of a longer one is hashed by itself."""
_WORD_BYTES = bytes(c if c >= 128 or chr(c).isalnum() or c == ord("_") else 32 for c in range(256))
_BLANKED = bytes(32 if chr(c).isspace() and c < 128 else c for c in range(256))
_LOW_BYTES = np.array([(1 << 8 * i) - 1 for i in range(9)], dtype=np.uint64)


@dataclass(frozen=True)
class Tokens:
    """The words of several texts, one after another: `buffer[first[i]:first[i] + lengths[i]]` is word i."""

    buffer: npt.NDArray[np.uint8]
    """UTF-8, everything but words blanked, and `PAD` bytes more."""
    first: Ints
    lengths: Ints
    counts: Ints
    """Number of words of each text."""
    starts: Ints
    """Where each text begins in the buffer."""

    def hashes(self) -> Hashes:
        """A hash of the bytes of each word."""
        return _word_hashes(self.buffer, self.first, self.lengths)


def fold(text: str) -> str:
    """One spelling for what reads the same: NFKC, case, typographic signs, LaTeX, raised digits (`10^4`)."""
    text = text.replace("\xa0", " ")
    text = text.lower() if text.isascii() else _fold_unicode(text)
    if "<sup>" in text:
        text = text.replace("<sup>", "^").replace("</sup>", "")
    if "\\" in text or "$" in text:
        text = _GROUP.sub(r"\1", _BRACED.sub(r"\1\2", _LATEX.sub(_plain, text)))
        text = _ESCAPED.sub(r"\1", text)
    elif "{" in text:
        text = _BRACED.sub(r"\1\2", text)
    if "^" in text:
        text = _RAISING.sub("^", text)
    return text


def _fold_unicode(text: str) -> str:
    text = unicodedata.normalize("NFKC", _RAISED.sub(r"^\g<0>", text)).casefold()
    text = text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)
    return _SIGN.sub(lambda found: _SIGNS[found[0]], text)


def body_of(folded: str) -> str:
    """What comes before the first heading such as Examples, Input, Constraints or Note; all where that is nothing."""
    found = _HEADING.search("\n" + folded)
    if not found:
        return folded
    body = folded[: max(found.start() - 1, 0)]
    return body if _WORD_CHARACTER.search(body) else folded


def squeezed(folded: str) -> bytes:
    """UTF-8 of a folded text with each run of ASCII whitespace as one blank; much quicker than split and join."""
    text = _encoded(folded).translate(_BLANKED)
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text.strip(b" ")


def words_of(folded: str) -> list[str]:
    """The words of a folded text, as they are shingled."""
    tokens = tokenize([folded])
    whole = tokens.buffer.tobytes()
    places = zip(tokens.first.tolist(), tokens.lengths.tolist(), strict=True)
    return [whole[at : at + length].decode("utf-8", "surrogatepass") for at, length in places]


def tokenize(texts: list[str], operators: bool = True) -> Tokens:
    """The words of folded texts; scripts written without spaces are taken apart, signs separate.

    An operator between two spaces and a sign in quotes are words, since "a + b" and "a - b", or a text of '<' and one
    of '(', are different problems; other signs are none.
    """
    encoded = [_spaced(text) for text in texts]
    whole = b"\n".join(encoded) + b"\n" * PAD
    buffer = np.frombuffer(bytearray(whole.translate(_WORD_BYTES)), dtype=np.uint8)
    if operators:
        _mark_operators(whole, buffer)
    is_word = buffer != 32
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    if is_word[0]:
        edges = np.concatenate([[0], edges])
    first, lengths = edges[::2], edges[1::2] - edges[::2]
    ends = np.cumsum([len(each) + 1 for each in encoded])
    counts = np.diff(np.searchsorted(first, ends), prepend=0)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return Tokens(buffer, first, lengths, counts.astype(np.int64), starts)


def shingle_sets(texts: list[str], unit: Unit, k: int) -> tuple[Ints, Hashes]:
    """Sizes and concatenated sorted hashes of the sets of shingles of `k` words or characters of folded texts.

    A text shorter than `k` is one shingle as a whole; one without any text has none.
    """
    if not texts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    if unit is Unit.WORD:
        words = tokenize(texts)
        tokens, counts = words.hashes(), words.counts
    else:
        tokens, counts = _char_tokens(texts)
    text_of = np.repeat(np.arange(len(texts)), counts)
    starts = max(len(tokens) - k + 1, 0)
    rolled = tokens[:starts].copy()
    for i in range(1, k):
        rolled = rolled * ODD_1 + tokens[i : i + starts]
    inside = text_of[:starts] == text_of[k - 1 :]
    short, whole = _whole_texts(texts, counts < k)
    owner, hashes = text_of[:starts][inside], mixed(rolled[inside])
    if len(short):
        at = np.searchsorted(owner, short)
        owner, hashes = np.insert(owner, at, short), np.insert(hashes, at, whole)
    return _distinct(owner, hashes, len(texts))


def batches(statements: Iterator[str], texts: int, size: int = 1 << 24) -> Iterator[list[str]]:
    """Lists of at most `texts` statements and, but for one long statement, `size` characters."""
    batch: list[str] = []
    held = 0
    for statement in statements:
        if batch and (len(batch) >= texts or held + len(statement) > size):
            yield batch
            batch, held = [], 0
        batch.append(statement)
        held += len(statement)
    if batch:
        yield batch


def _plain(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    if found[2]:
        return _COMMANDS.get(found[2], found[2])
    return " " if found[0] in {"\\,", "\\;", "\\:", "\\ "} else ""


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _spaced(text: str) -> bytes:
    """UTF-8 of `text`, scripts written without spaces taken apart, signs outside ASCII blanked."""
    return _encoded(text if text.isascii() else _UNSPACED.sub(r" \1 ", _FOREIGN_SIGN.sub(" ", text)))


def _mark_operators(text: bytes, words: npt.NDArray[np.uint8]) -> None:
    """Copy the operators of `text` to `words`: up to three signs, a blank on either side and text beyond both; and
    single signs in quotes."""
    whole = np.frombuffer(text, dtype=np.uint8)
    marks = np.flatnonzero(np.frombuffer(text.translate(_MARKS), dtype=np.bool_))
    quotes = marks[_IS_QUOTE[whole[marks]]]
    quotes = quotes[(whole[quotes] == whole[quotes + 2]) & _IS_PUNCTUATION[whole[quotes + 1]]]
    words[quotes + 1] = whole[quotes + 1]
    signs = marks[_IS_SIGN[whole[marks]]]
    if not len(signs):
        return
    is_first = np.concatenate([[True], signs[1:] != signs[:-1] + 1])
    first, last = signs[is_first], signs[np.concatenate([is_first[1:], [True]])]
    inside = (last - first < LONGEST_OPERATOR) & (first >= 2)
    first, last = first[inside], last[inside]
    is_alone = _IS_BLANK[whole[first - 1]] & _IS_BLANK[whole[last + 1]]
    is_between = ~_IS_SPACE[whole[first - 2]] & ~_IS_SPACE[whole[last + 2]]
    is_operator = is_alone & is_between
    first, last = first[is_operator], last[is_operator]
    for step in range(LONGEST_OPERATOR):
        at = first[first + step <= last] + step
        words[at] = whole[at]


def _word_hashes(buffer: npt.NDArray[np.uint8], first: Ints, lengths: Ints) -> Hashes:
    """A hash of the bytes of each word, eight bytes a step; words hold no zero byte, so that their ends show."""
    loads: Hashes = np.ndarray((len(buffer) - 7,), dtype="<u8", buffer=buffer.data, strides=(1,))
    hashes = mixed(loads[first] & _LOW_BYTES[np.minimum(lengths, 8)])
    done = 8
    longer = np.flatnonzero(lengths > done)
    while len(longer) and done < LONG_WORD:
        rest = loads[first[longer] + done] & _LOW_BYTES[np.minimum(lengths[longer] - done, 8)]
        hashes[longer] = mixed(hashes[longer] * ODD_1 + rest)
        done += 8
        longer = longer[lengths[longer] > done]
    for word in longer.tolist():
        tail = buffer[first[word] + done : first[word] + lengths[word]]
        hashes[word] ^= np.uint64(xxhash.xxh3_64_intdigest(tail.data))
    return hashes


def _char_tokens(texts: list[str]) -> tuple[Hashes, Ints]:
    """Hashes of all characters of all texts, whitespace squeezed, and the number of characters of each text."""
    squeezed = [" ".join(text.split()) for text in texts]
    points = np.frombuffer("".join(squeezed).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return mixed(points.astype(np.uint64) + ODD_1), np.array([len(each) for each in squeezed], dtype=np.int64)


def _whole_texts(texts: list[str], is_short: npt.NDArray[np.bool_]) -> tuple[Ints, Hashes]:
    """Numbers and hashes of the short texts: of their words, or of their characters where they have no word."""
    numbers, hashes = [], []
    for i in np.flatnonzero(is_short).tolist():
        parts = words_of(texts[i]) or texts[i].split()
        if parts:
            numbers.append(i)
            hashes.append(xxhash.xxh3_64_intdigest(_encoded(" ".join(parts)), seed=len(parts)))
    return np.array(numbers, dtype=np.int64), np.array(hashes, dtype=np.uint64)


def _distinct(owner: Ints, hashes: Hashes, texts: int) -> tuple[Ints, Hashes]:
    """Each text's hashes, which are side by side, sorted and without repeats."""
    hashes >>= np.uint64(64 - HASH_BITS)
    sort_slices(hashes, np.bincount(owner, minlength=texts))
    is_new = np.concatenate([[True], (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])])[: len(hashes)]
    return np.bincount(owner[is_new], minlength=texts), hashes[is_new]
