"""The record: what passes through untouched, what is refused, and how an error says where."""

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_tools.core.errors import BadLine
from dc_tools.core.records import Fields, Line, Problem, Status, Test, Verdict, encode, json_schema

RAW = b'{"id":"a","tests":[{"input":"1\\n","output":"2\\n"}],"their":{"b":1.50,"a":[1e3, "\\u00e9"]},"z":-0.0}'


def error_of(raw: bytes) -> str:
    with pytest.raises(BadLine) as caught:
        Line(raw).decode(Problem)
    return caught.value.error


def test_a_line_with_id_and_tests_alone_has_every_default():
    problem = Line(b'{"id":"a","tests":[]}').decode(Problem)
    assert (problem.limits.time_s, problem.limits.memory_mb) == (4.0, 1024)
    assert (problem.mode, problem.checker.type, problem.rollouts, problem.schema) == ("stdin", "default", [], "dc/1")


def test_a_line_that_was_only_read_is_written_byte_for_byte():
    line = Line(RAW)
    line.decode(Problem)
    assert line.to_bytes() == RAW


def test_a_field_added_leaves_the_bytes_of_all_others():
    line = Line(RAW)
    line.fields.put("dedup", {"kept": True})
    assert line.to_bytes() == RAW.replace(b'"z":-0.0}', b'"z":-0.0,"dedup":{"kept":true}}')


def test_a_field_replaced_keeps_its_place():
    line = Line(b'{"a":1,"b":2.0,"c":3}')
    line.fields.put("b", [1])
    assert line.to_bytes() == b'{"a":1,"b":[1],"c":3}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("xyz", min_size=1, max_size=4), json_values, max_size=5))
def test_any_unknown_json_value_passes_through_unchanged(fields):
    import json

    texts = {key: json.dumps(value, separators=(", ", " : ")) for key, value in fields.items()}
    raw = "{" + ",".join(f'"{key}":{text}' for key, text in texts.items()) + "}"
    line = Line(raw.encode())
    line.fields.put("added", 1)
    assert line.to_bytes().decode() == raw[:-1] + ("," if fields else "") + '"added":1}'


def test_a_newer_schema_is_refused_with_a_hint():
    assert error_of(b'{"id":"a","tests":[],"schema":"dc/2"}') == (
        "schema 'dc/2' is newer than dc/1: upgrade dc-tools"
    )


def test_a_foreign_schema_is_refused():
    assert error_of(b'{"id":"a","tests":[],"schema":"other"}') == "schema 'other' is not dc/1"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b'{"id":"a","tests":[{"input":"1","output":"1"},{"input":1,"output":"x"}]}', "$.tests[1].input"),
        (b'{"id":"a","tests":[{"output":"x"}]}', "Object missing required field `input` - at `$.tests[0]`"),
        (b'{"id":"a","tests":[],"checker":{"type":"guess"}}', "$.checker.type"),
        (b'{"id":"a","tests":[],"rollouts":[{"verdict":{"status":"OK","passed":0,"total":0}}]}',
         "$.rollouts[0].verdict.status"),
        (b'{"id":"a","tests":[],"limits":{"time_s":"4"}}', "$.limits.time_s"),
        (b'{"tests":[]}', "Object missing required field `id`"),
        (b'{"id":"a","tests":[],"mode":"function"}', "mode 'function' needs `entry` with `fn_name`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"id":"a","tests":[]', "truncated"),
        (b'{"id":"a","tests":[]} {}', "trailing characters (byte 23)"),
        (b"a" + b"[" * 10, "malformed"),
    ],
)
def test_an_error_says_what_and_where(raw, error):
    assert error in error_of(raw)


@pytest.mark.parametrize("raw", [b'{"id":"\xff","tests":[]}', b'{"id":"a","tests":[],"unknown":"\xc3("}'])
def test_bytes_that_are_not_utf8_are_refused_even_where_nobody_looks(raw):
    assert error_of(raw) == f"not UTF-8: byte {raw.find(raw.strip(bytes(range(128)))[:1])}"


def test_deep_nesting_is_a_bad_line_not_a_crash():
    assert error_of(b'{"id":"a","tests":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}") == "JSON nested too deeply"


def test_a_typed_field_gives_its_full_path():
    fields = Fields.parse(b'{"dedup":{"score":"high"}}')

    class Dedup(msgspec.Struct):
        score: float

    with pytest.raises(BadLine) as caught:
        fields.get_as("dedup", Dedup, Dedup(0.0))
    assert caught.value.error.endswith("at `$.dedup.score`")
    assert fields.get_as("absent", int, 7) == 7


def test_a_verdict_writes_its_defaults_and_a_test_does_not():
    verdict = orjson.loads(encode(Verdict(Status.AC, 2, 2)))
    assert (verdict["passed"], verdict["message"], verdict["backend"]) == (2, "", "local")
    assert encode(Test("1", "2")) == b'{"input":"1","output":"2"}'


def test_the_schema_names_every_field_and_requires_two():
    schema = json_schema()
    problem = schema["$defs"]["Problem"]
    assert sorted(problem["required"]) == ["id", "tests"]
    assert {"statement", "mode", "entry", "tests", "checker", "limits", "rollouts"} <= set(problem["properties"])


def test_errors_survive_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(BadLine("wrong at `$.id`")))
    assert (error.error, error.exit_code) == ("wrong at `$.id`", 1)


def test_an_integer_of_any_size_is_written() -> None:
    assert encode({"a": 1 << 70, "b": Test("1", "2")}) == b'{"a":1180591620717411303424,"b":{"input":"1","output":"2"}}'
