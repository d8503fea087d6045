"""Programs in C++: their verdicts by name, what they may not do, and what a compiler may not be made to do."""

import os
import sys
from concurrent.futures import wait
from dataclasses import dataclass

import pytest
from processes import descendants, run, wait_until
from programs import one_look

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Checker, CheckerType, Entry, Limits, Mode, Problem, Test
from dc_tools.sandbox.judge import JudgePool, Program
from dc_tools.sandbox.languages import COMPILERS, CPP

COMPILER = COMPILERS[CPP].command[0]
pytestmark = pytest.mark.skipif(not os.path.exists(COMPILER), reason=f"there is no {COMPILER} on this machine")
LIMITS = Limits(time_s=0.4, memory_mb=256)
SIX = Problem(id="six", tests=[Test("2 3\n", "6\n"), Test("6 1\n", "6\n")], limits=LIMITS)
TIMES = "#include <cstdio>\nint main() { int a, b; scanf(\"%d %d\", &a, &b); printf(\"%d\\n\", a * b); }"


@dataclass(frozen=True)
class Case:
    """A program for `SIX` with its verdict and a part of the message."""

    name: str
    code: str
    status: str
    message: str = ""


def main(body: str, *headers: str, before: str = "") -> str:
    """A program with what most of these need."""
    used = ("cstdio", "cstdlib", "unistd.h", "fcntl.h", "sys/syscall.h", "cerrno", *headers)
    return "".join(f"#include <{name}>\n" for name in used) + f"{before}\nint main() {{ {body} }}\n"


def denied(name: str, call: str, *headers: str) -> Case:
    """A call that must fail: the program is right only if it does."""
    return Case(name, main(f'long r = (long)({call}); printf("%d\\n", r < 0 ? 6 : 7);', *headers), "AC")


ASLEEP = Case("asleep", main("sleep(100);"), "TLE", "idle")
VERDICTS = [
    ASLEEP,
    Case("right", TIMES, "AC"),
    Case("the standard library", "#include <bits/stdc++.h>\nusing namespace std;\n"
         "int main() { ios::sync_with_stdio(false); cin.tie(nullptr); vector<int> v(2); for (auto& x : v) cin >> x;\n"
         "cout << accumulate(v.begin(), v.end(), 1, multiplies<int>()) << '\\n'; }", "AC"),
    Case("wrong", main('puts("7");'), "WA", "expected 6"),
    Case("a loop", main("for (volatile int i = 0;; i++);"), "TLE", "CPU"),
    Case("memory that grows", main("for (;;) { char* volatile p = new char[1 << 20]; *p = 1; }"), "MLE"),
    Case("2 GB of static data", main('table[1999999999] = 1; puts("6");', before="char table[2000000000u];"), "MLE"),
    Case("a flood", main('for (;;) puts("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");'), "OLE"),
    Case("a null pointer", main("*(volatile int*)nullptr = 1;"), "RE", "SIGSEGV"),
    Case("abort", main("abort();"), "RE", "SIGABRT"),
    Case("an exception", main("throw 1;"), "RE", "SIGABRT"),
    Case("exit code 3", main('puts("6"); return 3;'), "RE", "exit code 3"),
    Case("division by zero", main("volatile int z = 0; return 7 / z;"), "RE", "SIGFPE"),
    Case("a syntax error", "int main( {", "CE", "error"),
    Case("a missing header", "#include <nope.h>\nint main() {}", "CE", "nope.h"),
    Case("empty", "", "CE", "main"),
]
HONEST = [
    Case("a table of 8 MB in the program", f"long long table[1 << 20] = {{1}};\n{TIMES}", "AC"),
    Case("two tables of 10 MB", f"int a[2500000] = {{1}}, b[2500000] = {{2}};\n{TIMES}", "AC"),
    Case("threads", main('std::atomic<int> n{0}; std::vector<std::thread> all; for (int i = 0; i < 6; i++) '
         'all.emplace_back([&] { std::vector<int> v(100000, 1); n += v[i]; }); for (auto& t : all) t.join(); '
         'printf("%d\\n", n.load());', "atomic", "thread", "vector"), "AC"),
    Case("std::async", main('auto f = std::async(std::launch::async, [] { return 6; }); printf("%d\\n", f.get());',
         "future"), "AC"),
    Case("a million calls deep", main('printf("%d\\n", deep(1000000) * 6);',
         before="int deep(int n) { volatile char pad[64]; pad[0] = 0; return n ? deep(n - 1) + pad[0] : 1; }"), "AC"),
    Case("a constructor that does it all",
         main("return 1;", before="struct All { All() { puts(\"6\"); exit(0); } } all;"), "AC"),
    Case("instructions of its own", "#pragma GCC optimize(\"O3,unroll-loops\")\n" + TIMES, "AC"),
    Case("a random device", main('std::random_device r; puts(r() == r() && r() == r() ? "7" : "6");', "random"), "AC"),
    Case("files in its folder", main('FILE* f = fopen("a", "w+"); fputs("6", f); rewind(f); putchar(fgetc(f));'), "AC"),
    Case("nothing left of the compiler", main('puts(access("/tmp/solution.cpp", 0) && access("/tmp/program", 0) ? "6" '
         ': "7");'), "AC"),
]
EXEC = ('dup2(f, 48); char* a[] = {(char*)"x", nullptr}; long r = syscall(322, 48, "", a, a, 0x1000); '
        'ftruncate(1, 0); lseek(1, 0, 0); printf("%d\\n", r < 0 ? 6 : 7);')
