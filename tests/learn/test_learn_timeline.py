"""The trace of a run: what is recorded, how spans are laid out, and that the file stands after a kill at any byte."""

import json
import pickle
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dc_tools.core.errors import CannotRun
from dc_tools.learn.timeline import Span, Spans, Timeline


def as_chrome_reads(text: str) -> list[dict[str, Any]]:
    """The events of a trace, read as Chrome's importer does: a missing bracket is added, a last comma dropped."""
    text = re.sub(r"\s*,\s*$", "", text.strip())
    found: list[dict[str, Any]] = json.loads(text if text.endswith("]") else text + "]")
    return found


def events(path: Path) -> list[dict[str, Any]]:
    return as_chrome_reads(path.read_text())


def drawn(path: Path) -> list[tuple[str, int, int, int, int]]:
    """Name, start, duration, pid and lane of each span."""
    return [(e["name"], e["ts"], e["dur"], e["pid"], e["tid"]) for e in events(path) if e["ph"] == "X"]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "timeline.json"


def test_a_span_has_the_wall_clock_around_what_it_records_and_is_given_once():
    spans = Spans()
    before_us = time.time_ns() // 1000
    with spans("sample", step=3):
        inside_us = time.time_ns() // 1000
    after_us = time.time_ns() // 1000
    [span] = spans.drain()
    assert (span.name, span.arguments) == ("sample", {"step": 3})
    assert before_us <= span.start_us <= inside_us <= span.end_us <= after_us
    assert spans.drain() == []


def test_what_fails_is_recorded_as_well():
    spans = Spans()
    with pytest.raises(ZeroDivisionError), spans("update"):
        _ = 1 / 0
    assert [span.name for span in spans.drain()] == ["update"]


