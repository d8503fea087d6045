"""What devices have used: processor counters from a folder like the kernel's, GPUs where there are some."""

import socket
from pathlib import Path

import pytest

from dc_tools.learn.energy import Reading, readings, spent, visible

HOST = socket.gethostname()
UUIDS = ["GPU-8932f937-d72c", "GPU-1f0a2222-0000", "GPU-1f0b3333-0000"]


def zone(root: Path, folder: str, name: str, used_uj: str, most_uj: str = "262143328850") -> Path:
    made = root / folder
    made.mkdir()
    for file, text in {"name": name, "energy_uj": used_uj, "max_energy_range_uj": most_uj}.items():
        (made / file).write_text(text + "\n")
    return made


def test_the_packages_of_a_machine_are_read_in_joules_and_nothing_below_or_above_them(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", "1500000")
    zone(tmp_path, "intel-rapl:0:0", "core", "900000")
    zone(tmp_path, "intel-rapl:1", "package-1", "250000", "65532610987")
    zone(tmp_path, "intel-rapl:2", "psys", "9000000")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", "7000000")
    assert readings(gpus=[], rapl=tmp_path) == {
        f"{HOST}/package-0": Reading(1.5, 262143.32885),
        f"{HOST}/package-1": Reading(0.25, 65532.610987),
    }


def test_a_counter_that_cannot_be_read_is_left_out(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", "not a number")
    (zone(tmp_path, "intel-rapl:1", "package-1", "1") / "energy_uj").unlink()
    folder = zone(tmp_path, "intel-rapl:2", "package-2", "1") / "max_energy_range_uj"
    folder.unlink()
    folder.mkdir()
    zone(tmp_path, "intel-rapl:3", "package-3", "4000000")
    assert readings(gpus=[], rapl=tmp_path) == {f"{HOST}/package-3": Reading(4.0, 262143.32885)}


def test_a_machine_without_counters_has_no_readings_and_a_use_that_nobody_knows(tmp_path):
    found = readings(gpus=[], rapl=tmp_path / "absent")
    assert (found, spent(found, found)) == ({}, None)


def test_the_use_is_the_sum_over_what_was_read_both_times():
    before = {"a": Reading(10.0, None), "b": Reading(5.0, 100.0), "gone": Reading(1.0, None)}
    after = {"a": Reading(12.5, None), "b": Reading(9.0, 100.0), "new": Reading(1000.0, None)}
    assert spent(before, after) == 6.5
    assert spent(before, {"new": Reading(1.0, None)}) is None
    assert spent(before, before) == 0.0


def test_a_counter_that_wrapped_has_used_what_was_left_and_what_it_shows():
    assert spent({"a": Reading(262000.0, 262143.5)}, {"a": Reading(50.0, 262143.5)}) == 193.5


def test_a_counter_that_fell_and_never_wraps_tells_nothing():
    before = {"gpu": Reading(500.0, None), "cpu": Reading(1.0, 100.0)}
    assert spent(before, {"gpu": Reading(3.0, None)}) is None
    assert spent(before, {"gpu": Reading(3.0, None), "cpu": Reading(3.0, 100.0)}) == 2.0


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("0,-1,2", [0]),
        ("1,7,0", [1]),
        ("GPU-8932f937", [0]),
        ("GPU-1f0b,GPU-8932f937-d72c", [2, 0]),
        ("GPU-1f0", []),
        ("MIG-8932f937-d72c", []),
    ],
)
def test_the_gpus_shown_are_those_that_cuda_would_show(setting, shown):
    assert visible(setting, UUIDS) == shown


def test_without_a_gpu_that_is_shown_there_is_no_reading_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert readings(rapl=tmp_path) == {}


@pytest.mark.gpu
def test_a_gpu_at_work_uses_energy_and_its_counter_is_under_its_uuid(tmp_path):
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    before = readings(gpus=[0], rapl=tmp_path)
    assert list(before) == [f"GPU-{torch.cuda.get_device_properties(0).uuid}"]
    left = torch.rand(4096, 4096, device="cuda")
    ends = torch.cuda.Event(enable_timing=True)
    for _ in range(400):
        left = torch.nn.functional.normalize(left @ left)
    ends.record()
    ends.synchronize()
    used = spent(before, readings(gpus=[0], rapl=tmp_path))
    assert used is not None
    assert 1.0 < used < 100_000.0
