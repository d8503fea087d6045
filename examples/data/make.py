"""Make train.jsonl and heldout.jsonl, the project's own family of easy problems, beside this file.

    python examples/data/make.py [FOLDER]

Deterministic: the same bytes on every run. Every problem's tests are failed by the program of each other problem that
reads the same kind of input and by the program that prints its input; a constant passes at most four of the six.
train.jsonl is shuffled, but begins with the problems that a small model sometimes solves untaught: reinforcement
learning has nothing to go by where all answers fail.
"""

import json
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from templates import ASKS, HELD_OUT, READS, TRAINED, WORDS, Kind, Template

SEED = 20
TESTS = 6
MOST_EQUAL = 4
ATTEMPTS = 200
EARLY = 0.3
"""The share of the file over which the first problems are strewn."""
LATENESS = {Kind.INT: 0.25, Kind.PAIR: 0.45, Kind.LIST: 0.6, Kind.WORD: 0.6}
"""After which share of the file the other problems of a kind begin."""
Constant = int | str
Values = tuple[int | str, ...]


@dataclass(frozen=True)
class Problem:
    """A template with its constants."""

    template: Template
    constants: tuple[Constant, ...]

    @property
    def id(self) -> str:
        """`easy/`, the template and the constants."""
        return "-".join(["easy/" + self.template.name, *map(str, self.constants)])

    @property
    def statement(self) -> str:
        """The one sentence."""
        says = self.template.named.get(self.constants[0], self.template.says)
        return ASKS[self.template.kind].format(self._filled(says))

    @property
    def code(self) -> str:
        """The program."""
        return f"{READS[self.template.kind]}\nprint({self._filled(self.template.code)})\n"

    def answer(self, values: Values) -> str:
        """The output for one input."""
        return str(self.template.answer(*values, *self.constants))

    def _filled(self, text: str) -> str:
        return text.format(**dict(zip("kj", self.constants, strict=False)))


def problems_of(templates: Iterable[Template], rng: random.Random) -> list[Problem]:
    """`count` problems of each template, those whose constant has a name of its own always among them."""
    found = []
    for template in templates:
        choices = list(product(*template.constants))
        sure = [c for c in choices if c[0] in template.named]
        others = [c for c in choices if c[0] not in template.named]
        chosen = sure + rng.sample(others, template.count - len(sure))
        found += [Problem(template, constants) for constants in chosen]
    return found


def place_of(problem: Problem, rng: random.Random) -> float:
    """Where in the file, by chance, a problem comes."""
    k = problem.constants[0]
    if isinstance(k, int) and k <= problem.template.first:
        return EARLY * rng.random()
    return LATENESS[problem.template.kind] + rng.random()


def draw_inputs(problem: Problem, rng: random.Random) -> list[Values]:
    """`TESTS` distinct inputs: zero and numbers about the constants where there are such, the rest random."""
    low, kind = problem.template.low, problem.template.kind
    if kind is Kind.WORD:
        return [(word,) for word in rng.sample(WORDS, TESTS)]
    sure: list[Values] = []
    if kind is Kind.INT:
        numbers = [k for k in problem.constants if isinstance(k, int)]
        sure = [(0,), *((k + rng.choice((-1, 1)),) for k in numbers), (numbers[0] * rng.randint(1, 3),)]
        sizes = range(1, 2)
    elif kind is Kind.PAIR:
        sure = [(0, rng.randint(1, 50)), (rng.randint(-50, -1), rng.randint(1, 50))]
        sizes = range(2, 3)
    else:
        sizes = range(2, 7)
    found = dict.fromkeys(sure)
    while len(found) < TESTS:
        found[tuple(rng.randint(low, 99) for _ in range(rng.choice(sizes)))] = None
    return sorted(found, key=lambda _: rng.random())


def tell_apart(problem: Problem, inputs: list[Values], family: list[Problem]) -> bool:
    """Whether no other program passes, nor one that prints its input, and no constant passes more than four tests."""
    answers = [problem.answer(values) for values in inputs]
    echoes = [_text(values) for values in inputs]
    others = (p for p in family if p.template.kind is problem.template.kind and p is not problem)
    same = any(all(p.answer(v) == a for v, a in zip(inputs, answers, strict=True)) for p in others)
    return not same and answers != echoes and max(map(answers.count, answers)) <= MOST_EQUAL


def record_of(problem: Problem, family: list[Problem], seed: int) -> dict[str, Any]:
    """The problem as a dc/1 record. Errors: `RuntimeError` where no inputs tell it from the others."""
    rng = random.Random(f"{seed}/{problem.id}")
    for _ in range(ATTEMPTS):
        inputs = draw_inputs(problem, rng)
        if tell_apart(problem, inputs, family):
            break
    else:
        raise RuntimeError(f"{problem.id}: behaves like another problem of the family; change its constants")
    return {
        "schema": "dc/1",
        "id": problem.id,
        "statement": problem.statement,
        "mode": "stdin",
        "tests": [{"input": f"{_text(v)}\n", "output": f"{problem.answer(v)}\n"} for v in inputs],
        "solutions": [{"lang": "python", "code": problem.code}],
        "source": {"dataset": "easy", "split": "test" if problem.template.held_out else "train"},
        "difficulty": "easy",
        "tags": [problem.template.name, problem.template.kind.value],
    }


def make(folder: Path, seed: int = SEED) -> None:
    """Write both files into `folder`."""
    rng = random.Random(seed)
    train, heldout = problems_of(TRAINED, rng), problems_of(HELD_OUT, rng)
    train.sort(key=lambda p: place_of(p, rng))
    rng.shuffle(heldout)
    for name, problems in (("train", train), ("heldout", heldout)):
        records = (record_of(p, train + heldout, seed) for p in problems)
        text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(text)


def _text(values: Values) -> str:
    return " ".join(map(str, values))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
