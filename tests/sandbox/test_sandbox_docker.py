"""Containers, in a real engine: the line to a program, its walls, and that nothing is left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import started, wait_until

from dc_tools.core.errors import CannotRun
from dc_tools.sandbox import boot, docker, image
from dc_tools.sandbox.docker import Container, DockerOptions, docker_workers
from dc_tools.sandbox.owner import Owner

pytest_plugins = "docker_engine"

ECHO = """
import os
def exactly(size):
    data = bytearray()
    while len(data) < size:
        block = os.read(0, min(size - len(data), 1 << 20))
        if not block:
            os._exit(0)
        data += block
    return bytes(data)
while True:
    data = exactly(int.from_bytes(exactly(4), "little"))
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]
"""
SLEEP = "import time\ntime.sleep(600)"
GRADER = """
import sys, time
from dc_tools.sandbox.docker import Container, DockerOptions
image, host = sys.argv[1:3]
box = Container(DockerOptions(image, 256, host or None), ["python3", "-c", "import time\\ntime.sleep(600)"], {})
print(box._id, flush=True)
time.sleep(600)
"""
PROBE = """
import json, os, socket
def tried(work):
    try:
        return work() or "done"
    except OSError as error:
        return error.strerror
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found = {
    "uid": os.getuid(), "gid": os.getgid(), "pid": os.getpid(), "groups": os.getgroups(),
    "capabilities": {status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}.pop(),
    "no_new_privileges": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "root": tried(lambda: open("/file", "w").close()), "tmp": tried(lambda: open("/tmp/file", "w").close()),
    "tmp_size": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize >> 20,
    "tmp_mode": oct(os.stat("/tmp").st_mode),
    "devices": tried(lambda: open("/dev/file", "w").close()), "shm": os.path.exists("/dev/shm"),
    "interfaces": [name for _, name in socket.if_nameindex()], "host": socket.gethostname(),
    "package": os.path.exists("/work") or any("dc_tools" in names for _, names, _ in os.walk("/usr")),
    "environment": os.environ.get("WORD"),
}
os.write(1, json.dumps(found).encode().ljust(4000))
"""


@pytest.fixture
def options(docker_host: str | None, docker_image: str) -> DockerOptions:
    return DockerOptions(docker_image, 256, docker_host)


@contextlib.contextmanager
def running(options: DockerOptions, code: str, **environment: str) -> Iterator[Container]:
    with contextlib.closing(Container(options, ["python3", "-S", "-c", code], environment)) as box:
        yield box


def echoed(box: Container, data: bytes) -> bytes:
    box.send(len(data).to_bytes(4, "little"), data)
    return box.receive(len(data), 60)


def ours(options: DockerOptions) -> list[str]:
    """The ids of our containers."""
    with contextlib.closing(docker.connect(options.host)) as api:
        return [found["Id"] for found in api.containers(all=True, filters={"label": docker.LABEL})]


def test_what_is_sent_comes_back_twenty_megabytes_and_one_byte_at_a_time(options):
    with running(options, ECHO) as box:
        data = os.urandom(1 << 20) * 20
        assert echoed(box, data) == data
        box.send(b"\3\0\0\0", b"a", b"b", b"c")
        assert [box.receive(1, 10) for _ in range(3)] == [b"a", b"b", b"c"]
        assert box.said() == ""


def test_it_is_nobody_without_network_or_rights_and_writes_to_tmp_alone(options):
    with running(options, PROBE, WORD="given") as box:
        found = json.loads(box.receive(4000, 30))
    read_only = "Read-only file system"
    assert found == {
        "uid": 65534, "gid": 65534, "pid": 1, "groups": [65534], "capabilities": "0000000000000000",
        "no_new_privileges": "1", "seccomp": "2", "root": read_only, "tmp": "done", "tmp_size": docker.TMP_MB,
        "tmp_mode": "0o41777", "devices": "Permission denied", "shm": False, "interfaces": ["lo"], "host": "sandbox",
        "package": False, "environment": "given",
    }


def test_sending_to_what_has_ended_fails_soon(options):
    with running(options, "import sys; sys.stderr.write('no more')") as box:
        began = time.monotonic()
        with pytest.raises(OSError):
            box.send(bytes(20 << 20))
        assert time.monotonic() - began < 30
        assert box.said() == "no more"


def test_more_memory_than_allowed_ends_it(options):
    with running(options, "bytearray(400 << 20)\nimport os; os.write(1, b'x')") as box, pytest.raises(EOFError):
        box.receive(1, 60)


def test_of_stderr_the_end_is_kept_and_is_the_reason_when_it_ends(options):
    code = "import sys; sys.stderr.write('a' * 5000 + 'why'); sys.stderr.flush()"
    with running(options, code) as box:
        with pytest.raises(EOFError, match=f"^{'a' * 1997}why$"):
            box.receive(1, 60)
        assert box.said() == "a" * 1997 + "why"


def test_an_answer_that_does_not_come_in_time_is_a_timeout_and_the_line_stays_good(options):
    with running(options, ECHO) as box:
        with pytest.raises(TimeoutError, match=r"within 0\.1 s"):
            box.receive(1, 0.1)
        assert echoed(box, b"still there") == b"still there"


def test_kill_from_another_thread_wakes_who_waits(options):
    with running(options, SLEEP) as box:
        killer = threading.Timer(0.2, box.kill)
        killer.start()
        began = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            box.receive(1, 60)
        killer.join()
        assert time.monotonic() - began < 30
        wait_until(lambda: box._id not in ours(options), 20)
        with pytest.raises(OSError):
            box.send(b"x")


def test_a_container_killed_in_the_middle_of_a_conversation_is_an_end_of_file(options):
    with running(options, ECHO) as box, contextlib.closing(docker.connect(options.host)) as api:
        assert echoed(box, b"x") == b"x"
        api.kill(box._id)
        with pytest.raises(EOFError, match="the container ended"):
            box.receive(1, 60)


def test_close_leaves_no_container_and_no_descriptor(options):
    before, held = set(ours(options)), len(os.listdir("/proc/self/fd"))
    for code in (ECHO, SLEEP, "pass"):
        with running(options, code):
            pass
    assert set(ours(options)) == before
    assert len(os.listdir("/proc/self/fd")) == held


def test_the_sources_that_are_sent_become_the_worker(options):
    message = boot.packed("dc_tools.sandbox.worker")
    assert int.from_bytes(message[:4], "little") == len(message) - 4
    sources = json.loads(message[4:])
    folder = Path(boot.__file__).parent
    assert sources["dc_tools"] == sources["dc_tools.sandbox"] == ""
    assert sources["dc_tools.sandbox.jail"] == (folder / "jail.py").read_text()
    assert {name for name in sources if name.startswith("dc_tools.core.")} <= {"dc_tools.core.languages"}
    sources["dc_tools.sandbox.worker"] = (
        "import os\nfrom dc_tools.sandbox import levels\n"
        "def main(arguments):\n    assert os.read(0, 2) == b'go'\n"
        "    os.write(1, f'{levels.CONTAINER.name} {arguments[0]} {\"os.py\" in os.listdir(arguments[1])}'.encode())\n"
    )
    data = json.dumps(sources).encode()
    with contextlib.closing(Container(options, boot.command("dc_tools.sandbox.worker", "one"), {})) as box:
        box.send(len(data).to_bytes(4, "little"), data, b"go")
        assert box.receive(18, 30) == b"container one True"


def test_a_killed_grader_leaves_nothing_after_the_next_sweep_and_a_living_one_is_left_alone(options):
    before = set(ours(options))
    argv = [sys.executable, "-c", GRADER, options.image, options.host or ""]
    with started(argv, stdout=subprocess.PIPE) as killed, started(argv, stdout=subprocess.PIPE) as living, \
            contextlib.closing(docker.connect(options.host)) as api:
        ids = [process.stdout.readline().decode().strip() for process in (killed, living)]
        assert set(ours(options)) - before == set(ids)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert docker.sweep(api) == 1
        assert set(ours(options)) - before == {ids[1]}
        living.send_signal(signal.SIGKILL)
        living.wait()
        assert docker.sweep(api) == 1
        assert set(ours(options)) == before


def test_containers_of_another_machine_or_another_tool_are_never_swept(options):
    gone = subprocess.Popen(["true"])
    gone.wait()
    here = Owner.this()
    labels = [str(Owner("elsewhere", gone.pid, 1)), "", "dc pid x y", str(here)]
    with contextlib.closing(docker.connect(options.host)) as api:
        made = [api.create_container(options.image, ["python3"], labels={docker.LABEL: text})["Id"] for text in labels]
        mine = api.create_container(
            options.image, ["python3"], labels={docker.LABEL: str(Owner(here.place, gone.pid, 1))}
        )["Id"]
        try:
            assert (docker.sweep(api), docker.sweep(api)) == (1, 0)
            assert {*made} <= set(ours(options))
            assert mine not in ours(options)
        finally:
            for container in made:
                api.remove_container(container, force=True)


def test_a_missing_image_says_how_to_make_one(options):
    missing = DockerOptions("nobody/has:this", 256, options.host)
    for start in (lambda: Container(missing, ["python3"], {}), lambda: docker_workers(missing)):
        with pytest.raises(CannotRun, match=r"no image 'nobody/has:this'.*dc-sandbox --make-image nobody/has:this"):
            start()


def test_an_image_without_the_program_and_an_absurd_limit_are_refused_and_leave_nothing(options):
    before = set(ours(options))
    with pytest.raises(CannotRun, match=rf"did not start a container of '{options.image}'.*no-such-program"):
        Container(options, ["no-such-program"], {})
    with pytest.raises(CannotRun, match=r"[Mm]inimum memory limit"):
        Container(DockerOptions(options.image, 1, options.host), ["python3"], {})
    assert set(ours(options)) == before


def test_a_dead_daemon_is_one_clear_line(tmp_path):
    with pytest.raises(CannotRun, match=f"docker does not answer at unix://{tmp_path}/none: start it") as caught:
        Container(DockerOptions("any", 256, f"unix://{tmp_path}/none"), ["python3"], {})
    assert "\n" not in str(caught.value)


def test_a_daemon_that_dies_ends_the_conversation_and_the_next_start_says_so(new_engine: Callable):
    engine = new_engine()
    with contextlib.closing(docker.connect(engine.host)) as api:
        docker.import_image(api, "small", cpp=False)
    options = DockerOptions("small", 256, engine.host)
    with running(options, ECHO) as box:
        assert echoed(box, b"x") == b"x"
        engine.kill()
        with pytest.raises((EOFError, OSError)):
            box.receive(1, 60)
    with pytest.raises(CannotRun, match="does not answer"):
        Container(options, ["python3"], {})
    engine.start()
    with contextlib.closing(docker.connect(engine.host)) as api:
        docker.sweep(api)
    with running(options, ECHO) as box:
        assert echoed(box, b"back") == b"back"


def test_an_engine_of_ours_leaves_nothing(new_engine: Callable):
    engine = new_engine()
    assert engine.processes()
    assert engine.mounts()
    engine.stop()
    assert (engine.processes(), engine.mounts(), engine.groups(), engine.root.exists()) == ([], [], [], False)


def test_an_image_holds_python_and_nothing_that_is_secret_set_user_or_ours(tmp_path):
    tree = image.python_tree(cpp=False)
    with (tmp_path / "image.tar").open("wb") as file:
        image.write_tar(tree, file)
    with tarfile.open(tmp_path / "image.tar") as tar:
        members = {f"/{member.name}": member for member in tar}
    assert members["/tmp"].mode == 0o1777
    assert {m.mode for m in members.values() if m.isfile()} == {0o644, 0o755}
    assert {(m.uid, m.gid, m.mode) for m in members.values() if m.isdir() and m.name != "tmp"} == {(0, 0, 0o755)}
    assert all(str(folder) in members for name in members for folder in Path(name).parents[:-1])
    settings = {name for name in members if name.startswith("/etc/") and not name.startswith("/etc/python")}  # Debian's
    assert settings == {"/etc/passwd", "/etc/group", "/etc/ld.so.cache"}
    assert [name for name in members if "dc_tools" in name or "/site-packages/" in name] == []
    assert sum(m.size for m in members.values()) < 150 << 20


def test_an_image_keeps_every_link_on_the_way_to_a_file(tmp_path):
    real = tmp_path.resolve()
    (real / "store").mkdir()
    (real / "store/file.1").write_text("x")
    (real / "store/file").symlink_to("file.1")
    (real / "there").symlink_to("store")
    (real / "far").symlink_to(real / "there/../there/file")
    tree = image.Tree()
    tree.add(real / "far")
    assert tree.files == {real / "store/file.1"}
    assert tree.links == {
        real / "far": str(real / "there/../there/file"), real / "there": "store", real / "store/file": "file.1",
    }


def test_a_tool_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CannotRun, match=r"making an image needs 'ldd', which is not installed"):
        image.python_tree(cpp=False)


def test_a_name_is_parted_at_the_tag_and_not_at_the_port():
    names = ["a", "a:b", "host:5000/a", "host:5000/a:b"]
    assert [docker._split(name) for name in names] == [
        ("a", "latest"), ("a", "b"), ("host:5000/a", "latest"), ("host:5000/a", "b")
    ]


def test_an_owner_is_read_as_it_was_written_and_others_labels_are_nobodys():
    owner = Owner.this()
    assert Owner.parse(str(owner)) == owner
    assert not owner.is_gone(owner)
    assert Owner(owner.place, owner.pid, owner.started + 1).is_gone(owner)
    assert [Owner.parse(text) for text in ("", "1", "x pid 1", "x pid 1 -2", "x pid 1 2 3")] == [None] * 5
