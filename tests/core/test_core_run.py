"""One command end to end: counts, rejects, dropped, manifest, exit codes and messages."""

import json
import os
import sys
from pathlib import Path

import orjson
import pytest
from processes import run

DEMO = [sys.executable, Path(__file__).with_name("demo.py")]


def rows(*values: object) -> bytes:
    return b"".join(orjson.dumps({"id": f"p{i}", "value": value}) + b"\n" for i, value in enumerate(values))


def values(data: bytes) -> list[int]:
    return [orjson.loads(line)["value"] for line in data.splitlines()]


def test_kept_dropped_and_rejected_lines_go_to_their_files_in_order(tmp_path):
    argv = [*DEMO, "--threshold", "3", "--ceiling", "7", "--dropped", "d", "--rejects", "r", "-o", "o"]
    done = run(argv, rows(9, 5, 1, "x", 3, 8, 2), tmp_path)
    assert done.code == 1
    assert values((tmp_path / "o").read_bytes()) == [5, 3]
    assert values((tmp_path / "d").read_bytes()) == [1, 2]
    rejects = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert [(entry["file"], entry["line"], entry["error"]) for entry in rejects] == [
        ("-", 1, "above 7"), ("-", 4, "Expected `int`, got `str` - at `$.value`"), ("-", 6, "above 7"),
    ]
    assert rejects[1]["raw"] == '{"id":"p3","value":"x"}'
    assert done.err.endswith(" s\n")
    assert "dc-demo: in 7, out 2, dropped 2, rejected 3," in done.err


def test_every_number_of_workers_gives_the_same_bytes_in_every_output(tmp_path):
    data = rows(*[(i * 37) % 101 if i % 9 else "bad" for i in range(300)])
    flags = ["--threshold", "20", "--ceiling", "70", "--max-rejects", "999", "-q"]
    for workers in ("1", "3"):
        names = [f"{name}{workers}" for name in "odr"]
        argv = [*DEMO, *flags, "--workers", workers, "-o", names[0], "--dropped", names[1], "--rejects", names[2]]
        assert run(argv, data, tmp_path).code == 0
    for name in "odr":
        assert (tmp_path / f"{name}1").read_bytes() == (tmp_path / f"{name}3").read_bytes(), name
    assert len((tmp_path / "r1").read_bytes().splitlines()) + len((tmp_path / "d1").read_bytes().splitlines()) > 100


def test_the_first_five_bad_lines_are_shown_and_the_rest_counted():
    done = run(DEMO, rows(*["x"] * 8, 1))
    assert done.code == 1
    assert done.err.count("Expected `int`, got `str` - at `$.value`") == 5
    assert "dc-demo: -:5: Expected" in done.err
    assert "and 3 more bad lines: --rejects FILE keeps them" in done.err


def test_bad_lines_up_to_the_allowed_number_leave_exit_code_0():
    data = rows("x", 1, "x")
    assert [run([*DEMO, "--max-rejects", n], data).code for n in ("1", "2")] == [1, 0]


