"""Data that a row holds as text: JSON, or a Python literal as `repr` writes it. Nothing is evaluated.

Most Python literals become JSON by respelling their strings and their three names, in one pass and without a tree.
What is left goes to `ast.literal_eval`, which takes 900 bytes for every item and so has a bound of its own.
"""

import ast
import json
import re
from itertools import islice
from typing import Any

from dc_tools.curate.reading.syntax import holds_long_number, quoted
from dc_tools.curate.reading.unpack import Unreadable
from dc_tools.curate.reasons import Reason

MOST_CHARACTERS = 1 << 28
MOST_STRINGS = 1_000_000
"""Strings of a Python literal; more would take minutes, and memory many times that of the text."""
MOST_PARTS = 200_000
"""Commas and brackets of a text of which a syntax tree is made."""
SHOWN = 60
_TOKEN = re.compile(
    r"""'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|\b(?:True|False|None|true|false|null)\b""", re.S
)
_NAMES = {"True": "true", "False": "false", "None": "null"}
_NO_DATA = ast.Call | ast.Attribute | ast.Subscript | ast.BinOp | ast.Lambda | ast.JoinedStr | ast.NamedExpr | ast.IfExp
_LOOPS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Await | ast.Yield | ast.YieldFrom


def read_data(text: str, what: str) -> Any:
    """The value of `text`. Errors: `Unreadable`, an unsafe one for code and excess; all messages begin with `what`.

    NaN and Infinity are read, as Python's JSON has them; syntax.json_value refuses them later, test by test.
    """
    if len(text) > MOST_CHARACTERS:
        raise Unreadable(Reason.UNSAFE_PAYLOAD, f"{what}: {len(text)} characters, more than {MOST_CHARACTERS}")
    try:
        return json.loads(text)
    except RecursionError:
        raise _too_deep(what) from None
    except ValueError as error:
        not_json = str(error)
    if sum(1 for _ in islice(_TOKEN.finditer(text), MOST_STRINGS + 1)) > MOST_STRINGS:
        raise Unreadable(Reason.UNSAFE_PAYLOAD, f"{what}: a Python literal of more than {MOST_STRINGS} strings")
    try:
        return json.loads(_TOKEN.sub(_as_json, text))
    except RecursionError:
        raise _too_deep(what) from None
    except ValueError:
        return _literal(text, what, not_json)


def read_strings(value: Any, what: str) -> list[str]:
    """A list of strings, given as such or as text; an absent or empty one is []. Errors: `Unreadable`."""
    if isinstance(value, str):
        value = read_data(value, what) if value.strip() else []
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise Unreadable(Reason.PARSE_ERROR, f"{what}: no list of strings")
    return list(value)


def _as_json(token: re.Match[str]) -> str:
    text = token[0]
    if text[0] not in "'\"":
        return _NAMES.get(text, text)
    if "\\" not in text:
        return json.dumps(text[1:-1], ensure_ascii=False)
    try:
        return json.dumps(ast.literal_eval(text), ensure_ascii=False)
    except SyntaxError as error:
        raise ValueError(error.msg) from None


def _literal(text: str, what: str, not_json: str) -> Any:
    """The value of a Python literal, by its syntax tree."""
    parts = sum(map(_TOKEN.sub("", text).count, ",[({"))
    if parts > MOST_PARTS:
        raise Unreadable(Reason.UNSAFE_PAYLOAD, f"{what}: a Python literal of {parts} parts, more than {MOST_PARTS}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        if holds_long_number(text, tree):
            raise Unreadable(Reason.PARSE_ERROR, f"{what}: a number of thousands of digits")
        return ast.literal_eval(tree)
    except Unreadable:
        raise
    except (RecursionError, MemoryError):
        raise _too_deep(what) from None
    except SyntaxError as error:
        if error.msg.startswith("too many nested"):
            raise _too_deep(what) from None
        said = f"neither JSON ({not_json}) nor a Python literal (line {error.lineno}: {error.msg})"
        raise Unreadable(Reason.PARSE_ERROR, f"{what}: {said}: {text[:SHOWN]!r}") from None
    except (ValueError, TypeError) as error:
        raise _no_literal(text, what, error) from None


def _no_literal(text: str, what: str, error: Exception) -> Unreadable:
    """Code is unsafe; a name that JSON does not know, as `nan`, is merely broken."""
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (ValueError, SyntaxError):
        return Unreadable(Reason.PARSE_ERROR, f"{what}: neither JSON nor a Python literal: {error}")
    code = next((node for node in nodes if isinstance(node, _NO_DATA | _LOOPS)), None)
    if code is not None:
        return Unreadable(Reason.UNSAFE_PAYLOAD, f"{what}: code where data belongs: {quoted(code)}")
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    said = f"the name {names[0][:SHOWN]} in a literal" if names else str(error)[:SHOWN]
    return Unreadable(Reason.PARSE_ERROR, f"{what}: {said}")


def _too_deep(what: str) -> Unreadable:
    return Unreadable(Reason.UNSAFE_PAYLOAD, f"{what}: nested too deeply to be read")
