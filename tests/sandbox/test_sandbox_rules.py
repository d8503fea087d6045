"""What the user may ask of the judging: which tests, which limits, whose comparison, checkers, several judges."""

import shutil
from concurrent.futures import CancelledError, Future

import pytest

from dc_tools.core.errors import UsageError
from dc_tools.core.records import Checker, CheckerType, Entry, Limits, Mode, Problem, Status, Test, Verdict
from dc_tools.sandbox.dual import JudgeSeveral, strictest
from dc_tools.sandbox.execution import CellLost, OutOfMemory, Session
from dc_tools.sandbox.judge import JudgePool, Rules
from dc_tools.sandbox.trial import Compare, Select, Trial, rules_of

ECHO = "print(input())"


@pytest.fixture(scope="module")
def pool():
    with JudgePool(2) as pool:
        yield pool


def ruled(rules: Rules, problem: Problem, code: str) -> Verdict:
    with JudgePool(1, rules=rules) as pool:
        return pool.judge(problem, code)


def problem(*tests: tuple[str, str], **more: object) -> Problem:
    return Problem(id="p", tests=[Test(*test) for test in tests], **more)


def checked(code: str, lang: str = "python") -> Checker:
    return Checker(CheckerType.CUSTOM, code=code, lang=lang)


# -- which tests, which limits ----------------------------------------------------------------------------------------


def test_the_longest_inputs_are_chosen_and_run_in_the_order_of_the_problem():
    tests = [Test(text, "") for text in ("aa", "a", "aaa", "bb", "aaaa")]
    chosen = Rules(max_tests=3).chosen(tests)
    assert [test.input for test in chosen] == ["aa", "aaa", "aaaa"]
    assert [test.input for test in Rules(max_tests=2, select=Select.FIRST).chosen(tests)] == ["aa", "a"]
    assert Rules(max_tests=2, select=Select.ALL).chosen(tests) == tests
    assert Rules(max_tests=9).chosen(tests) == tests


def test_tests_that_are_not_chosen_do_not_count():
    verdict = ruled(Rules(max_tests=1), problem(("1", "wrong"), ("22", "22")), ECHO)
    assert (verdict.status, verdict.passed, verdict.total) == ("AC", 1, 1)


@pytest.mark.parametrize("isolate", [False, True])
def test_all_tests_are_run_after_a_failure_when_that_is_asked(isolate):
    tests = problem(("1", "1"), ("2", "x"), ("3", "3"), ("4", "y"), ("5", "5"))
    verdict = ruled(Rules(isolate=isolate, all_tests=True), tests, ECHO)
    assert (verdict.status, verdict.passed, verdict.total) == ("WA", 3, 5)
    assert [test.status for test in verdict.tests] == ["AC", "WA", "AC", "WA", "AC"]
    assert verdict.message == verdict.tests[1].message == "line 1: expected x, got 2"


def test_limits_given_by_the_user_replace_those_of_the_problem():
    loop = "x = 0\nwhile True: x += 1"
    generous = problem(("", "6"), limits=Limits(time_s=60.0, memory_mb=4096))
    assert ruled(Rules(time_s=0.3), generous, loop).message == "over 0.3 s of CPU"
    assert ruled(Rules(memory_mb=128), generous, "a = bytearray(300 << 20)\nprint(6)").status == "MLE"
    assert Rules().limits(generous.limits) == generous.limits


def test_published_comparison_takes_what_ours_does_not_and_the_other_way_round():
    swapped = problem(("", "1.0 nan"))
    assert ruled(Rules(compare=Compare.LCB), swapped, "print('1 nan')").status == "WA"
    double = problem(("", "1 2"))
    assert ruled(Rules(compare=Compare.LCB), double, "print('1  2')").status == ruled(
        Rules(), double, "print('1  2')").status == "AC"
    called = Problem(id="f", mode=Mode.FUNCTION, entry=Entry("f"), tests=[Test("[1]", "1")])
    assert ruled(Rules(compare=Compare.LCB), called, "def f(x): return (x)").status == "AC"