def test_a_clock_set_back_gives_no_negative_duration(monkeypatch):
    times_ns = iter([5_000_000, 2_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(times_ns))
    spans = Spans()
    with spans("sync"):
        pass
    assert spans.drain() == [Span("sync", 5000, 5000)]


def test_many_threads_lose_no_span():
    spans, drained = Spans(), []

    def work(number: int) -> None:
        for turn in range(200):
            with spans("judge", number=number, turn=turn):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        drained += spans.drain()
    drained += spans.drain()
    found = sorted((span.arguments["number"], span.arguments["turn"]) for span in drained)
    assert found == [(number, turn) for number in range(8) for turn in range(200)]


def test_a_span_goes_between_processes():
    span = Span("sample", 1, 2, {"step": 3})
    assert pickle.loads(pickle.dumps(span)) == span


def test_a_trace_has_each_process_by_name_and_its_spans_in_microseconds(path):
    timeline = Timeline(path)
    timeline.add("trainer 0", [Span("learn", 1_000_000, 1_250_000, {"step": 1})])
    timeline.add("sampler 0", [Span("sample", 400_000, 900_000, {"step": 1, "problems": 4})])
    timeline.add("trainer 0", [Span("learn", 2_000_000, 2_000_007, {"step": 2})])
    assert events(path) == [
        {"name": "process_name", "ph": "M", "pid": 1, "tid": 0, "args": {"name": "trainer 0"}},
        {"name": "learn", "ph": "X", "ts": 1_000_000, "dur": 250_000, "pid": 1, "tid": 0, "args": {"step": 1}},
        {"name": "process_name", "ph": "M", "pid": 2, "tid": 0, "args": {"name": "sampler 0"}},
        {
            "name": "sample", "ph": "X", "ts": 400_000, "dur": 500_000, "pid": 2, "tid": 0,
            "args": {"step": 1, "problems": 4},
        },
        {"name": "learn", "ph": "X", "ts": 2_000_000, "dur": 7, "pid": 1, "tid": 0, "args": {"step": 2}},
    ]


def test_the_file_has_an_event_a_line_and_is_plain_json_with_the_bracket(path):
    timeline = Timeline(path)
    timeline.add("driver", [Span("a\nb", 1, 2), Span("c", 2, 3)])
    text = path.read_text()
    assert not text.endswith("]")
    assert [line[:8] for line in text.splitlines()] == ["[", '{"name":', '{"name":', '{"name":']
    assert json.loads(text + "]") == json.loads(text + "\n]\n") == events(path)
    assert [e["name"] for e in events(path)] == ["process_name", "a\nb", "c"]


def test_overlapping_spans_of_a_process_are_in_lanes_of_their_own(path):
    timeline = Timeline(path)
    timeline.add("judge", [Span("b", 5, 15), Span("a", 0, 10), Span("c", 10, 20), Span("d", 12, 13), Span("e", 15, 16)])
    timeline.add("other", [Span("f", 0, 10)])
    assert drawn(path) == [
        ("a", 0, 10, 1, 0), ("b", 5, 10, 1, 1), ("c", 10, 10, 1, 0), ("d", 12, 1, 1, 2), ("e", 15, 1, 1, 1),
        ("f", 0, 10, 2, 0),
    ]


def test_a_long_span_that_comes_after_those_inside_it_has_another_lane(path):
    timeline = Timeline(path)
    timeline.add("driver", [Span("part", 10, 20), Span("part", 20, 30)])
    timeline.add("driver", [Span("whole", 0, 40), Span("next", 35, 50)])
    assert drawn(path) == [
        ("part", 10, 10, 1, 0), ("part", 20, 10, 1, 0), ("whole", 0, 40, 1, 1), ("next", 35, 15, 1, 0)
    ]


def test_a_run_that_goes_on_keeps_its_processes_and_lanes(path):
    Timeline(path).add("driver", [Span("a", 0, 10), Span("b", 5, 30)])
    timeline = Timeline(path)
    timeline.add("judge", [Span("c", 0, 1)])
    timeline.add("driver", [Span("d", 10, 12), Span("e", 11, 40)])
    assert drawn(path) == [
        ("a", 0, 10, 1, 0), ("b", 5, 25, 1, 1), ("c", 0, 1, 2, 0), ("d", 10, 2, 1, 0), ("e", 11, 29, 1, 2)
    ]
    assert [e["args"]["name"] for e in events(path) if e["ph"] == "M"] == ["driver", "judge"]


def test_cut_drops_what_came_after_a_step_and_keeps_what_has_none(path):
    timeline = Timeline(path)
    timeline.add("driver", [Span("load", 0, 1)])
    timeline.add("driver", [Span("learn", step * 10, step * 10 + 15, {"step": step}) for step in (1, 2, 3)])
    timeline.cut(1)
    timeline.add("driver", [Span("learn", 100, 110, {"step": 2}), Span("learn", 100, 101, {"step": 2})])
    assert drawn(path) == [
        ("load", 0, 1, 1, 0), ("learn", 10, 15, 1, 0), ("learn", 100, 10, 1, 0), ("learn", 100, 1, 1, 1)
    ]
    assert [e["ph"] for e in events(path)].count("M") == 1


def test_cut_of_no_file_makes_none(path):
    Timeline(path).cut(0)
    assert not path.exists()


def test_a_file_that_was_closed_with_its_bracket_is_gone_on_with(path):
    Timeline(path).add("driver", [Span("a", 0, 1)])
    path.write_text(path.read_text() + "\n]\n")
    assert [e["name"] for e in events(path)] == ["process_name", "a"]
    Timeline(path).add("driver", [Span("b", 1, 2)])
    assert drawn(path) == [("a", 0, 1, 1, 0), ("b", 1, 1, 1, 0)]


def test_after_a_kill_at_any_byte_the_whole_lines_are_kept_and_the_run_goes_on(path):
    Timeline(path).add("driver", [Span("a", 0, 10), Span("b", 5, 8)])
    whole = path.read_bytes()
    starts = [whole.index(b'{"name":"process'), whole.index(b'{"name":"a"'), whole.index(b'{"name":"b"')]
    ends = [starts[1] - 2, starts[2] - 2, len(whole)]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        Timeline(path).add("driver", [Span("c", 10, 11)])
        kept = sum(size >= end for end in ends)
        expected = ["process_name", "a", "b"][:kept] or ["process_name"]
        assert [e["name"] for e in events(path)] == [*expected, "c"], size
        assert json.loads(path.read_text() + "]") == events(path)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(CannotRun, match=r"absent/timeline\.json: it cannot be written: No such file"):
        Timeline(tmp_path / "absent" / "timeline.json").add("driver", [Span("a", 0, 1)])
