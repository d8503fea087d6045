"""How a verdict comes about: several tests, limits, function mode, checkers as tables, and what is nobody's fault."""

import json

import pytest

from dc_tools.core.records import Checker, CheckerType, Entry, Limits, Mode, Problem, Status, Test
from dc_tools.sandbox.compare import difference, value_difference
from dc_tools.sandbox.judge import JudgePool, Program

FLOAT = Checker(CheckerType.FLOAT, 1e-6)


@pytest.fixture(scope="module")
def pool():
    with JudgePool(2) as pool:
        yield pool


def stdin_problem(*tests: tuple[str, str], **more: object) -> Problem:
    return Problem(id="p", tests=[Test(*test) for test in tests], **more)


def function_problem(*tests: tuple[list, object], **entry: object) -> Problem:
    made = [Test(json.dumps(arguments), json.dumps(value)) for arguments, value in tests]
    return Problem(id="f", tests=made, mode=Mode.FUNCTION, entry=Entry(**{"fn_name": "f", **entry}))


# -- the verdict ------------------------------------------------------------------------------------------------------


def test_the_first_failing_test_gives_the_verdict_and_ends_the_judging(pool):
    problem = stdin_problem(("1", "1"), ("2", "2"), ("3", "4"), ("4", "4"))
    verdict = pool.judge(problem, "print(input())")
    assert (verdict.status, verdict.passed, verdict.total) == ("WA", 2, 4)
    assert [test.status for test in verdict.tests] == ["AC", "AC", "WA"]
    assert verdict.message == verdict.tests[-1].message


def test_an_accepted_program_passed_every_test_and_says_what_it_used(pool):
    verdict = pool.judge(stdin_problem(*[(str(n), str(n)) for n in range(20)]), "print(input())")
    assert (verdict.status, verdict.passed, verdict.total, len(verdict.tests)) == ("AC", 20, 20, 20)
    assert verdict.time_s == pytest.approx(sum(test.time_s for test in verdict.tests), abs=1e-3)
    assert 5 < verdict.memory_mb < 100
    assert (verdict.backend, verdict.isolation in {"namespaces", "seccomp"}) == ("local", True)


def test_no_tests_is_our_fault_and_never_accepted(pool):
    verdict = pool.judge(stdin_problem(), "print(1)")
    assert (verdict.status, verdict.total) == (Status.IE, 0)
    assert verdict.message == "the problem has no tests"


def test_time_is_cpu_time_so_that_waiting_costs_nothing(pool):
    problem = stdin_problem(("", "6"), limits=Limits(time_s=0.4))
    verdict = pool.judge(problem, "import time\ntime.sleep(0.8)\nprint(6)")
    assert (verdict.status, verdict.time_s < 0.2) == ("AC", True)


@pytest.mark.parametrize(("mb", "status"), [(100, "AC"), (300, "MLE")])
def test_memory_is_limited_to_what_the_problem_says(mb, status, pool):
    problem = stdin_problem(("", "6"), limits=Limits(memory_mb=200))
    verdict = pool.judge(problem, f"a = bytearray({mb} << 20)\nprint(6)")
    assert verdict.status == status
    if status == "AC":
        assert 100 <= verdict.memory_mb < 150


def test_what_one_test_leaves_the_next_one_does_not_see(pool):
    program = """
import os, random, sys, builtins
seen = [os.path.exists("/tmp/mark"), hasattr(builtins, "mark"), "mark" in sys.modules, os.getcwd()]
open("/tmp/mark", "w").close()
os.makedirs("/tmp/a/b", exist_ok=True)
os.chmod("/tmp/a/b", 0)
os.chmod("/tmp/a", 0)
builtins.mark = sys.modules["mark"] = True
print(*seen, sys.getrecursionlimit(), random.random())
sys.setrecursionlimit(5000)
"""
    runs = pool.execute(Program(program), ["", "", ""]).runs
    assert [run.status for run in runs] == ["OK"] * 3
    assert len({run.output for run in runs}) == 1
    *seen, limit, _ = runs[0].output.split()
    assert seen == ["False", "False", "False", "/tmp"]
    assert 1000 <= int(limit) < 1050  # the frames below the program are added