def test_a_rule_that_is_none_is_a_usage_error():
    for flags in ({"select": "shortest"}, {"compare": "testlib"}):
        given = {"select": "longest", "compare": "dc", **flags}
        with pytest.raises(UsageError, match=next(iter(flags.values()))):
            rules_of(False, False, None, given["select"], None, None, given["compare"])


# -- checkers ---------------------------------------------------------------------------------------------------------


def test_a_checker_of_the_record_is_the_one_that_compares(pool):
    for kind, expected, printed in (
        (CheckerType.YESNO, "YES", "yes"), (CheckerType.WORDS, "1 2", "1\\n2"),
        (CheckerType.UNORDERED, "1\n2", "2\\n1"), (CheckerType.FLOAT, "0.5", "0.50000001"),
    ):
        for checker, status in ((Checker(kind), "AC"), (Checker(), "WA")):
            verdict = pool.judge(problem(("", expected), checker=checker), f"print('{printed}')")
            assert verdict.status == status, kind


NEAR = """
import sys
given, output, answer = (open(name).read() for name in sys.argv[1:])
assert given == "12"
if abs(int(output) - int(answer)) > 1:
    print("too far", file=sys.stderr)
    sys.exit(1)
"""


@pytest.mark.parametrize(("code", "status", "message"), [
    ("print(int(input()) + 1)", "AC", ""), ("print(int(input()) + 3)", "WA", "checker: too far"),
    ("1 / 0", "RE", "ZeroDivisionError: division by zero"),
    ("print(open('answer.txt').read())", "RE", "FileNotFoundError: [Errno 2] No such file or directory: 'answer.txt'"),
])
def test_a_custom_checker_sees_input_output_and_answer_and_the_program_none_of_it(code, status, message, pool):
    verdict = pool.judge(problem(("12", "12"), ("12", "13"), checker=checked(NEAR)), code)
    assert (verdict.status, verdict.message) == (status, message)


@pytest.mark.parametrize(("checker", "message"), [
    ("1 / 0", "the checker failed: "), ("import sys\nsys.exit(5)", "the checker failed: exit code 5"),
    ("def", "the checker does not compile: SyntaxError"), ("while True: pass", "the checker failed: over"),
])
def test_a_checker_that_fails_is_our_fault(checker, message, pool, monkeypatch):
    monkeypatch.setattr("dc_tools.sandbox.trial.CHECKER_LIMITS", Limits(time_s=0.3, memory_mb=256))
    verdict = pool.judge(problem(("12", "12"), checker=checked(checker)), ECHO)
    if checker == "1 / 0":  # an exception ends Python with exit code 1, which is a checker's word for wrong
        assert (verdict.status, verdict.message) == ("WA", "checker: ZeroDivisionError: division by zero")
    else:
        assert (verdict.status, verdict.message.startswith(message)) == ("IE", True), verdict.message


@pytest.mark.parametrize("loss", [OutOfMemory, CellLost])
def test_a_checker_that_takes_its_cell_along_is_our_fault(loss, monkeypatch):
    def lost(self: Trial, session: Session) -> None:
        raise loss("it is gone")

    monkeypatch.setattr(Trial, "_check_outputs", lost)
    verdict = ruled(Rules(), problem(("12", "12"), checker=checked(NEAR)), ECHO)
    assert (verdict.status, verdict.message) == ("IE", "the worker was lost: the checker: it is gone")


def test_after_a_wrong_answer_by_a_checker_further_tests_do_not_count_unless_asked():
    tests = problem(("12", "12"), ("12", "19"), ("12", "12"), checker=checked(NEAR))
    early, full = ruled(Rules(), tests, ECHO), ruled(Rules(all_tests=True), tests, ECHO)
    assert [test.status for test in early.tests] == ["AC", "WA"]
    assert [test.status for test in full.tests] == ["AC", "WA", "AC"]


