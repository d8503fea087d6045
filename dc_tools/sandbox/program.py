"""What happens in the process that is the program: it runs as `python solution.py` would, or calls one function.

Everything here is in the program's own hands; it can harm nothing but its own answer.
"""

import _sitebuiltins
import atexit
import builtins
import gc
import importlib
import io
import json
import os
import random
import signal
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, NoReturn

FILE = "solution.py"
VALUE_FD = 3
LEETCODE_MODULES = (
    "random", "functools", "collections", "string", "math", "datetime", "itertools", "heapq", "bisect", "operator",
    "re",
)
LEETCODE_STARS = (
    "typing", "functools", "collections", "itertools", "heapq", "bisect", "string", "operator", "math",
)


class ListNode:
    """LeetCode's singly linked list."""

    def __init__(self, val: Any = 0, next: Any = None) -> None:
        self.val = val
        self.next = next


class TreeNode:
    """LeetCode's binary tree."""

    def __init__(self, val: Any = 0, left: Any = None, right: Any = None) -> None:
        self.val = val
        self.left = left
        self.right = right


_prelude: dict[str, Any] = {}


def prepare() -> None:
    """Before any program: the builtins that `site`, which is not loaded, would have given, and LeetCode's names."""
    for name in ("quit", "exit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    prelude()


def prelude() -> dict[str, Any]:
    """The names that LeetCode's own judge gives a solution; builtins such as `pow` keep their meaning."""
    if not _prelude:
        for name in LEETCODE_STARS:
            module = importlib.import_module(name)
            public = getattr(module, "__all__", [n for n in dir(module) if not n.startswith("_")])
            _prelude.update({n: getattr(module, n) for n in public if not hasattr(builtins, n)})
        _prelude.update({n: importlib.import_module(n) for n in LEETCODE_MODULES})
        _prelude.update(inf=float("inf"), ListNode=ListNode, TreeNode=TreeNode)
    return _prelude


def run(code: types.CodeType, job: dict[str, Any], probes: Any) -> NoReturn:
    """Be the program: never returns, ends with the exit code that a real interpreter would end with."""
    values = arguments(job)
    namespace = main_module(job)
    if probes is not None:
        namespace["__probes__"] = probes
    open_standard_streams()
    random.seed(0)
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.setrecursionlimit(sys.getrecursionlimit() + depth())
    exit_code = 0
    try:
        execute(code, namespace, job, values)
    except SystemExit as stop:
        exit_code = _exit_code(stop)
    except BaseException as error:
        _print_error(error)
        exit_code = 1
    os._exit(_finish(exit_code, namespace))


def execute(code: types.CodeType, namespace: dict[str, Any], job: dict[str, Any], values: list[Any]) -> None:
    """Run the program in `namespace`, or call the function it defines and write its value."""
    if job["entry"]:
        _call(code, namespace, job["entry"], values)
    else:
        exec(code, namespace)


def arguments(job: dict[str, Any]) -> list[Any]:
    """The arguments of the call, which are what stdin holds; stdin is empty then."""
    if not job["entry"]:
        return []
    found: list[Any] = json.loads(os.pread(0, os.fstat(0).st_size, 0))
    os.ftruncate(0, 0)
    return found


def open_standard_streams() -> None:
    """New `sys.stdin`, `sys.stdout`, `sys.stderr` on descriptors 0, 1, 2."""
    stdin = new_stdin()
    stdout = _named(io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8"), "stdout", "w")
    stderr_bytes = io.BufferedWriter(io.FileIO(2, "w", closefd=False))
    stderr = io.TextIOWrapper(stderr_bytes, "utf-8", "backslashreplace", line_buffering=True)
    _named(stderr, "stderr", "w")
    vars(sys).update(
        stdin=stdin, __stdin__=stdin, stdout=stdout, __stdout__=stdout, stderr=stderr, __stderr__=stderr
    )


def reset_output_streams(stdout: io.TextIOWrapper, stderr: io.TextIOWrapper) -> None:
    """Make streams that a program may have reconfigured as new ones are."""
    for stream, errors, by_line in ((stdout, "strict", False), (stderr, "backslashreplace", True)):
        stream.reconfigure(encoding="utf-8", errors=errors, newline=None, line_buffering=by_line, write_through=False)


def new_stdin() -> io.TextIOWrapper:
    """Text from descriptor 0."""
    stream = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8", "surrogateescape")
    return _named(stream, "stdin", "r")


def _named(stream: io.TextIOWrapper, name: str, mode: str) -> io.TextIOWrapper:
    """What the interpreter sets on standard streams, and templates for quick input look at."""
    raw: Any = stream.buffer
    raw.raw.name = f"<{name}>"
    vars(stream)["mode"] = mode
    return stream


def main_module(job: dict[str, Any]) -> dict[str, Any]:
    """The names of a new, empty `__main__`."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv = [FILE, *job["argv"]]
    main.__dict__.update(__builtins__=builtins, __file__=FILE)
    return main.__dict__


def _call(code: types.CodeType, namespace: dict[str, Any], entry: dict[str, Any], arguments: list[Any]) -> None:
    """Execute the module and write the value of the call; of several calls, each as if it were the first."""
    find, nodes = _defined(code, namespace, entry)
    texts = []
    for each in arguments if entry["together"] else [arguments]:
        if entry["together"]:
            random.seed(0)
        kinds = entry["arg_types"] or ["json"] * len(each)
        values = [_from_json(value, kind, nodes) for value, kind in zip(each, kinds, strict=False)]
        result = find()(*values)
        texts.append(to_json(_to_plain(result, entry["return_type"])))
    text = f"[{','.join(texts)}]" if entry["together"] else texts[0]
    view = memoryview(text.encode("utf-8", "surrogatepass"))
    while view:
        view = view[os.write(VALUE_FD, view) :]


def _defined(
    code: types.CodeType, namespace: dict[str, Any], entry: dict[str, Any]
) -> tuple[Callable[[], Any], tuple[Any, Any]]:
    """Execute the module. What finds the function, a method on a new object each time; the classes of nodes."""
    class_name, fn_name = entry["class_name"], entry["fn_name"]
    if class_name:
        namespace.update({k: v for k, v in prelude().items() if k not in namespace})
    nodes = (namespace.get("ListNode", ListNode), namespace.get("TreeNode", TreeNode))
    exec(code, namespace)
    nodes = (namespace.get("ListNode", nodes[0]), namespace.get("TreeNode", nodes[1]))
    owner = namespace.get(class_name or "Solution")
    if owner is not None and (class_name or fn_name not in namespace):
        return (lambda: getattr(owner(), fn_name)), nodes
    return (lambda: namespace[fn_name]), nodes


def _from_json(value: Any, kind: str, nodes: tuple[Any, Any]) -> Any:
    if kind == "ListNode":
        head = None
        for item in reversed(value or []):
            head = nodes[0](item, head)
        return head
    return _tree(value or [], nodes[1]) if kind == "TreeNode" else value


def _tree(values: list[Any], node: Any) -> Any:
    """A tree from LeetCode's level order, where an absent node has no children in the list."""
    if not values:
        return None
    root = node(values[0])
    level, rest = [root], iter(values[1:])
    for parent in level:
        for side in ("left", "right"):
            value = next(rest, None)
            if value is not None:
                child = node(value)
                setattr(parent, side, child)
                level.append(child)
    return root


def _to_plain(value: Any, kind: str) -> Any:
    if kind == "ListNode":
        found = []
        while value is not None:
            found.append(value.val)
            value = value.next
        return found
    if kind != "TreeNode" or value is None:
        return [] if kind == "TreeNode" else value
    found, level = [], [value]
    for node in level:
        found.append(None if node is None else node.val)
        if node is not None:
            level += [node.left, node.right]
    while found and found[-1] is None:
        found.pop()
    return found


def to_json(value: Any) -> str:
    """JSON of exact builtin types; a subclass or any other object is a `TypeError`. Tuples are written as lists."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return json.dumps(value)
    if kind in (list, tuple):
        return "[" + ",".join(map(to_json, value)) + "]"
    if kind is dict:
        if any(type(k) is not str for k in value):
            raise TypeError("the returned value has a dict key that is not a string")
        return "{" + ",".join(f"{json.dumps(k)}:{to_json(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"the returned value holds a {kind.__name__}, which is not a JSON type")


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 255
    sys.stderr.write(f"{stop.code}\n")
    return 1


def _print_error(error: BaseException) -> None:
    try:
        here = (error.__traceback__ and error.__traceback__.tb_next) or error.__traceback__
        sys.excepthook(type(error), error, here)
    except BaseException:
        os.write(2, f"{type(error).__name__}\n".encode())


def _finish(exit_code: int, namespace: dict[str, Any]) -> int:
    """What the interpreter does at its end: join threads, run atexit functions, drop the program's objects, flush."""
    try:
        vars(threading)["_shutdown"]()
        wind_up(namespace)
    except BaseException:
        return exit_code or 120
    return exit_code


def wind_up(namespace: dict[str, Any]) -> None:
    """The end of a program in the interpreter's own order; objects that are dropped last print to the first streams."""
    atexit._run_exitfuncs()
    flush()
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, name, getattr(sys, f"__{name}__", None))
    namespace.clear()
    gc.collect()
    flush()


def flush() -> None:
    """Write out what the streams hold, whatever a program has put in their place."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()


def depth() -> int:
    """Frames below the program that a real interpreter would not have."""
    count, frame = 0, sys._getframe()
    while frame.f_back is not None:
        count, frame = count + 1, frame.f_back
    return count
