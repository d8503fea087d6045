"""Unpacking what a dataset packed: base64, zlib, pickle, JSON in strings. Nothing is run, and nothing grows freely.

A pickle is read twice: first its instructions, of which only those that make strings and dicts of them are allowed,
then, through an unpickler that knows no class, its value.
"""

import base64
import binascii
import io
import pickle
import pickletools
import zlib
from typing import Any, NoReturn, TypeVar

import msgspec

from dc_tools.curate.reasons import Reason, Refusal

MOST_UNPACKED = 1 << 28
"""Bytes that packed tests may unpack to."""
MOST_STEPS = 1000
"""Instructions of a pickle; a dict of a few strings takes a dozen."""
SLICE, PIECE = 1 << 16, 1 << 20
"""Packed bytes given to zlib at once, and unpacked bytes taken."""
HARMLESS = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "MEMOIZE", "BINPUT", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
})  # fmt: skip
"""Instructions of a pickle that can neither call nor import, nor refer to a value twice, nor name a place in memory."""
SHOWN = 80

T = TypeVar("T")


class Unreadable(ValueError):
    """The payload is broken or no mere data; `refusal` says which and why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason, detail)


def read_json(text: str | bytes, type_: type[T], what: str) -> T:
    """JSON text as `type_`. Errors: `Unreadable`, whose message begins with `what`."""
    try:
        return msgspec.json.decode(text, type=type_)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _broken(f"{what}: {error}") from None
    except RecursionError:
        raise _broken(f"{what}: nested too deeply") from None


def unpacked(text: str, what: str) -> Any:
    """What base64 over zlib over a pickle holds: a string, or a dict of strings. Errors: `Unreadable`."""
    try:
        packed = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _broken(f"{what}: neither JSON nor base64: {error}") from None
    return unpickled(inflated(packed, what), what)


def inflated(packed: bytes, what: str, most: int = MOST_UNPACKED) -> bytes:
    """The bytes that zlib packed. Errors: `Unreadable`, an unsafe one above `most` bytes."""
    stream, pieces, size = zlib.decompressobj(), list[bytes](), 0
    try:
        for start in range(0, len(packed), SLICE):
            rest = packed[start : start + SLICE]
            while rest and not stream.eof:
                pieces.append(stream.decompress(rest, PIECE))
                size += len(pieces[-1])
                if size > most:
                    raise _unsafe(f"{what}: {len(packed)} bytes of zlib unpack to more than {most}")
                rest = stream.unconsumed_tail
        pieces.append(stream.flush())
    except zlib.error as error:
        raise _broken(f"{what}: broken zlib data: {error}") from None
    if not stream.eof:
        raise _broken(f"{what}: zlib data that ends early")
    return b"".join(pieces)


def unpickled(data: bytes, what: str) -> Any:
    """The string or the dict of strings in a pickle. Errors: `Unreadable`, an unsafe one for all other pickles."""
    _look_over(data, what)
    try:
        return DataUnpickler(io.BytesIO(data), what).load()
    except Unreadable:
        raise
    except Exception as error:  # a broken pickle raises nearly anything
        raise _broken(f"{what}: broken pickle: {type(error).__name__}: {error}") from None


def _look_over(data: bytes, what: str) -> None:
    """Refuse every pickle that does more than to make strings and dicts. Errors: `Unreadable`."""
    try:
        for step, (instruction, argument, _) in enumerate(pickletools.genops(data)):
            if instruction.name not in HARMLESS:
                said = f"{instruction.name} {str(argument)[:SHOWN]}" if argument is not None else instruction.name
                raise _unsafe(f"{what}: a pickle that does more than hold strings: {said}")
            if step >= MOST_STEPS:
                raise _unsafe(f"{what}: a pickle of more than {MOST_STEPS} instructions")
    except Unreadable:
        raise
    except ValueError as error:
        raise _broken(f"{what}: broken pickle: {error}") from None


class DataUnpickler(pickle.Unpickler):
    """Unpickles what needs no class."""

    def __init__(self, stream: io.BytesIO, what: str) -> None:
        super().__init__(stream)
        self.what = what

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        """Refuse all classes and functions."""
        raise _unsafe(f"{self.what}: a pickle that asks for {module_name}.{global_name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse what lies elsewhere."""
        raise _unsafe(f"{self.what}: a pickle that asks for an outside object")


def _broken(detail: str) -> Unreadable:
    return Unreadable(Reason.PARSE_ERROR, detail)


def _unsafe(detail: str) -> Unreadable:
    return Unreadable(Reason.UNSAFE_PAYLOAD, detail)