def test_the_manifest_says_what_was_run_on_what(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(rows(1, 5, "x"))
    run([*DEMO, "in.jsonl", "-o", "o", "--seed", "7", "--threshold", "2", "--max-rejects", "1"], cwd=tmp_path)
    made = json.loads((tmp_path / "o.manifest.json").read_bytes())
    import hashlib

    assert made["inputs"] == [{"path": "in.jsonl", "sha256": hashlib.sha256(rows(1, 5, "x")).hexdigest()}]
    assert made["counts"] == {"in": 3, "out": 1, "dropped": 1, "rejected": 1, "reasons": {"below": 1}}
    assert (made["command"], made["seed"], made["flags"]["threshold"], made["threshold_used"]) == ("dc-demo", 7, 2, 2)
    assert made["packages"]["msgspec"] and made["version"]
    assert made["seconds"] >= 0 and made["started"] > 1.7e9


def test_a_manifest_can_go_elsewhere_and_stdout_has_none_by_itself(tmp_path):
    done = run([*DEMO, "--manifest", "m.json"], rows(1), tmp_path)
    assert values(done.out) == [1]
    assert sorted(os.listdir(tmp_path)) == ["m.json"]


def test_a_failed_gate_is_exit_4_after_the_outputs_are_whole(tmp_path):
    (tmp_path / "in").write_bytes(rows(1, 2))
    argv = [*DEMO, "in", "--need", "3", "-o", "o"]
    done = run(argv, cwd=tmp_path)
    assert (done.code, done.err.splitlines()[-1]) == (4, "dc-demo: kept 2, needed 3")
    assert values((tmp_path / "o").read_bytes()) == [1, 2]
    assert json.loads((tmp_path / "o.manifest.json").read_bytes())["failed_gates"] == ["kept 2, needed 3"]
    again = run([*argv, "--resume"], cwd=tmp_path)
    assert (again.code, "nothing done" in again.err, "kept 2, needed 3" in again.err) == (4, True, True)


def test_limit_counts_input_lines_good_or_bad():
    assert values(run([*DEMO, "--limit", "3", "-q"], rows(5, "x", 6, 7)).out) == [5, 6]


def test_nothing_is_left_where_a_run_fails_before_its_first_line(tmp_path):
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b" + b"nonsense")
    done = run([*DEMO, "broken.gz", "-o", "o"], cwd=tmp_path)
    assert (done.code, os.listdir(tmp_path)) == (3, ["broken.gz"])
    assert done.err.startswith("dc-demo: broken.gz: broken gzip data")


def test_an_output_without_its_folder_is_a_clear_error(tmp_path):
    done = run([*DEMO, "-o", "no/such/o"], rows(1), tmp_path)
    assert (done.code, done.err) == (3, "dc-demo: no/such/o: the folder no/such does not exist\n")


def test_a_folder_without_a_shard_size_is_a_usage_error(tmp_path):
    assert run([*DEMO, "-o", "folder/"], rows(1), tmp_path).code == 2
    assert run([*DEMO, "-o", "file", "--shard-records", "2"], rows(1), tmp_path).code == 2


def test_shards_are_of_the_asked_size_with_the_manifest_inside(tmp_path):
    assert run([*DEMO, "-o", "s/", "--shard-records", "2"], rows(1, 2, 3, 4, 5), tmp_path).code == 0
    names = ["manifest.json", "part-00000.jsonl.zst", "part-00001.jsonl.zst", "part-00002.jsonl.zst"]
    assert sorted(os.listdir(tmp_path / "s")) == names
    assert values(run([*DEMO, "s", "-q"], cwd=tmp_path).out) == [1, 2, 3, 4, 5]


def test_an_input_can_be_its_own_output(tmp_path):
    (tmp_path / "f").write_bytes(rows(1, 2))
    assert run([*DEMO, "f", "-o", "f"], cwd=tmp_path).code == 0
    assert [orjson.loads(line)["double"] for line in (tmp_path / "f").read_bytes().splitlines()] == [2, 4]


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".parquet"])
def test_the_suffix_gives_the_format_of_the_output(suffix, tmp_path):
    assert run([*DEMO, "-o", f"o{suffix}"], rows(1, 2), tmp_path).code == 0
    assert values(run([*DEMO, f"o{suffix}", "-q"], cwd=tmp_path).out) == [1, 2]
    magic = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".parquet": b"PAR1"}[suffix]
    assert (tmp_path / f"o{suffix}").read_bytes().startswith(magic)


def test_flags_win_over_variables_and_the_narrow_variable_over_the_wide():
    data = rows(1, 3, 5)
    assert values(run([*DEMO, "-q"], data, DC_THRESHOLD="2").out) == [3, 5]
    assert values(run([*DEMO, "-q"], data, DC_THRESHOLD="2", DC_DEMO_THRESHOLD="4").out) == [5]
    assert values(run([*DEMO, "-q", "--threshold", "0"], data, DC_THRESHOLD="2").out) == [1, 3, 5]
    assert run(DEMO, data, DC_QUIET="1", DC_LIMIT="1").err == ""
    assert run(DEMO, data, DC_THRESHOLD="many").code == 2


def test_a_traceback_needs_debug(tmp_path):
    (tmp_path / "in").write_bytes(b"\x1f\x8bnot gzip")
    plain, debug = (run([*DEMO, *flags, tmp_path / "in"]) for flags in ([], ["--debug"]))
    assert (plain.code, debug.code) == (3, 3)
    assert "Traceback" not in plain.err and len(plain.err.splitlines()) == 1
    assert "Traceback" in debug.err


def test_writes_to_a_full_device_end_the_run(tmp_path):
    for flags in (["-o", "/dev/full"], ["-o", "o", "--rejects", "/dev/full"], ["-o", "o", "--dropped", "/dev/full"]):
        done = run([*DEMO, "--threshold", "2", *flags], rows(1, "x", 3), tmp_path)
        assert (done.code, "/dev/full: No space left on device" in done.err) == (3, True), flags
        assert "Traceback" not in done.err


def test_a_device_can_take_the_manifest_and_stays_a_device(tmp_path):
    assert run([*DEMO, "-o", "o", "--manifest", "/dev/null"], rows(1), tmp_path).code == 0
    assert Path("/dev/null").is_char_device()
