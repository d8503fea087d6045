"""`--format auto` tells each dataset by its published columns, whatever other column stands beside them."""

import json
import random
from typing import Any

import pytest

from dc_tools.core.records import Line
from dc_tools.curate.formats import Format, chosen, keys_of
from dc_tools.curate.sources import SOURCES

TACO = (
    "question solutions starter_code input_output difficulty raw_tags name source tags skill_types url date "
    "picture_num time_limit memory_limit"
)
CODECONTESTS = (
    "name description public_tests private_tests generated_tests source difficulty solutions incorrect_solutions "
    "cf_contest_id cf_index cf_points cf_rating cf_tags is_description_translated untranslated_description time_limit "
    "memory_limit_bytes input_file output_file"
)
CODEFORCES = (
    "id aliases contest_id contest_name contest_type contest_start contest_start_year index time_limit memory_limit "
    "title description input_format output_format interaction_format note examples editorial rating tags testset_size "
    "official_tests official_tests_complete input_mode generated_checker executable generated_tests"
)
SYNTHETIC1 = "problem_id source task_type in_source_id prompt gold_standard_solution verification_info metadata"
LIVECODEBENCH = (
    "question_title question_content platform question_id contest_id contest_date starter_code difficulty "
    "public_test_cases private_test_cases metadata"
)
LEETCODE = (
    "task_id question_id difficulty tags problem_description starter_code estimated_date prompt completion entry_point "
    "test input_output query response"
)
ROWS: list[tuple[str, str, Any]] = [
    (Format.TACO, TACO, None),
    (Format.TACO, "id question solutions input_output", None),
    (Format.TACO, "question input_output", None),
    (Format.APPS, "problem_id question solutions input_output difficulty url starter_code", None),
    (Format.CODECONTESTS, CODECONTESTS, None),
    (Format.CODEFORCES, CODEFORCES, None),
    (Format.CODEFORCES, CODEFORCES.replace(" official_tests ", " "), None),
    (Format.SYNTHETIC1, SYNTHETIC1, None),
    (Format.SYNTHETIC1, f"{SYNTHETIC1} problem num_tests llm_response", None),
    (Format.DEEPCODER, "problem tests", [{"input": "", "output": ""}]),
    (Format.DEEPCODER, "problem tests", '[{"input": "", "output": ""}]'),
    (Format.DEEPCODER, "problem starter_code tests metadata", "[]"),
    (Format.DEEPCODER, "problem solutions tests", "[]"),
    (Format.DEEPCODER, "problem solutions tests", {"inputs": [], "outputs": [], "fn_name": "f"}),
    (Format.RLLM_LEETCODE, "problem solutions tests", {"functional": "def check(candidate): pass"}),
    (Format.LIVECODEBENCH, LIVECODEBENCH, None),
    (Format.SANDBOXFUSION, "content id labels test __internal_uuid__", None),
    (Format.SANDBOXFUSION, "id content canonical_solution test labels", None),
    (Format.LEETCODE, LEETCODE, None),
    (Format.LEETCODE, "task_id prompt entry_point test completion meta query response input_output", None),
    (Format.HUMANEVAL, "task_id prompt entry_point canonical_solution test", None),
    (Format.HUMANEVAL_PLUS, "task_id prompt entry_point canonical_solution test base_input plus_input atol", None),
    ("kodcode", "style subset question_id question solution test test_info metadata", None),
    ("rstar", "question_id question starter_code inputs outputs func_name class_name", None),
    (Format.MBPP, "task_id text code test_list test_setup_code challenge_test_list", None),
    (Format.PLAIN, "id tests", []),
    (Format.PLAIN, "schema id statement mode entry tests checker limits solutions source difficulty tags meta", []),
]


def line(columns: str, tests: Any, order: random.Random) -> Line:
    names = columns.split()
    order.shuffle(names)
    return Line(json.dumps({name: tests if name == "tests" else None for name in names}).encode())


@pytest.mark.parametrize(("name", "columns", "tests"), [row for row in ROWS if row[0] in set(Format)])
def test_auto_tells_every_dataset_by_its_columns_in_any_order(name: str, columns: str, tests: Any) -> None:
    for seed in range(3):
        keys = keys_of(line(f"{columns} some_other_column", tests, random.Random(seed)).fields)
        assert chosen(Format.AUTO, keys) is Format(name)
        assert [each for each in Format if chosen(each, keys) is Format(name)] == [Format.AUTO, name]


def test_every_format_has_a_reader_and_a_row_above() -> None:
    assert set(SOURCES) == set(Format) - {Format.AUTO}
    assert {name for name, _, _ in ROWS} >= set(SOURCES)