def test_what_one_solution_leaves_the_next_one_does_not_see():
    with JudgePool(1) as pool:
        pool.judge(stdin_problem(("", "")), "open('/tmp/mark', 'w').write('x')")
        seen = pool.execute(Program("import os\nprint(os.listdir('/tmp'))"), [""]).runs[0].output
    assert seen == "[]\n"


def test_random_numbers_and_hashes_are_the_same_in_every_worker():
    program = Program("import random\nprint(random.random(), hash('abc'), list({'a', 'b', 'c', 'd'}))")
    outputs = set()
    for _ in range(2):
        with JudgePool(1) as pool:
            outputs.add(pool.execute(program, [""]).runs[0].output)
    assert len(outputs) == 1


def test_many_programs_at_once_get_each_its_own_verdict(pool):
    problems = [(stdin_problem(("", str(n))), f"print({n if n % 3 else -1})") for n in range(60)]
    futures = [pool.submit(problem, code) for problem, code in problems]
    assert [future.result().status for future in futures] == ["AC" if n % 3 else "WA" for n in range(60)]


def test_probes_survive_a_crash_and_add_up_over_inputs(pool):
    program = Program("n = int(input())\n__probes__[n] += 1\nif n == 2: import os; os.kill(os.getpid(), 9)", probes=4)
    done = pool.execute(program, ["1", "1", "2", "3"])
    assert [run.status for run in done.runs] == ["OK", "OK", "RE", "OK"]
    assert done.probes == bytes([0, 2, 1, 1])


# -- function mode ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    ["def f(a, b): return a + b", "class Solution:\n    def f(self, a, b): return a + b",
     "f = lambda a, b: a + b", "from operator import add as f"],
)
def test_functions_and_methods_are_found_without_a_class_name(code, pool):
    assert pool.judge(function_problem(([1, 2], 3), ([-1, 1], 0)), code).status == "AC"


def test_a_leetcode_solution_finds_the_names_that_leetcode_gives(pool):
    code = "class Solution:\n    def f(self, nums: List[int], k: Optional[int]) -> int:\n" \
           "        return sum(heapq.nlargest(k, nums)) + Counter(nums)[1] + pow(2, 3, 5) - inf ** 0"
    assert pool.judge(function_problem(([[1, 1, 5], 2], 10), class_name="Solution"), code).status == "AC"


def test_lists_and_trees_go_in_and_come_out_as_leetcode_writes_them(pool):
    reverse = """
class Solution:
    def f(self, head: Optional[ListNode]) -> Optional[ListNode]:
        last = None
        while head:
            head.next, last, head = last, head, head.next
        return last
"""
    problem = function_problem(
        ([[1, 2, 3]], [3, 2, 1]), ([[]], []), class_name="Solution", arg_types=["ListNode"], return_type="ListNode"
    )
    assert pool.judge(problem, reverse).status == "AC"
    mirror = """
class Solution:
    def f(self, root: Optional[TreeNode]) -> Optional[TreeNode]:
        if root:
            root.left, root.right = self.f(root.right), self.f(root.left)
        return root
"""
    problem = function_problem(
        ([[4, 2, 7, 1, None, 6, 9]], [4, 7, 2, 9, 6, None, 1]), ([[]], []), ([[1, None, 2]], [1, 2]),
        class_name="Solution", arg_types=["TreeNode"], return_type="TreeNode",
    )
    assert pool.judge(problem, mirror).status == "AC"


def test_tuples_come_back_as_lists_and_whole_floats_equal_integers(pool):
    assert pool.judge(function_problem(([2], [2, 4])), "def f(n): return (n, n * n)").status == "AC"
    assert pool.judge(function_problem(([4], 2)), "def f(n): return n ** 0.5").status == "AC"
    assert pool.judge(function_problem(([4], 2)), "def f(n): return '2'").status == "WA"


def test_arguments_are_fresh_for_every_test_and_printing_does_no_harm(pool):
    code = "def f(a):\n    print('debug')\n    a.append(1)\n    return len(a)"
    assert pool.judge(function_problem(([[]], 1), ([[]], 1)), code).status == "AC"


def test_integers_of_any_size_stay_exact(pool):
    assert pool.judge(function_problem(([70], 2**70)), "def f(n): return 2 ** n").status == "AC"
    assert pool.judge(function_problem(([70], 2**70)), "def f(n): return 2 ** n + 1").status == "WA"


