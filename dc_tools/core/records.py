"""The record: one problem on one line, to which each stage adds a field.

A line is decoded only as far as a stage needs: `Line.fields` holds the top-level values as raw bytes, and what a
stage does not own is written on byte for byte. The structs give types, defaults and the JSON Schema.
"""

import re
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar, cast

import msgspec
import orjson

from dc_tools.core.errors import BadLine

SCHEMA_VERSION = 1
_SCHEMA = re.compile(r"dc/(\d+)")
_OURS = f"dc/{SCHEMA_VERSION}"

T = TypeVar("T")


class Mode(StrEnum):
    """How a test talks to the program."""

    STDIN = "stdin"
    FUNCTION = "function"


class TestKind(StrEnum):
    """Where a test comes from."""

    __test__ = False

    PUBLIC = "public"
    PRIVATE = "private"
    GENERATED = "generated"


class CheckerType(StrEnum):
    """How an output is compared with the expected one (sandbox/compare.py)."""

    DEFAULT = "default"
    FLOAT = "float"
    YESNO = "yesno"
    WORDS = "words"
    UNORDERED = "unordered"
    CUSTOM = "custom"


class Status(StrEnum):
    """The verdict on a program or on one test. IE is the judge's fault and never counts against a model."""

    AC = "AC"
    WA = "WA"
    TLE = "TLE"
    MLE = "MLE"
    OLE = "OLE"
    RE = "RE"
    CE = "CE"
    IE = "IE"


class Finish(StrEnum):
    """Why a rollout ended: a stop token, the token budget, or an engine that failed."""

    STOP = "stop"
    LENGTH = "length"
    ERROR = "error"


class Struct(msgspec.Struct, omit_defaults=True):
    """Base of all records: defaults are not written, unknown fields are left to `Line`.

    What there are a thousand of on a line, and holds only text and numbers, is kept from the garbage collector (`gc`).
    """


class Test(Struct, gc=False):
    """One input and its expected output; in function mode JSON text of the argument list and of the value."""

    __test__ = False

    input: str
    output: str
    kind: TestKind = TestKind.PUBLIC


class Entry(Struct):
    """What a function test calls."""

    fn_name: str
    class_name: str | None = None
    """The class whose method `fn_name` is, as LeetCode's `Solution`."""
    starter_code: str = ""
    arg_types: list[str] = []
    """Per argument `json`, `ListNode` or `TreeNode`; empty means all `json`."""
    return_type: str = "json"


class Checker(Struct):
    """How outputs are compared.

    A `custom` checker is a program, called as testlib's are: `checker input.txt output.txt answer.txt` (the test's
    input, the program's output, the expected output); exit code 0 accepts, 1 and 2 do not, any other is IE.
    """

    type: CheckerType = CheckerType.DEFAULT
    tolerance: float | None = None
    """Relative and absolute, for `float` only."""
    code: str = ""
    """Source of a `custom` checker."""
    lang: str = "python"

    def __post_init__(self) -> None:
        if self.type is CheckerType.CUSTOM and not self.code.strip():
            raise ValueError("a custom checker needs `code`")


class Limits(Struct):
    """What a program may use on each test: CPU seconds (at most an hour) and MiB of address space (at most 1 TiB)."""

    time_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 4.0
    memory_mb: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 1024


class TestVerdict(Struct, gc=False):
    """The verdict on one test. `message` says in words what went wrong."""

    __test__ = False

    status: Status
    time_s: float = 0.0
    memory_mb: float = 0.0
    message: str = ""


class Verdict(Struct, omit_defaults=False):
    """The verdict on one program: the first failing test's status, or AC. Tests after it are not run."""

    status: Status
    passed: int
    total: int
    tests: list[TestVerdict] = []
    time_s: float = 0.0
    """CPU seconds over all tests run."""
    memory_mb: float = 0.0
    """The largest resident size of any test, MiB."""
    backend: str = "local"
    isolation: str = ""
    """What held the program: a name from sandbox/levels.py, or a remote's."""
    message: str = ""
    others: "list[Verdict] | msgspec.UnsetType" = msgspec.UNSET
    """What further judges said, where they did not agree; this verdict is the strictest."""


class Solution(Struct):
    """A program that is said to solve the problem."""

    code: str
    lang: str = "python"
    verdict: Verdict | None = None


class Source(Struct):
    """Where the problem comes from."""

    dataset: str = ""
    split: str = ""
    native_id: str = ""
    url: str | None = None
    license: str | None = None
    date: str | None = None


class Tokens(Struct):
    """The engine's own account of a rollout: ids of prompt and response, log-probability of each response id."""

    prompt_ids: list[int]
    ids: list[int]
    logprobs: list[float]


class Usage(Struct):
    """How many tokens a rollout took: of the prompt, and of the response that was sampled."""

    prompt: int
    response: int