def test_with_all_tests_an_output_meets_its_own_answer_though_others_crashed():
    tests = problem(("12", "12"), ("0", "0"), ("12", "12"), ("12", "90"), checker=checked(NEAR))
    verdict = ruled(Rules(all_tests=True), tests, "n = int(input())\n1 / n\nprint(n)")
    assert [test.status for test in verdict.tests] == ["AC", "RE", "AC", "WA"]


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no g++")
def test_a_checker_may_be_in_another_language_than_the_program(pool):
    code = "#include <fstream>\nint main(int, char** v) { int o, a; std::ifstream(v[2]) >> o;" \
           " std::ifstream(v[3]) >> a; return o * o == a * a ? 0 : 2; }"
    tests = problem(("-3", "3"), checker=checked(code, "c++"))
    assert pool.judge(tests, ECHO).status == "AC"
    assert pool.judge(tests, "print(4)").status == "WA"


# -- the pool as a library --------------------------------------------------------------------------------------------


def test_verdicts_come_as_they_are_ready_and_programs_are_taken_no_further_than_needed():
    taken = []

    def asked():
        for place, code in enumerate(["import time\ntime.sleep(1)\nprint(6)", *["print(6)"] * 5, "print(7)"]):
            taken.append(place)
            yield problem(("", "6")), code

    with JudgePool(2) as pool:
        found = pool.verdicts(asked())
        first = next(found)
        assert first[0] != 0 and len(taken) == 4
        rest = dict(found)
    assert len(rest) == 6
    assert [(rest | dict([first]))[place].status for place in range(7)] == ["AC"] * 6 + ["WA"]


def test_a_full_queue_lets_nobody_in_until_somebody_leaves():
    slow = "import time\ntime.sleep(0.3)\nprint(6)"
    with JudgePool(1, queue=2) as pool:
        futures = [pool.submit(problem(("", "6")), slow) for _ in range(3)]
        assert [future.done() for future in futures] == [True, False, False]
        assert {future.result().status for future in futures} == {"AC"}


def test_what_is_asked_of_a_closed_pool_is_cancelled():
    pool = JudgePool(1)
    pool.close()
    with pytest.raises(CancelledError):
        pool.submit(problem(("", "6")), "print(6)")


# -- several judges ---------------------------------------------------------------------------------------------------


def said(status: Status, backend: str) -> Verdict:
    return Verdict(status=status, passed=0, total=1, backend=backend)


@pytest.mark.parametrize(("statuses", "stands", "others"), [
    (("AC", "AC"), "AC", []), (("AC", "WA"), "WA", ["AC"]), (("TLE", "AC"), "TLE", ["AC"]),
    (("WA", "TLE"), "WA", ["TLE"]), (("IE", "AC"), "AC", ["IE"]), (("WA", "IE"), "WA", ["IE"]),
    (("IE", "IE"), "IE", []),
    (("AC", "AC", "RE"), "RE", ["AC", "AC"]),
])
def test_the_strictest_verdict_stands_and_keeps_those_it_disagrees_with(statuses, stands, others):
    verdict = strictest([said(Status(status), str(i)) for i, status in enumerate(statuses)])
    assert verdict.status == stands
    assert [other.status for other in verdict.others or []] == others


def test_two_judges_of_different_make_judge_every_program():
    loose = JudgePool(1, rules=Rules(max_tests=1, select=Select.FIRST))
    with loose, JudgePool(1) as strict:
        judge = JudgeSeveral([loose, strict])
        futures = [judge.submit(problem(("1", "1"), ("2", "x")), code) for code in (ECHO, "print(1)", "1 / 0")]
        verdicts = [future.result() for future in futures]
    assert [verdict.status for verdict in verdicts] == ["WA", "WA", "RE"]
    assert [[other.status for other in verdict.others or []] for verdict in verdicts] == [["AC"], ["AC"], []]


def test_a_judge_that_breaks_is_heard_of():
    class Broken:
        workers = 1

        def submit(self, problem: Problem, code: str, lang: str = "python") -> Future[Verdict]:
            future: Future[Verdict] = Future()
            future.set_exception(OSError("gone"))
            return future

    with JudgePool(1) as pool, pytest.raises(OSError, match="gone"):
        JudgeSeveral([pool, Broken()]).submit(problem(("1", "1")), ECHO).result(30)
