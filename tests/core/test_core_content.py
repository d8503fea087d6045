"""Files and folders that shape an output without being its input: their content is part of what run it is."""

import hashlib
import json

from processes import BIN, run

from dc_tools.core.lines import content_id


def test_a_files_content_is_its_sha256(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert content_id(path) == hashlib.sha256(b"abc").hexdigest()
    assert content_id(tmp_path / "absent") == ""


def test_a_folders_content_changes_with_any_file_of_it(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_text("1")
    seen = {content_id(tmp_path)}
    (tmp_path / "deep" / "a").write_text("2")
    seen.add(content_id(tmp_path))
    (tmp_path / "deep" / "a").rename(tmp_path / "a")
    seen.add(content_id(tmp_path))
    assert len(seen) == 3


def test_a_changed_evaluation_set_is_another_run(tmp_path):
    problem = {"id": "p", "statement": "Print the sum of two numbers.", "tests": [{"input": "1 2", "output": "3"}]}
    (tmp_path / "in").write_text(json.dumps(problem) + "\n")
    (tmp_path / "eval").write_text(json.dumps({**problem, "id": "e", "statement": "Something else entirely."}) + "\n")
    argv = [BIN / "dc-dedup", "in", "--against", "eval", "-o", "out", "--resume"]
    assert run(argv, b"", tmp_path).code == 0
    assert "nothing done" in run(argv, b"", tmp_path).err
    (tmp_path / "eval").write_text(json.dumps({**problem, "id": "e"}) + "\n")
    again = run(argv, b"", tmp_path)
    assert (again.code, "the inputs have changed" in again.err) == (3, True)