class Rollout(Struct):
    """One sampled answer. `code` is what core/extract.py found in `text`; absent means none was found."""

    text: str = ""
    finish: Finish = Finish.STOP
    model: str = ""
    seed: int | None = None
    tokens: Tokens | None = None
    usage: Usage | None = None
    code: str | None = None
    lang: str = "python"
    """The language of `code`."""
    verdict: Verdict | None = None
    error: str | None = None
    reward: float | None = None
    """What dc-learn learned from."""
    rewards: dict[str, float] = {}
    """Its terms, not weighted."""

    @property
    def taken(self) -> Usage | None:
        """The tokens it took; None where that is not known."""
        if self.usage or self.tokens is None:
            return self.usage
        return Usage(len(self.tokens.prompt_ids), len(self.tokens.ids))


class Problem(Struct):
    """One problem; only `id` and `tests` are required."""

    id: str
    tests: list[Test]
    schema: str = _OURS
    statement: str = ""
    mode: Mode = Mode.STDIN
    entry: Entry | None = None
    checker: Checker = msgspec.field(default_factory=Checker)
    limits: Limits = msgspec.field(default_factory=Limits)
    solutions: list[Solution] = []
    source: Source = msgspec.field(default_factory=Source)
    difficulty: str | None = None
    tags: list[str] = []
    meta: dict[str, Any] = {}
    curation: dict[str, Any] | None = None
    dedup: dict[str, Any] | None = None
    rollouts: list[Rollout] = []

    def __post_init__(self) -> None:
        if self.schema != _OURS:
            found = _SCHEMA.fullmatch(self.schema)
            if not found:
                raise ValueError(f"schema '{self.schema}' is not {_OURS}")
            if int(found[1]) > SCHEMA_VERSION:
                raise ValueError(f"schema '{self.schema}' is newer than {_OURS}: upgrade dc-tools")
        if self.mode is Mode.FUNCTION and self.entry is None:
            raise ValueError("mode 'function' needs `entry` with `fn_name`")


class Fields(dict[str, msgspec.Raw]):
    """A JSON object decoded one level deep: known values are taken out typed, the rest stays raw bytes."""

    @classmethod
    def parse(cls, raw: bytes) -> "Fields":
        """Decode one level; a `BadLine` says where the JSON breaks."""
        values: dict[str, msgspec.Raw] = _decode(_SHALLOW, raw)
        return cls(values)

    def get_as(self, name: str, type_: type[T], default: T) -> T:
        """The value of `name` as `type_`, or `default` where absent; a `BadLine` gives its JSON path."""
        if name not in self:
            return default
        try:
            return msgspec.json.decode(self[name], type=type_)
        except msgspec.DecodeError as error:
            raise BadLine(str(error).replace("`$", f"`$.{name}")) from None

    def put(self, name: str, value: object) -> None:
        """Set `name` to a struct or plain value."""
        self[name] = msgspec.Raw(encode(value))

    def put_raw(self, name: str, raw: bytes) -> None:
        """Set `name` to JSON bytes."""
        self[name] = msgspec.Raw(raw)

    def to_bytes(self) -> bytes:
        """The object as JSON on one line; raw values are written as they came."""
        return msgspec.json.encode(dict(self))


class Line:
    """One input line: its place, its bytes, and its fields decoded when first asked for."""

    __slots__ = ("_fields", "file", "index", "number", "raw")

    def __init__(self, raw: bytes, file: str = "-", number: int = 1, index: int = 0) -> None:
        self.raw = raw
        self.file = file
        self.number = number
        """1-based line (or row) in `file`."""
        self.index = index
        """0-based place among all input lines of the run."""
        self._fields: Fields | None = None

    @property
    def fields(self) -> Fields:
        """The top-level fields; what is put there is what `to_bytes` writes."""
        if self._fields is None:
            self._fields = Fields.parse(self.raw)
        return self._fields

    def to_bytes(self) -> bytes:
        """The line without its newline: the very bytes that came, unless a field was asked for and may have changed."""
        return self.raw if self._fields is None else self._fields.to_bytes()

    def decode(self, type_: type[T]) -> T:
        """The whole line as `type_`; a `BadLine` gives the JSON path."""
        decoder: msgspec.json.Decoder[T] = _decoder(cast("Any", type_))
        return _decode(decoder, self.raw)


_SHALLOW = msgspec.json.Decoder(dict[str, msgspec.Raw])


@cache
def _decoder(type_: Any) -> Any:
    return msgspec.json.Decoder(type_)


def _decode(decoder: "msgspec.json.Decoder[T]", raw: bytes) -> T:
    try:
        if not raw.isascii():
            raw.decode()  # the decoder does not look into the strings that it skips
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise BadLine(str(error)) from None
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8: byte {error.start}") from None
    except RecursionError:
        raise BadLine("JSON nested too deeply") from None


def encode(value: object) -> bytes:
    """JSON bytes of a struct or plain value, without a newline. Errors: `TypeError` for what JSON cannot hold."""
    try:
        return orjson.dumps(value, default=msgspec.to_builtins, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except TypeError:  # perhaps an integer beyond 64 bits, which orjson does not write
        try:
            return msgspec.json.encode(value)
        except UnicodeEncodeError as error:
            raise TypeError("a string with a lone surrogate") from error


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a line."""
    schema = msgspec.json.schema(Problem)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"dc/{SCHEMA_VERSION}", **schema}