# -- comparison -------------------------------------------------------------------------------------------------------

ROWS = [
    ("trailing newline", "1 2\n", "1 2", True), ("spaces at line ends", "1 2\n", "1 2  \n", True),
    ("CRLF", "1\n2\n", "1\r\n2\r\n", True), ("double space between words", "1 2", "1  2", True),
    ("blank lines at the end", "1", "1\n\n\n", True), ("blank line inside", "1\n2", "1\n\n2", False),
    ("newline instead of space", "1 2", "1\n2", False), ("1.0 for 1", "1", "1.0", True),
    ("1e3 for 1000", "1000", "1e3", True), ("007 for 7", "7", "007", True), ("+5 for 5", "5", "+5", True),
    ("fewer digits", "0.33333333", "0.3333333", False), ("one more than 10**9", "1000000000", "1000000001", False),
    ("1000001 for 1000000", "1000000", "1000001", False),
    ("yes for YES", "YES", "yes", False), ("NO for YES", "YES", "NO", False), ("swapped words", "a b", "b a", False),
    ("swapped number lines", "1\n2", "2\n1", False), ("other words, same count", "abc def", "xyz qqq", False),
    ("full-width digit", "1", "\uff11", False), ("arabic digit", "1", "\u0661", False),
    ("no-break space", "1 2", "1\u00a02", False), ("nan for nan", "nan", "nan", True), ("nan for 1", "1", "nan", False),
    ("inf for a number", "1e400", "inf", False), ("underscores", "1000", "1_000", False),
    ("hexadecimal", "16", "0x10", False), ("more lines", "1", "1\n2", False), ("no output", "1", "", False),
    ("nothing for nothing", "", "\n", True), ("beyond doubles", "9007199254740993", "9007199254740992", False),
    ("minus zero", "0", "-0", True), ("huge exponent", "1", "1e99999", False),
]


@pytest.mark.parametrize(("name", "expected", "actual", "same"), ROWS, ids=[row[0] for row in ROWS])
def test_default_comparison(name, expected, actual, same):
    assert (difference(expected, actual, Checker()) is None) is same


FLOAT_ROWS = [
    ("fewer digits", "0.33333333", "0.3333333", True), ("outside the tolerance", "0.333", "0.334", False),
    ("an integer stays exact", "1000000000", "1000000001", False), ("a whole float", "3.0", "3", True),
    ("relative for large", "1000000.0", "1000000.5", True), ("relative has an end", "1000000.0", "1000002.0", False),
    ("nan for a float", "1.0", "nan", False), ("inf for a float", "1.0", "inf", False), ("a word", "yes", "YES", False),
    ("exponent", "1e-3", "0.0010000001", True), ("several on a line", "1 0.50000001 x", "1 0.5 x", True),
]


@pytest.mark.parametrize(("name", "expected", "actual", "same"), FLOAT_ROWS, ids=[row[0] for row in FLOAT_ROWS])
def test_float_comparison(name, expected, actual, same):
    assert (difference(expected, actual, FLOAT) is None) is same


VALUE_ROWS = [
    ("[1,2]", "[1, 2]", True), ("[1,2]", "[2,1]", False), ('{"a":1,"b":2}', '{"b":2,"a":1}', True), ("1", "1.0", True),
    ("1", '"1"', False), ("true", "true", True), ("null", "false", False), ("0.5", "0.5000001", False),
    ("[]", "", False), ("[1]", "[1", False), ("1", "true", True), ("[0]", "[false]", True), ("0", "null", False),
]


@pytest.mark.parametrize(("expected", "actual", "same"), VALUE_ROWS)
def test_value_comparison(expected, actual, same):
    assert (value_difference(expected, actual, Checker()) is None) is same


def test_values_compare_within_a_float_tolerance_only_where_a_float_is_expected():
    assert value_difference("[0.5, 3]", "[0.5000001, 3]", FLOAT) is None
    assert value_difference("[0.5, 1000000000]", "[0.5, 1000000001]", FLOAT) is not None


def test_a_difference_says_where():
    assert difference("1 2\n3 4\n", "1 2\n3 5\n", Checker()) == "line 2: expected 4, got 5"
    assert value_difference('{"a":[1,2]}', '{"a":[1,3]}', Checker()) == 'value["a"][1]: expected 2, got 3'