ESCAPES = [
    denied("read /etc/passwd", 'open("/etc/passwd", O_RDONLY)'),
    denied("list /proc", 'open("/proc", O_RDONLY)'),
    denied("read the compiler", 'open("/usr/bin/g++", O_RDONLY)'),
    denied("read a header", 'open("/usr/include/stdio.h", O_RDONLY)'),
    denied("write to a library", 'open("/usr/lib/os-release", O_WRONLY)'),
    denied("a socket", "socket(AF_INET, SOCK_STREAM, 0)", "sys/socket.h"),
    denied("fork", "fork()"),
    denied("vfork by a raw call", "syscall(58)"),
    denied("clone", "syscall(56, 17, 0, 0, 0, 0)"),
    denied("exec of a shell", 'execl("/bin/sh", "sh", "-c", "echo 7", (char*)nullptr)'),
    denied("system", 'system("echo 7") == 0 ? 0 : -1'),
    denied("exec of descriptor 48 as it was", 'syscall(322, 48, "", nullptr, nullptr, 0x1000)'),
    denied("exec of another descriptor", 'syscall(322, 0, "", nullptr, nullptr, 0x1000)'),
    denied("a file in memory", 'syscall(319, "x", 0)'),
    denied("ptrace", "syscall(101, 0, 0, 0, 0)"),
    denied("a user namespace", "syscall(272, 0x10000000)"),
    denied("a mount", 'syscall(165, "none", "/tmp", "tmpfs", 0, 0)'),
    denied("a filter of its own", "syscall(317, 1, 0, nullptr)"),
    denied("no parent's death", "syscall(157, 1, 0, 0, 0, 0)"),
    denied("a symbolic link", 'symlink("/etc/passwd", "/tmp/x")'),
    Case("the owner of a socket", main(
        'int p[2], pid = 1; socketpair(AF_UNIX, SOCK_STREAM, 0, p); puts(ioctl(p[0], 0x8901, &pid) < 0 ? "6" : "7");',
        "sys/socket.h", "sys/ioctl.h"), "AC"),
    Case("exec of a library in place of itself",
         main('int f = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY); ' + EXEC), "AC"),
    Case("exec of what it wrote to stdout", main(
        'int in = open("/lib64/ld-linux-x86-64.so.2", O_RDONLY), f = 1; static char b[65536]; long n; '
        'while ((n = read(in, b, sizeof b)) > 0) write(1, b, n); ' + EXEC), "AC"),
    Case("inherited descriptors", main('int n = 0; for (int i = 4; i < 2000; i++) n += fcntl(i, F_GETFD) >= 0; '
         'printf("%d\\n", 6 + n);'), "AC"),
    Case("a 32-bit call", main('asm volatile("int $0x80" : : "a"(20)); puts("6");'), "RE", "SIGSYS"),
    Case("a call for x32", main('syscall(0x40000000 | 39); puts("6");'), "RE", "SIGSYS"),
    Case("kill everybody", main("kill(-1, 9); kill(1, 9); kill(getppid(), 9); puts(\"6\");", "csignal"), "AC"),
]
COMPILE_TIME = [
    Case("include a secret", '#include "/etc/passwd"\nint main() {}', "CE", "/etc/passwd"),
    Case("include the source of the judge", f'#include "{__file__}"\nint main() {{}}', "CE", "No such file"),
    Case("include zeros without an end", '#include "/dev/zero"\nint main() {}', "CE"),
    Case("include itself", '#include "solution.cpp"\nint main() {}', "CE"),
    Case("assemble a secret", 'asm(".incbin \\"/etc/shadow\\"");\nint main() {}', "CE", "/etc/shadow"),
    Case("a file of 100 GB", "char big[100000000000] = {1};\nint main() {}", "CE"),
    Case("a file of 1 GB", "char big[1000000000] = {1};\nint main() {}", "CE"),
    Case("templates without an end", "template <int n> struct A { static const int v = A<n + 1>::v; };\n"
         "int main() { return A<0>::v; }", "CE"),
    Case("a constant that takes for ever", "constexpr long f(long n) { long s = 0; for (long i = 0; i < n; i++) "
         "s += i; return s; }\nstatic_assert(f(1L << 60));\nint main() {}", "CE"),
    Case("macros that double", "#define A(x) x x\n" + "".join(
        f"#define {b}(x) {a}({a}(x))\n" for a, b in zip("ABCDEF", "BCDEFG", strict=True)) + "G(int;) int main() {}",
         "CE"),
]


