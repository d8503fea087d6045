"""What dc-finetune learns from: right answers only, and of them only their own tokens."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from dc_tools.core.errors import CannotRun
from dc_tools.core.records import Entry, Finish, Mode, Problem, Rollout, Solution, Status, Verdict
from dc_tools.finetune.data import (
    Answer,
    EvaluationSet,
    From,
    Reason,
    Selection,
    answers_to,
    encode_answer,
    mask_view,
    normalised,
)
from dc_tools.rollout.engine import Prompt
from dc_tools.rollout.prompts import PromptStyle, render

AC, WA = Verdict(status=Status.AC, passed=1, total=1), Verdict(status=Status.WA, passed=0, total=1)
PROMPT = Prompt("p", ({"role": "user", "content": "Read an integer n and print twice n."},), "```python\n", ("```",))
CHAT = Prompt("p", PROMPT.messages)
LIMITS = {"max_length": 99, "against": [], "eval": []}
CODE = "n = int(input())\nprint(2 * n)\n"


def problem(**fields: Any) -> Problem:
    return Problem(id="p", tests=[], statement="Twice n.", **fields)


def texts(given: Problem, source: From = From.AUTO, prompt: Prompt = PROMPT, **options: Any) -> list[str] | Reason:
    chosen = Selection(source, PromptStyle.FENCED, **{"unverified": False, "per_problem": 9, **LIMITS, **options})
    found = answers_to(given, prompt, chosen)
    return found if isinstance(found, Reason) else [answer.text for answer in found]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


def encoder(tokenizer: Any) -> Any:
    def encode(prompt: Prompt) -> list[int]:
        text = tokenizer.apply_chat_template(list(prompt.messages), add_generation_prompt=True, tokenize=False)
        return list(tokenizer(text + prompt.prefix, add_special_tokens=False)["input_ids"])

    return encode


def test_the_loss_begins_with_the_fence_and_ends_with_the_end_token(tokenizer: Any) -> None:
    example = encode_answer(Answer(PROMPT, f"```python\n{CODE}```"), encoder(tokenizer), tokenizer)
    assert tokenizer.decode(example.ids[: example.start]) == (
        "<|im_start|>user\nRead an integer n and print twice n.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(example.ids[example.start :]) == f"```python\n{CODE}```<|im_end|>"
    assert example.ids[-1] == tokenizer.eos_token_id


def test_a_chat_answer_without_prefix_is_masked_the_same_way(tokenizer: Any) -> None:
    text = f"I double it.\n\n```python\n{CODE}```"
    example = encode_answer(Answer(CHAT, text), encoder(tokenizer), tokenizer)
    assert tokenizer.decode(example.ids[example.start :]) == f"{text}<|im_end|>"
    assert example.ids[: example.start] == encoder(tokenizer)(CHAT)


def test_the_tokens_are_those_that_a_sampler_meets(tokenizer: Any) -> None:
    example = encode_answer(Answer(PROMPT, f"```python\n{CODE}```"), encoder(tokenizer), tokenizer)
    read = encoder(tokenizer)(PROMPT)
    sampled = tokenizer(f"{CODE}```", add_special_tokens=False)["input_ids"]
    assert example.ids == [*read, *sampled, tokenizer.eos_token_id]


def test_the_view_shows_what_is_read_and_what_is_learned(tokenizer: Any) -> None:
    example = encode_answer(Answer(PROMPT, "```python\n1\n```"), encoder(tokenizer), tokenizer)
    head, read, learned = mask_view(example, tokenizer).splitlines()
    assert head == f"p: {len(example.ids)} tokens, {len(example.ids) - example.start} in the loss"
    assert read.endswith(r"twice n.<|im_end|>\n<|im_start|>assistant\n'")
    assert learned == r"  learned '```python\n1\n```<|im_end|>'"


def test_only_solutions_judged_right_are_learned() -> None:
    given = problem(solutions=[Solution(code="a", verdict=WA), Solution(code="b", verdict=AC), Solution(code="c")])
    assert texts(given) == ["```python\nb\n```"]
    assert texts(given, unverified=True) == ["```python\nb\n```", "```python\nc\n```"]


def test_a_reference_that_curation_saw_pass_is_learned() -> None:
    solutions = [Solution(code="x", lang="cpp"), Solution(code="a"), Solution(code="b")]
    right = problem(solutions=solutions, curation={"reference": {"status": "AC", "solution": 1}})
    wrong = problem(solutions=solutions, curation={"reason": "coverage-low"})
    assert texts(right) == ["```python\na\n```"]
    assert texts(wrong) is Reason.UNJUDGED


def test_auto_prefers_right_rollouts_and_falls_back_on_solutions() -> None:
    solution = Solution(code="s", verdict=AC)
    right = Rollout(text="```python\nr\n```", code="r", verdict=AC)
    wrong = Rollout(text="```python\nw\n```", code="w", verdict=WA)
    assert texts(problem(solutions=[solution], rollouts=[wrong, right])) == ["```python\nr\n```"]
    assert texts(problem(solutions=[solution], rollouts=[wrong])) == ["```python\ns\n```"]
    assert texts(problem(solutions=[solution], rollouts=[wrong]), From.ROLLOUTS) is Reason.WRONG


def test_a_rollout_keeps_its_reasoning_in_a_chat_and_only_its_code_after_a_prefix() -> None:
    said = Rollout(text="<think>Hm.</think>\n```python\nr\n```\nDone.", code="r\n", verdict=AC)
    assert texts(problem(rollouts=[said]), prompt=CHAT) == [said.text]
    assert texts(problem(rollouts=[said]), prompt=PROMPT) == ["```python\nr\n```"]


def test_a_rollout_that_was_cut_off_is_not_learned_even_if_it_passes() -> None:
    cut = Rollout(text="```python\nr", code="r", finish=Finish.LENGTH, verdict=AC)
    assert texts(problem(rollouts=[cut])) is Reason.CUT


def test_equal_answers_count_once_and_no_more_than_asked_for() -> None:
    rollouts = [Rollout(text=t, code=t, verdict=AC) for t in ("a", "b", "a", "c")]
    assert texts(problem(rollouts=rollouts), prompt=CHAT, per_problem=2) == ["a", "b"]


def test_each_reason_is_told_apart() -> None:
    assert texts(problem()) is Reason.EMPTY
    assert texts(problem(solutions=[Solution(code="a")])) is Reason.UNJUDGED
    assert texts(problem(solutions=[Solution(code="a", verdict=WA)])) is Reason.WRONG
    assert texts(problem(solutions=[Solution(code="a", lang="cpp", verdict=AC)])) is Reason.EMPTY


def test_evaluation_problems_are_known_by_id_or_by_their_words(tmp_path: Path) -> None:
    file = tmp_path / "eval.jsonl"
    file.write_text('{"id":"e1","statement":"Print  TWICE n!","tests":[]}\n{"id":"e2","tests":[]}\n')
    known = EvaluationSet([str(file)])
    assert known.has(Problem(id="e1", tests=[]))
    assert known.has(Problem(id="other", tests=[], statement="print twice N."))
    assert not known.has(Problem(id="other", tests=[], statement="print thrice n"))
    assert not known.has(Problem(id="other", tests=[], statement=""))


def test_a_bad_line_among_evaluation_problems_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "eval.jsonl"
    file.write_text('{"id":"e1"}\n{"id":2}\n')
    with pytest.raises(CannotRun, match=r"eval\.jsonl:2: Expected `str`, got `int` - at `\$\.id`"):
        EvaluationSet([str(file)])


def test_normalised_keeps_the_words_of_any_script() -> None:
    assert normalised("  Größe,\n x_1 = 2!") == "grösse x_1 = 2"


def test_a_function_answer_is_the_whole_solution() -> None:
    given = problem(
        mode=Mode.FUNCTION, entry=Entry(fn_name="f"), solutions=[Solution(code="def f():\n    return 1\n", verdict=AC)]
    )
    assert texts(given, From.SOLUTIONS, render(given, PromptStyle.CHAT)) == ["```python\ndef f():\n    return 1\n```"]
