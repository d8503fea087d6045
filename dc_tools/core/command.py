"""The contract of all seven commands, given by one decorator: flags, variables, exit codes, signals, resume.

A command is a function `run, *, its own flags`; `command` adds the shared flags and turns what happens inside into
exit codes and one-line messages. Nothing heavy is imported here, so that `--help` stays quick.
"""

import contextlib
import inspect
import itertools
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Annotated, Any, get_args, get_type_hints

import typer

import dc_tools
from dc_tools.core import manifest
from dc_tools.core.errors import DcError, Exit, GateFailed
from dc_tools.core.outputs import PipeClosed
from dc_tools.core.parallel import default_workers
from dc_tools.core.progress import say
from dc_tools.core.run import AlreadyDone, Options, Run

GRACE_S = 10.0
AGAIN_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Until an interruption that a finaliser swallowed is tried again: of several lengths, since finalisers may come at a
beat."""
HEARD_S = 0.1
"""For the main thread to hear of a signal, before it is interrupted again."""
SPINS = "10000"
"""How long an OpenMP thread spins for the others before it sleeps. The default, millions, costs nothing on an idle
machine and makes small operations five to twenty times slower beside any other busy process."""
LINES, FOLDER = "Output file, whole or absent; - for stdout.", "The folder to make."
EITHER = "Output file, whole or absent, or FOLDER/ for all that is made; - for stdout."
CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
"""ClickException, of the click that this typer uses (newer ones carry their own)."""
Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help="JSONL, .gz, .zst, .parquet or a folder of shards; none or -: stdin."),
]


class Interrupted(BaseException):
    """INT or TERM came; carries the exit code."""

    def __init__(self, code: Exit) -> None:
        super().__init__(code)
        self.code = code


def command(
    name: str,
    *,
    dropped: str | None = None,
    lines_out: bool = True,
    makes_folder: Callable[[str], bool] | None = None,
    resumable: bool = True,
    free_flags: frozenset[str] = frozenset(),
    content_flags: frozenset[str] = frozenset(),
    output_flags: frozenset[str] = frozenset(),
    needs_input: Callable[[dict[str, Any]], bool] = lambda flags: True,
    wants_more: Callable[[dict[str, Any], dict[str, Any]], bool] = lambda flags, earlier: False,
    shared: frozenset[str] | None = None,
    reads: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the decorated function the command `name`; the result is its entry point.

    `dropped` names the flag for filtered-out records (`dropped` or `removed`). With `lines_out=False`, or where -o is
    such that it `makes_folder`, the function makes the folder given by -o itself. `needs_input` says, from the flags,
    whether an absent FILE means stdin; `wants_more`, from flags and manifest, whether a finished run is to be gone on
    with. `shared` names the shared flags it has, None for all; with `reads=False` it takes no FILE.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = _own_parameters(name, function)
        all_shared = _shared_parameters(name, dropped, EITHER if makes_folder else LINES if lines_out else FOLDER)
        offered = [p for p in all_shared if shared is None or p.name in shared | {"version"}]

        def body(**values: Any) -> None:
            files = values.pop("files", None) or []
            flags = {p.name: values.pop(p.name) for p in own}
            values = {p.name: values.get(p.name, p.default) for p in all_shared}
            values["dropped"] = values.pop(dropped) if dropped else None
            values.pop("version")
            options = Options(**values)
            if not files and sys.stdin.isatty() and reads and needs_input(flags):
                say(name, f"reads JSON lines; no FILE is given and stdin is a terminal\n{function.__doc__}")
                say(name, f"usage: {name} [OPTIONS] [FILE]...  ({name} --help says more)")
                raise typer.Exit(Exit.USAGE)
            if not files and not (reads and needs_input(flags)):
                files = [os.devnull]

            def work() -> Exit:
                gives_lines = lines_out and not (makes_folder and makes_folder(options.output))
                run = Run(
                    name, options, files, flags, gives_lines, free_flags, content_flags, output_flags, wants_more,
                    resumable,
                )
                return _run_once(run, function)

            raise typer.Exit(_contained(name, options, work))

        body.__doc__ = function.__doc__
        given = inspect.Parameter("files", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Files)
        parameters = [*([given] if reads else []), *own, *offered]
        body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        body.__annotations__ = {p.name: p.annotation for p in parameters}

        def main(args: list[str] | None = None) -> None:
            sys.exit(_invoke(name, body, args))

        main.__doc__ = function.__doc__
        return main

    return decorate


def _invoke(name: str, body: Callable[..., None], args: list[str] | None) -> int:
    """Parse and run; usage errors become exit code 2 in our own words."""
    _open_standard_streams()
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})(body)
    try:
        parsed = typer.main.get_command(app)
        return int(parsed.main(args, prog_name=name, standalone_mode=False) or 0)
    except CLICK_ERROR as error:
        say(name, f"{error.format_message()} ({name} --help says more)")
        return Exit.USAGE
    except typer.Abort:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return Exit.DONE


def _run_once(run: Run, function: Callable[..., None]) -> Exit:
    run.open()
    try:
        function(run, **run.flags)
        run.close()
    except BaseException:
        with contextlib.suppress(DcError, PipeClosed):
            run.abandon()
        raise
    if run.failed_gates:
        raise GateFailed("; ".join(run.failed_gates))
    flawed = run.counts.rejected + run.counts.faults
    return Exit.REJECTS if flawed > run.options.max_rejects else Exit.DONE


def _contained(name: str, options: Options, work: Callable[[], Exit]) -> int:
    """Run `work`; whatever ends it becomes an exit code and at most one line (more with --debug)."""
    try:
        with _signals(name):
            return work()
    except AlreadyDone as done:
        if not options.quiet:
            say(name, f"{options.output} is finished already: nothing done")
        if done.failed_gates:
            say(name, "; ".join(done.failed_gates))
            return Exit.GATE_FAILED
        return Exit.DONE
    except (PipeClosed, BrokenPipeError):
        _silence_stdout()
        return Exit.DONE
    except Interrupted as stop:
        again = "; run again with --resume" if options.output != "-" else ""
        say(name, f"stopped by {'INT' if stop.code is Exit.INTERRUPTED else 'TERM'}{again}")
        return stop.code
    except DcError as error:
        if options.debug:
            traceback.print_exc()
        say(name, str(error))
        return error.exit_code
    except MemoryError:
        say(name, "out of memory: use fewer --workers or a smaller model")
        return Exit.CANNOT_RUN
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        say(name, f"internal error: {type(error).__name__}: {error} (--debug shows where)")
        return Exit.CANNOT_RUN


@contextlib.contextmanager
def _signals(name: str) -> Iterator[None]:
    """INT and TERM raise `Interrupted` here; if the way out takes over ten seconds, children are killed and we end.

    Raised inside a finaliser the interpreter drops it; it is raised again then, from the alarm. A signal may also come
    after the main thread has looked for signals, while it waits for its turn to go on into a read that nothing ends: a
    thread sees to it that the main thread hears of it.
    """
    heard: list[Exit] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        code = _code_of(number)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        heard.append(code)
        raise Interrupted(code)

    def on_unraisable(dropped: "sys.UnraisableHookArgs") -> None:
        stop = dropped.exc_value
        if not isinstance(stop, Interrupted):
            hook(dropped)
            return
        signal.signal(signal.SIGALRM, lambda *_: _raise(Interrupted(stop.code)))
        signal.setitimer(signal.ITIMER_REAL, next(pauses_s))

    pauses_s = itertools.cycle(AGAIN_S)
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    threading.Thread(target=_see_to_it, args=(name, told, heard), name="signals", daemon=True).start()
    wakeup = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    before = {each: signal.signal(each, on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.unraisablehook = sys.unraisablehook, on_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for each, handler in before.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(tell)


def _raise(error: BaseException) -> None:
    raise error


def _see_to_it(name: str, told: int, heard: list[Exit]) -> None:
    """Interrupt the main thread until it has `heard` of INT or TERM; end everything where it is not out in time."""
    main = threading.main_thread().ident or 0
    while number := os.read(told, 1):
        if number[0] not in (signal.SIGINT, signal.SIGTERM):
            continue
        ends = time.monotonic() + GRACE_S
        time.sleep(HEARD_S)
        while not heard and time.monotonic() < ends:
            signal.pthread_kill(main, number[0])
            time.sleep(HEARD_S)
        time.sleep(max(0.0, ends - time.monotonic()))
        _end_now(name, _code_of(number[0]))
    os.close(told)


def _code_of(number: int) -> Exit:
    return Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED


def _end_now(name: str, code: int) -> None:
    say(name, f"did not come to an end within {GRACE_S:.0f} s: children are killed")
    for pid in reversed(_descendants(os.getpid())):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    os._exit(code)


def _descendants(pid: int) -> list[int]:
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as stream:
                for child in stream.read().split():
                    found += [int(child), *_descendants(int(child))]
    except OSError:
        return found
    return found


def _open_standard_streams() -> None:
    """Let no file of ours become descriptor 0, 1 or 2 where cron or a daemon closed them."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own last flush cannot fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _print_version(name: str) -> Callable[[bool], None]:
    def show(asked: bool) -> None:
        if asked:
            revision = manifest.git_revision()
            sys.stdout.write(f"{name} {dc_tools.__version__}{f' ({revision})' if revision else ''}\n")
            raise typer.Exit

    return show


