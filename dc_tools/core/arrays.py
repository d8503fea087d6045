"""Files that are one JSON array, as many datasets are published: their elements, one after the other.

No more than an element and a block is held. Elements come as they are written; an array that breaks off gives what is
left as a last element, which no reader will take for JSON.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator

_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*[{\]]")
_ENDS = frozenset(" \t\r\n,]")
"""What stands behind an element; a number may go on in the next block."""
_BETWEEN = re.compile(r"[\s,\[\]]*")
"""What may stand between elements; several arrays in a row read as one."""


def is_array(head: bytes) -> bool:
    """Whether a file that begins so is an array of objects. A line that is some other list is none."""
    return _ARRAY.match(head) is not None


def elements(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The elements of the array that `blocks` make up."""
    decoder, scanner = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape"), json.JSONDecoder()
    incoming = iter(blocks)
    text, at, is_open = "", 0, True
    while True:
        at = _after(_BETWEEN, text, at)
        end = _end_of(scanner, text, at)
        if end is not None and (text[end : end + 1] in _ENDS if end < len(text) else not is_open):
            yield _bytes(text[at:end])
            at = end
        elif is_open:
            more, is_open = _more(incoming, len(text) - at)
            text, at = text[at:] + decoder.decode(more, final=not is_open), 0
        else:
            if at < len(text):
                yield _bytes(text[at:])
            return


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _end_of(scanner: json.JSONDecoder, text: str, at: int) -> int | None:
    """Where the element at `at` ends; None where it is not whole."""
    try:
        return scanner.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None


def _more(incoming: Iterator[bytes], held: int) -> tuple[bytes, bool]:
    """As much again as is held, so that a large element is not read again and again; whether there may be more."""
    found = bytearray()
    for block in incoming:
        found += block
        if len(found) >= held:
            return bytes(found), True
    return bytes(found), False


def _bytes(text: str) -> bytes:
    """On one line: line ends can only stand between the tokens of JSON."""
    return text.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")
