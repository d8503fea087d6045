"""Curves of a training run, as its folder holds them."""

from pathlib import Path

import pytest

from dc_tools.core.errors import CannotRun
from dc_tools.eval.curves import read_curves


def folder(tmp_path: Path, name: str, text: str) -> str:
    (tmp_path / name).mkdir()
    (tmp_path / name / "metrics.jsonl").write_text(text)
    return str(tmp_path / name)


def test_all_numeric_keys_become_metrics_and_the_known_ones_come_first(tmp_path: Path) -> None:
    run = folder(tmp_path, "rl", '{"step":1,"zeta":2,"reward":0.5,"stage":"8K","lr":null}\n{"step":2,"reward":0.75}\n')
    assert read_curves([run]) == {
        "runs": ["rl"],
        "metrics": [
            {"name": "reward", "series": [[[1, 0.5], [2, 0.75]]]},
            {"name": "zeta", "series": [[[1, 2.0]]]},
        ],
    }


def test_two_runs_share_a_metric_and_one_may_lack_it(tmp_path: Path) -> None:
    runs = [folder(tmp_path, "a", '{"step":1,"reward":1}\n'), folder(tmp_path, "b", '{"step":5,"loss":3}\n')]
    found = read_curves(runs)
    assert found["runs"] == ["a", "b"]
    assert {m["name"]: m["series"] for m in found["metrics"]} == {"reward": [[[1, 1.0]], []], "loss": [[], [[5, 3.0]]]}


def test_a_step_that_was_run_again_counts_as_it_was_last(tmp_path: Path) -> None:
    run = folder(tmp_path, "a", '{"step":1,"reward":1}\n{"step":2,"reward":2}\n{"step":2,"reward":3}\n')
    assert read_curves([run])["metrics"][0]["series"] == [[[1, 1.0], [2, 3.0]]]


def test_a_line_still_being_written_is_left_out_but_a_broken_one_is_not(tmp_path: Path) -> None:
    growing = folder(tmp_path, "a", '{"step":1,"reward":1}\n{"step":2,"rew')
    assert read_curves([growing])["metrics"][0]["series"] == [[[1, 1.0]]]
    with pytest.raises(CannotRun, match=r"metrics\.jsonl:1: not JSON"):
        read_curves([folder(tmp_path, "b", 'x\n{"step":2,"reward":1}\n')])
    with pytest.raises(CannotRun, match=r"metrics\.jsonl:1: a metrics line needs a numeric `step`"):
        read_curves([folder(tmp_path, "c", '{"reward":1}\n')])


def test_a_folder_without_metrics_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"--run .*metrics\.jsonl: No such file"):
        read_curves([str(tmp_path)])
