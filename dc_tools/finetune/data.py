"""What is learned from: verified answers, as token ids of which only the answer's count in the loss.

An answer is right because a verdict says so. Problems of an evaluation set are left out, and an answer too long to be
learned whole is left out whole.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, TypeVar

from dc_tools.core.errors import BadLine, CannotRun
from dc_tools.core.lines import expand_inputs, read_lines
from dc_tools.core.records import Finish, Problem, Solution, Status, Struct
from dc_tools.rollout.engine import Prompt
from dc_tools.rollout.prompts import PromptStyle

PYTHON = frozenset({"python", "python3", "py"})
T = TypeVar("T")


class From(StrEnum):
    """Where answers are taken from; `auto` takes rollouts where a problem has right ones, else solutions."""

    SOLUTIONS = "solutions"
    ROLLOUTS = "rollouts"
    AUTO = "auto"


class Reason(StrEnum):
    """Why a problem teaches nothing."""

    EVALUATION = "in-evaluation-set"
    EMPTY = "no-answer"
    UNJUDGED = "no-verdict"
    WRONG = "not-accepted"
    CUT = "cut-off"
    TOO_LONG = "too-long"


@dataclass(frozen=True)
class Selection:
    """Which answers are learned from, and as what prompts."""

    source: From
    style: PromptStyle
    unverified: bool
    """Whether to take what has no verdict."""
    per_problem: int
    """The most answers of one problem."""
    max_length: int
    """The most tokens of prompt and answer."""
    against: list[str]
    """Files of evaluation problems."""
    eval: list[str]
    """Files of problems that the loss is measured on, and that are evaluation problems too."""


@dataclass(frozen=True)
class Answer:
    """A right answer to a problem: its prompt, and its whole text, the prompt's prefix included."""

    prompt: Prompt
    text: str


@dataclass(frozen=True)
class Example:
    """Token ids of prompt and answer; those from `start` on, the end token included, count in the loss."""

    id: str
    ids: list[int]
    start: int

    @property
    def loss_tokens(self) -> int:
        """How many tokens count."""
        return len(self.ids) - self.start


class Known(Struct):
    """What of an evaluation problem is compared."""

    id: str
    statement: str = ""


class EvaluationSet:
    """The problems that must not be trained on, by id and by statement without case, space and punctuation."""

    def __init__(self, files: list[str]) -> None:
        self.ids: set[str] = set()
        self.statements: set[str] = set()
        for known in read_all(files, Known):
            self.ids.add(known.id)
            self.statements.add(normalised(known.statement))
        self.statements.discard("")

    def has(self, problem: Problem) -> bool:
        """Whether `problem` is one of them."""
        return problem.id in self.ids or normalised(problem.statement) in self.statements


def read_all(files: list[str], type_: type[T]) -> Iterator[T]:
    """Every line of files that must be whole. Errors: `CannotRun` for a bad line, with its place."""
    for line in read_lines(expand_inputs(files)) if files else ():
        try:
            yield line.decode(type_)
        except BadLine as error:
            raise CannotRun(f"{line.file}:{line.number}: {error.error}") from None


def normalised(statement: str) -> str:
    """The words and operators of a statement, lower case, one space apart; punctuation does not count."""
    return " ".join(re.findall(r"\w+|[-+*/%<>=^&|]", statement.casefold()))


def answers_to(problem: Problem, prompt: Prompt, selection: Selection) -> list[Answer] | Reason:
    """The first different right answers, or why there are none."""
    source = selection.source
    kinds = [From.ROLLOUTS, From.SOLUTIONS] if source is From.AUTO else [source]
    texts: list[str] = []
    for unverified in (False, True) if selection.unverified else (False,):
        for kind in kinds:
            found = _texts(problem, prompt, kind, unverified)
            if found:
                kinds, texts = [kind], found  # what is known to be right decides which kind it is
                break
    if texts:
        return [Answer(prompt, text) for text in list(dict.fromkeys(texts))[: selection.per_problem]]
    return _why_none(problem, source)


