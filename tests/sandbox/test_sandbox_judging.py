"""How a verdict comes about: several tests, limits, function mode, and what is nobody's fault."""

import json

import pytest

from dc_tools.core.records import Entry, Limits, Mode, Problem, Status, Test
from dc_tools.sandbox.judge import JudgePool, Program


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
    assert (verdict.backend, verdict.isolation in {"namespaces", "landlock"}) == ("local", True)


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
