"""Where a row comes from, in so far as neither the row nor its dataset numbers it."""

import hashlib
import re
from pathlib import PurePath
from typing import Any

from dc_tools.core.records import Line

SPLIT = re.compile(r"(?<![a-z])(train|test|valid|validation)(?![a-z])")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
DIGEST_BYTES = 8


def split_of(line: Line) -> str:
    """The split that the file's name tells, as in `test-00000-of-00001.parquet`; empty where it tells none."""
    found = SPLIT.search(PurePath(line.file).name.lower())
    return found[1] if found else ""


def content_name(*texts: str) -> str:
    """An id for a row that has none: of its content, so that neither its place nor its file matters."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def date_of(value: Any) -> str | None:
    """The day that a text begins with."""
    found = DATE.match(value) if isinstance(value, str) else None
    return found[0] if found else None


def told(value: Any) -> str:
    """A text that says something: empty for null and for the word None, as some datasets write it."""
    return value.strip() if isinstance(value, str) and value.strip().lower() not in {"none", "null", "nan"} else ""