def _variable_of(name: str) -> str:
    """What a command's own environment variables begin with."""
    return name.replace("-", "_").replace(" ", "_").upper()


def _own_parameters(name: str, function: Callable[..., None]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    room = _variable_of(name)
    parameters = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        annotation = hints[parameter.name]
        for extra in get_args(annotation)[1:]:
            long = next((d for d in extra.param_decls if d.startswith("--")), f"--{parameter.name}")
            variable = long.split("/")[0][2:].replace("-", "_").upper()
            extra.show_envvar = False
            extra.envvar = extra.envvar or [f"{room}_{variable}", f"DC_{variable}"]
        parameters.append(parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY))
    return parameters


def _shared_parameters(name: str, dropped: str | None, output: str) -> list[inspect.Parameter]:
    def flag(key: str, type_: Any, default: Any, *names: str, text: str, **more: Any) -> inspect.Parameter:
        variables = None if key == "version" else [f"{_variable_of(name)}_{key}".upper(), f"DC_{key}".upper()]
        option = typer.Option(*names, help=text, envvar=variables, show_envvar=False, **more)
        return inspect.Parameter(
            key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[type_, option]
        )

    found = [
        flag("output", str, "-", "-o", "--output", text=output),
        flag("seed", int, 0, "--seed", min=0, text="Seed of everything random."),
        flag("workers", int, default_workers(), "--workers", min=1, text="Parallel workers; the output is the same."),
        flag("limit", int | None, None, "--limit", min=0, text="Stop after this many input lines."),
        flag("quiet", bool, False, "-q", "--quiet", text="Only errors on stderr."),
        flag("debug", bool, False, "--debug", text="Show tracebacks."),
        flag("resume", bool, False, "--resume", text="Go on with an unfinished -o; does nothing when it is finished."),
        flag("force", bool, False, "--force", text="Start over, whatever is there."),
        flag("rejects", str | None, None, "--rejects", text="File for input lines that are bad."),
        flag("max_rejects", int, 0, "--max-rejects", min=0, text="Bad lines allowed before exit code 1."),
        flag("manifest", str | None, None, "--manifest", text="Where to write the manifest (default: beside -o)."),
        flag("shard_records", int | None, None, "--shard-records", min=1, text="With -o FOLDER/: lines per shard."),
        flag("version", bool, False, "--version", is_eager=True, callback=_print_version(name), text="Print it."),
    ]
    if dropped:
        text = f"File for {dropped} records, with the reason."
        found.insert(-1, flag(dropped, str | None, None, f"--{dropped}", text=text))
    return found