@pytest.fixture(scope="module")
def judged():
    cases = [*VERDICTS, *HONEST, *ESCAPES, *COMPILE_TIME]
    with JudgePool(2) as pool:
        futures = {case.name: pool.submit(SIX, case.code, CPP) for case in cases}
        with one_look():
            wait([futures[ASLEEP.name]])
        yield {name: future.result() for name, future in futures.items()}


def check(case: Case, judged: dict[str, object]) -> None:
    verdict = judged[case.name]
    assert verdict.status == case.status, verdict.message
    assert case.message in verdict.message
    assert (verdict.passed, verdict.total) == (2 if case.status == "AC" else 0, 2)


@pytest.mark.parametrize("case", VERDICTS, ids=lambda case: case.name)
def test_a_verdict_by_name(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_an_honest_program_is_accepted(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", ESCAPES, ids=lambda case: case.name)
def test_an_escape_is_denied(case, judged):
    check(case, judged)


@pytest.mark.parametrize("case", COMPILE_TIME, ids=lambda case: case.name)
def test_the_compiler_is_behind_walls_too(case, judged):
    check(case, judged)


def test_a_compiler_that_would_never_end_is_stopped(monkeypatch):
    monkeypatch.setattr("dc_tools.sandbox.languages.COMPILE_CPU_S", 2)
    brackets = "int main() { return " + "(" * 1_000_000 + "1" + ")" * 1_000_000 + "; }"
    with JudgePool(1) as pool:
        assert pool.judge(SIX, brackets, CPP).status == "CE"
        assert pool.judge(SIX, TIMES, CPP).status == "AC"


def test_time_and_memory_are_measured(judged):
    verdict = judged["right"]
    assert 0 < verdict.time_s < 0.2
    assert 0 < verdict.memory_mb < 64


# -- what is nobody's fault -------------------------------------------------------------------------------------------


def test_a_function_test_cannot_call_cpp():
    problem = Problem(id="f", tests=[Test("[1]", "1")], mode=Mode.FUNCTION, entry=Entry("f"))
    with JudgePool(1) as pool:
        verdict = pool.judge(problem, "int f(int x) { return x; }", CPP)
    assert (verdict.status, "calls Python" in verdict.message) == ("IE", True)


def test_without_a_folder_there_is_no_compiler():
    for level in ("landlock", "seccomp"):
        with JudgePool(1, [level]) as pool:
            try:
                verdict = pool.judge(SIX, TIMES, CPP)
            except CannotRun as error:
                pytest.skip(f"not on this machine: {error}")
            assert (verdict.status, "folder" in verdict.message) == ("IE", True)
            assert pool.judge(SIX, "a, b = map(int, input().split())\nprint(a * b)").status == "AC"


def test_a_machine_that_allows_less_than_we_do_still_compiles():
    judging = f"""
from dc_tools.core.records import Problem, Test
from dc_tools.sandbox.judge import JudgePool
with JudgePool(1) as pool:
    print(pool.judge(Problem(id="six", tests=[Test("2 3", "6")]), {TIMES!r}, "cpp").status)
"""
    done = run(["/bin/sh", "-c", 'ulimit -c 0; exec "$0" -c "$1"', sys.executable, judging])
    assert (done.code, done.out) == (0, b"AC\n"), done.err


def test_a_checker_may_be_written_in_cpp():
    code = main('int n = 0, w = 0; fscanf(fopen(v[2], "r"), "%d", &n); fscanf(fopen(v[3], "r"), "%d", &w); '
                "return n == -w ? 0 : 1;").replace("main()", "main(int, char** v)")
    checker = Checker(type=CheckerType.CUSTOM, code=code, lang=CPP)
    problem = Problem(id="minus", tests=[Test("", "6"), Test("", "6")], checker=checker)
    with JudgePool(1) as pool:
        assert pool.judge(problem, "print(-6)").status == "AC"
        assert pool.judge(problem, main('puts("-6");'), CPP).status == "AC"
        assert pool.judge(problem, "print(6)").status == "WA"


def test_the_worker_judges_on_and_nothing_is_left():
    before = descendants(os.getpid())
    with JudgePool(1) as pool:
        for code in (COMPILE_TIME[2].code, VERDICTS[5].code, "int main( {", ESCAPES[-1].code):
            pool.judge(SIX, code, CPP)
        assert pool.execute(Program("import os\nprint(os.listdir('/tmp'))"), [""]).runs[0].output == "[]\n"
        assert pool.judge(SIX, TIMES, CPP).status == "AC"
        assert len(pool._all) == 1
    wait_until(lambda: descendants(os.getpid()) <= before, 5)
