"""KodCode rows: pytest modules become asserts or calls; what pytest alone could judge is left out and counted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dc_tools.core.errors import BadLine
from dc_tools.core.records import CheckerType, Line, Mode, TestKind
from dc_tools.core.run import Dropped, Kept
from dc_tools.curate import sources
from dc_tools.curate.draft import Draft
from dc_tools.curate.examination import Settings
from dc_tools.curate.formats import Format
from dc_tools.curate.reading.pytests import as_check
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.stage import curated
from dc_tools.sandbox.judge import JudgePool

TEST = '''import pytest
from solution import double

def test_small():
    """Small ones."""
    assert double(1) == 2
    assert double(2) == 4, "two"

class TestLarge:
    def test_large(self):
        assert double(10) == 20
        assert 22 == double(x=11)

def test_raises():
    with pytest.raises(TypeError):
        double(None)
'''
ROW = {
    "version": "v1.0", "style": "instruct", "subset": "Leetcode", "question_id": "Leetcode_1_I", "question": "Double.",
    "solution": "def helper(x):\n    return x\n\ndef double(x):\n    return helper(x) * 2\n", "test": TEST,
    "test_info": [{
        "docstring": "", "function_declaration": "def double(x):", "function_name": "double", "parameter_list": "(x)",
    }],
    "gpt_difficulty": "easy", "gpt_pass_percentage": 1.0, "trials": {"trial_gpt4o_0": None},
}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[JudgePool]:
    with JudgePool(1) as judges:
        yield judges


def with_test(*lines: str, **more: Any) -> dict[str, Any]:
    return {**ROW, "test": "import pytest\nfrom solution import double\n" + "\n".join(lines), **more}


def drafted(row: dict[str, Any]) -> Draft | Refusal:
    return sources.draft(Line(json.dumps(row).encode()), Format.AUTO)


def draft(row: dict[str, Any]) -> Draft:
    found = drafted(row)
    assert isinstance(found, Draft), found
    return found


def with_left_out(row: dict[str, Any], pool: JudgePool) -> tuple[list[tuple[str, str]], dict[str, int]]:
    found = curated(Line(json.dumps(row).encode()), Settings(min_tests=1), pool).outcome
    assert isinstance(found, Kept), found.line.fields["curation"] if isinstance(found, Dropped) else found
    record = json.loads(found.line.to_bytes())
    pairs = [(each["input"], each["output"]) for each in record["tests"]]
    return pairs, record.get("meta", {}).get("tests_left_out", {})


def test_plain_asserts_are_read_without_running() -> None:
    found = draft(ROW)
    problem = found.problem
    assert not found.must_run
    assert (problem.id, problem.mode, problem.statement) == ("kodcode/Leetcode_1_I", Mode.FUNCTION, "Double.")
    assert problem.entry is not None
    assert (problem.entry.fn_name, problem.entry.starter_code) == ("double", "def double(x):")
    assert [(t.input, t.output, t.kind) for t in problem.tests] == [
        ("[1]", "2", TestKind.PRIVATE), ("[2]", "4", TestKind.PRIVATE), ("[10]", "20", TestKind.PRIVATE),
        ("[11]", "22", TestKind.PRIVATE),
    ]  # fmt: skip
    assert found.left_out == {"an assert of what is raised": 1}
    assert (problem.difficulty, problem.tags, problem.source.license) == ("easy", ["Leetcode"], "CC-BY-NC-4.0")


def test_variables_loops_helpers_and_constants_are_run(pool: JudgePool) -> None:
    row = with_test(
        "from functools import lru_cache", "CASES = [(5, 10), (6, 12)]", "@lru_cache", "def wanted(x):",
        "    return x + x",
        "def test_variable():", "    given = [7]", "    found = double(given)", "    assert found == [7, 7]",
        "def test_loop():", "    for x, y in CASES:", "        assert double(x) == y",
        "def test_wanted():", "    assert double(8) == wanted(8)",
    )  # fmt: skip
    assert with_left_out(row, pool) == ([("[[7]]", "[7, 7]"), ("[5]", "10"), ("[6]", "12"), ("[8]", "16")], {})


@pytest.mark.parametrize(
    "decorator",
    [
        '@pytest.mark.parametrize("x, y", [(1, 2), (3, 6)])',
        '@pytest.mark.parametrize(["x", "y"], [(1, 2), [3, 6]])',
        '@pytest.mark.parametrize(("x", "y"), ((1, 2), pytest.param(3, 6, id="three")), ids=["a", "b"])',
    ],
)
def test_parametrized_tests_are_called_with_each_set_of_values(decorator: str, pool: JudgePool) -> None:
    row = with_test(decorator, "def test_it(x, y):", "    assert double(x) == y")
    assert with_left_out(row, pool) == ([("[1]", "2"), ("[3]", "6")], {})
    method = [f"    {each}" for each in (decorator, "def test_it(self, x, y):", "    assert double(x) == y")]
    assert with_left_out(with_test("class TestIt:", *method), pool)[0] == [("[1]", "2"), ("[3]", "6")]


def test_one_parameter_may_be_a_tuple_itself(pool: JudgePool) -> None:
    row = with_test('@pytest.mark.parametrize("x", [[1], "ab"])', "def test_it(x):", "    assert double(x) == x + x")
    assert with_left_out(row, pool)[0] == [("[[1]]", "[1, 1]"), ('["ab"]', '"abab"')]


def test_approx_gives_the_float_checker_and_never_more_tolerance_than_asked_for(pool: JudgePool) -> None:
    plain = draft(with_test("def test_it():", "    assert double(1) == pytest.approx(2)"))
    assert (plain.problem.checker.type, plain.problem.checker.tolerance) == (CheckerType.FLOAT, 5e-7)
    assert plain.problem.tests[0].output == "2.0"
    wide = draft(with_test("def test_it():", "    assert pytest.approx(20, abs=0.1) == double(10)"))
    assert wide.problem.checker.tolerance == 0.005
    listed = with_test("def test_it():", "    x = [0.25]", "    assert double(x) == pytest.approx([0.25, 0.25])")
    assert with_left_out(listed, pool)[0] == [("[[0.25]]", "[0.25, 0.25]")]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["@pytest.fixture", "def given():", "    return 1", "def test_it(given):", "    assert double(given) == 2"],
         "a test with fixtures or marks"),
        (["@pytest.mark.skip", "def test_it():", "    assert double(1) == 3"], "a test with fixtures or marks"),
        (["def test_it(capsys):", "    assert double(1) == 2"], "a test with fixtures or marks"),
        (['@pytest.mark.parametrize("x", range(3))', "def test_it(x):", "    assert double(x) == 2 * x"],
         "a test with fixtures or marks"),
        (["class TestIt:", "    def setup_method(self):", "        self.x = 1", "    def test_it(self):",
          "        assert double(self.x) == 2"], "a test with set-up"),
        (["async def test_it():", "    assert double(1) == 2"], "a test that is asynchronous"),
    ],
)  # fmt: skip
def test_what_pytest_alone_could_run_is_left_out(lines: list[str], why: str) -> None:
    found = draft(with_test(*lines, "def test_other():", "    assert double(4) == 8"))
    assert [(t.input, t.output) for t in found.problem.tests] == [("[4]", "8")]
    assert found.left_out == {why: 1}


def test_what_is_left_out_is_kept_count_of_when_the_rest_must_be_run(pool: JudgePool) -> None:
    row = with_test(
        "def test_it():", "    x = 3", "    assert double(x) == 6", "    with pytest.raises(TypeError):",
        "        double(None)", "def test_set():", "    assert double(1) == 2", "    y = double(float('inf'))",
        "    assert y == float('inf')",
    )  # fmt: skip
    assert with_left_out(row, pool) == (
        [("[3]", "6"), ("[1]", "2")], {"an assert of what is raised": 1, "the number inf": 1},
    )  # fmt: skip


def test_other_names_for_the_function_are_followed(pool: JudgePool) -> None:
    alias = "from solution import double as twice\ndef test_it():\n    assert twice(1) == 2\n"
    module = "import solution, math\ndef test_it():\n    assert solution.double(1) == 2\n"
    for test in (alias, module):
        assert with_left_out({**ROW, "test": test}, pool)[0] == [("[1]", "2")]
    local = "from solution import S\ndef test_it():\n    solution = S()\n    assert solution.double(1) == 2"
    assert isinstance(drafted({**ROW, "test": local}), Refusal)


def test_a_test_of_the_main_module_is_no_test() -> None:
    assert "main" not in as_check("if __name__ == '__main__':\n    pytest.main()\n").code


def test_online_judge_rows_have_stdin_and_stdout() -> None:
    test = {"stdin": ["1\n", "2\n"], "stdout": ["2\n", "4\n"]}
    for given in (test, json.dumps(test), repr(test)):
        found = draft({**ROW, "solution": "print(2 * int(input()))", "test": given, "test_info": None}).problem
        assert (found.mode, found.entry) == (Mode.STDIN, None)
        assert [(t.input, t.output, t.kind) for t in found.tests] == [
            ("1\n", "2\n", TestKind.PRIVATE), ("2\n", "4\n", TestKind.PRIVATE),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({**ROW, "solution": "def double("}, Reason.PARSE_ERROR, "solution or test: line 1"),
        ({**ROW, "test": "def test_x(:"}, Reason.PARSE_ERROR, "solution or test: line 1"),
        ({**ROW, "solution": "class Double: pass"}, Reason.NO_SOLUTION, "that solution defines"),
        (with_test("def test_it():", "    assert double(1) == 2", test_info=[]), Reason.NO_SOLUTION,
         "the tests call no function of test_info"),
        (with_test("def test_it():", "    assert len(double('a')) == 2"), Reason.NEEDS_CHECKER, "len(double('a'))"),
        (with_test("def run(x):", "    return double(x)", "def test_it():", "    assert run(1) == 2"),
         Reason.NEEDS_CHECKER, "outside an equality"),
        (with_test("def test_it():", "    with pytest.raises(TypeError):", "        double(None)"),
         Reason.PARSE_ERROR, "no test is left: an assert of what is raised (1)"),
        ({**with_test("def test_it():", "    assert double(1) == 2", "    assert helper(1) == 1"),
          "test_info": [{"function_name": "double"}, {"function_name": "helper"}]},
         Reason.PARSE_ERROR, "several functions: double, helper"),
        ({**ROW, "test": '{"stdin": ["1"]}'}, Reason.PARSE_ERROR, "nor an object of stdin and stdout"),
        ({**ROW, "test": '{"stdin": ["1"], "stdout": []}'}, Reason.PARSE_ERROR, "1 inputs and 0 outputs"),
        ({**ROW, "test": '{"stdin": __import__("os").system("true")}'}, Reason.UNSAFE_PAYLOAD, "test: "),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_has_its_reason(row: dict[str, Any], reason: Reason, detail: str) -> None:
    found = drafted(row)
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert detail in found.detail


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"test": 1}, r"\$\.test"), ({"question": None}, r"\$\.question"), ({"solution": ["x"]}, r"\$\.solution"),
        ({"test_info": [{"function_name": 1}]}, r"\$\.test_info\[0\]\.function_name"),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_type_is_a_bad_line(change: dict[str, Any], path: str) -> None:
    with pytest.raises(BadLine, match=path):
        drafted({**ROW, **change})


@pytest.mark.parametrize("depth", [300, 100_000])
def test_tests_that_are_nested_too_deeply_are_dropped(depth: int, pool: JudgePool) -> None:
    row = with_test("def test_it():", f"    assert double({'-' * depth}1) == 2")
    found = curated(Line(json.dumps(row).encode()), Settings(), pool).outcome
    assert isinstance(found, Dropped)
