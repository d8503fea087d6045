"""dc-sandbox and dc-sandbox serve: the flags."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dc_tools.core.command import command
from dc_tools.core.run import Run


def _flag(text: str, *names: str, **more: Any) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(*names, help=text, **more)
    return found


Level = Annotated[str | None, _flag("Insist on a level of isolation: namespaces, landlock, seccomp.")]
Unsafe = Annotated[bool, _flag("Run programs even where nothing can hold them.", "--unsafe")]
Packages = Annotated[list[str] | None, _flag("Let programs import this package (numpy). Repeatable.", "--package")]
Image = Annotated[str | None, _flag("docker: the image whose Python runs the programs.")]
KeyFile = Annotated[Path | None, _flag("File with the key or token; else DC_SANDBOX_TOKEN or TOGETHER_API_KEY.")]


@command(
    "dc-sandbox", free_flags=frozenset({"concurrency", "rate", "key_file"}),
    needs_input=lambda flags: not flags["doctor"] and not flags["make_image"],
)
def judge(
    run: Run,
    backend: Annotated[str, _flag("local, docker, remote:https://HOST, together; several with commas.")] = "local",
    isolate_tests: Annotated[bool, _flag("One process for each test, always.", "--isolate-tests")] = False,
    all_tests: Annotated[bool, _flag("Go on after the first test that fails.", "--all-tests")] = False,
    max_tests: Annotated[int | None, _flag("Run at most this many tests.", min=1)] = None,
    select: Annotated[str, _flag("Which ones then: longest (input), first, all.")] = "longest",
    time: Annotated[float | None, _flag("CPU seconds a test may use, whatever the record says.", min=0.01)] = None,
    memory: Annotated[int | None, _flag("MiB a test may use, whatever the record says.", min=1)] = None,
    compare: Annotated[str, _flag("dc, or lcb: as LiveCodeBench's published verdicts.")] = "dc",
    retry_errors: Annotated[bool, _flag("Judge again what has the verdict IE.", "--retry-errors")] = False,
    level: Level = None,
    unsafe: Unsafe = False,
    packages: Packages = None,
    image: Image = None,
    concurrency: Annotated[int, _flag("Remotes: requests at once.", min=1)] = 16,
    rate: Annotated[float | None, _flag("Remotes: requests a second at most.", min=0.01)] = None,
    key_file: KeyFile = None,
    doctor: Annotated[bool, _flag("Say what isolation this machine gives, and what is missing.", "--doctor")] = False,
    make_image: Annotated[str | None, _flag("Make a docker image, by this name, of this machine's Python.")] = None,
) -> None:
    """Judge the solutions and rollouts that lack a verdict. `dc-sandbox serve` is the same as an HTTP service.

    Adds `verdict` to solutions[] and rollouts[]: AC WA TLE MLE OLE RE CE, or IE where the judge itself failed (exit
    code 1, never counted against a program). Python and C++ (g++); a rollout's language is what its fence names.

    A program sees no network, no other process, and no file but the standard library and a small /tmp of its own. It
    never shares a process with an expected output. What is accepted with all tests in one process stands; all else is
    run again with a process of its own for each test, and that is the verdict.

    Limits, what the program sees at each, and the verdict. CPU time, limits.time_s: it is killed, TLE. Wall time, 4x
    + 2 s: it is killed, TLE "idle", after two more tries alone where the machine is busy. Memory, limits.memory_mb of
    address space: MemoryError or bad_alloc, MLE. Output, 16 MiB to stdout or stderr: OSError, OLE. /tmp, 16 MiB and
    512 files: OSError, RE. Processes: PermissionError, RE. Threads (64) and open files (64): errors, RE. Compiling,
    Python 10 s of CPU, C++ 20 s and 1 GiB: CE. Not covered: bugs of the kernel itself, side channels.
    """
    from dc_tools.sandbox.actions import examine_machine, judge_run, make_an_image
    from dc_tools.sandbox.backends import Wanted, levels_of
    from dc_tools.sandbox.trial import rules_of

    if doctor:
        run.write(examine_machine(run))
    elif make_image:
        make_an_image(run, make_image)
    else:
        rules = rules_of(isolate_tests, all_tests, max_tests, select, time, memory, compare)
        wanted = Wanted(
            run.options.workers, backend.split(","), rules, levels_of(level, unsafe=unsafe), packages or [], image,
            concurrency, rate, key_file,
        )
        judge_run(run, wanted, retry_errors=retry_errors)


@command("dc-sandbox serve", shared=frozenset({"workers", "quiet", "debug"}), reads=False)
def serve(
    run: Run,
    host: Annotated[str, _flag("Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, _flag("Port; 0 takes a free one.", min=0, max=65535)] = 8080,
    token_file: Annotated[Path | None, _flag("File with the token that clients send; else DC_SANDBOX_TOKEN.")] = None,
    max_body: Annotated[int, _flag("MiB that a request may have.", min=1)] = 32,
    max_waiting: Annotated[int, _flag("Requests that may wait; more get 503.", min=1)] = 1024,
    level: Level = None,
    unsafe: Unsafe = False,
    packages: Packages = None,
) -> None:
    """Serve the judge over HTTP: SandboxFusion's /run_code, our own records at /submit, /metrics, /v1/ping.

    Its URL is the first line on stderr. INT and TERM end it: what is under way is finished, 5 s long.
    """
    from dc_tools.core.exchange import read_key
    from dc_tools.sandbox.backends import levels_of
    from dc_tools.sandbox.judge import JudgePool
    from dc_tools.sandbox.remote import TOKEN
    from dc_tools.sandbox.server import serve as serve_pool

    with JudgePool(run.options.workers, levels_of(level, unsafe=unsafe), packages or []) as pool:
        serve_pool(
            pool, host, port, read_key(TOKEN, token_file), ready=run.say, max_body=max_body << 20,
            most_waiting=max_waiting,
        )


def main(args: list[str] | None = None) -> None:
    """`dc-sandbox serve ...` or `dc-sandbox ...`."""
    given = sys.argv[1:] if args is None else args
    if given[:1] == ["serve"]:
        serve(given[1:])
    judge(given)