def _texts(problem: Problem, prompt: Prompt, kind: From, unverified: bool) -> list[str]:
    if kind is From.ROLLOUTS:
        return [_rollout_text(text, code, prompt) for text, code in _right_rollouts(problem, unverified)]
    return [fenced(solution.code) for solution in _right_solutions(problem, unverified)]


def fenced(code: str) -> str:
    """Python code as a model's answer."""
    return f"```python\n{code.strip(chr(10))}\n```"


def _rollout_text(text: str, code: str | None, prompt: Prompt) -> str:
    """All that was said, reasoning too; after a prefix only its code, since what follows the stop was never read."""
    return fenced(code) if prompt.prefix and code is not None else text.strip()


def _right_rollouts(problem: Problem, unverified: bool) -> Iterator[tuple[str, str | None]]:
    for rollout in problem.rollouts:
        right = rollout.verdict.status is Status.AC if rollout.verdict else unverified and rollout.code is not None
        if right and rollout.finish is Finish.STOP:
            yield rollout.text, rollout.code


def _right_solutions(problem: Problem, unverified: bool) -> Iterator[Solution]:
    verified = _reference_index(problem)
    for place, solution in enumerate(problem.solutions):
        right = solution.verdict.status is Status.AC if solution.verdict else unverified or place == verified
        if right and _is_python(solution):
            yield solution


def _is_python(solution: Solution) -> bool:
    return solution.lang.lower() in PYTHON


def _reference_index(problem: Problem) -> int | None:
    """The place of the solution that dc-curate saw pass every test, where it says so."""
    reference = (problem.curation or {}).get("reference")
    if not isinstance(reference, dict) or reference.get("status") != Status.AC:
        return None
    place = reference.get("solution")
    return place if isinstance(place, int) else None


def _why_none(problem: Problem, source: From) -> Reason:
    rollouts = problem.rollouts if source is not From.SOLUTIONS else []
    solutions = [s for s in problem.solutions if _is_python(s)] if source is not From.ROLLOUTS else []
    verdicts = [r.verdict for r in rollouts] + [s.verdict for s in solutions]
    if not verdicts:
        return Reason.EMPTY
    if any(verdict and verdict.status is Status.AC for verdict in verdicts):
        return Reason.CUT
    return Reason.UNJUDGED if None in verdicts else Reason.WRONG


def encode_answer(answer: Answer, encode_prompt: Callable[[Prompt], list[int]], tokenizer: Any) -> Example:
    """The tokens that a sampler would have met: chat and prefix read as one text, the rest of the answer as another.

    The first token that the prefix changes is the first to count in the loss.
    """
    prompt = answer.prompt
    read = encode_prompt(prompt)
    bare = encode_prompt(replace(prompt, prefix=""))
    start = next((i for i, (a, b) in enumerate(zip(read, bare, strict=False)) if a != b), min(len(read), len(bare)))
    rest = tokenizer(answer.text.removeprefix(prompt.prefix), add_special_tokens=False)["input_ids"]
    return Example(prompt.id, [*read, *rest, tokenizer.eos_token_id], start)


def mask_view(example: Example, tokenizer: Any) -> str:
    """Three lines for people: the size of an example, the text that is only read, the text that is learned."""
    read, learned = example.ids[: example.start], example.ids[example.start :]
    head = f"{example.id}: {len(example.ids)} tokens, {example.loss_tokens} in the loss"
    return f"{head}\n  read    {tokenizer.decode(read)!r}\n  learned {tokenizer.decode(learned)!r}"


def digest_of(examples: Sequence[Example]) -> str:
    """A name for these examples in this order, by content."""
    digest = blake2b(digest_size=16)
    for example in examples:
        digest.update(f"{example.start}:{example.ids}\n".encode())
    return digest.hexdigest()
