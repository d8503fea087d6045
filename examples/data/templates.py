"""The family of easy problems: its templates, each a sentence with constants, a program and an answer of its own.

`answer` is written apart from `code`, so that a solution which passes its tests has been checked by a second hand.
Held-out templates are never trained on, in any constants.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What the program reads."""

    INT = "int"
    PAIR = "pair"
    LIST = "list"
    WORD = "word"


ASKS = {
    Kind.INT: "Read an integer n and print {}.",
    Kind.PAIR: "Read two integers a and b from one line and print {}.",
    Kind.LIST: "Read integers from one line and print {}.",
    Kind.WORD: "Read a word s and print {}.",
}
READS = {
    Kind.INT: "n = int(input())",
    Kind.PAIR: "a, b = map(int, input().split())",
    Kind.LIST: "v = list(map(int, input().split()))",
    Kind.WORD: "s = input()",
}


@dataclass(frozen=True)
class Template:
    """`says` and `code` take the constants {k} and {j}; `answer` takes the input's values, then the constants."""

    name: str
    kind: Kind
    says: str
    code: str
    answer: Callable[..., object]
    constants: tuple[Iterable[int | str], ...]
    """The values of k, and of j where there is one."""
    count: int
    """How many problems are made of it."""
    held_out: bool = False
    first: int = -1
    """The largest k with which a small model solves some of it untaught, and so can begin to learn from it."""
    low: int = -60
    """The smallest integer it is asked about."""
    named: dict[int | str, str] = field(default_factory=dict)
    """What it says instead for a k that has a name of its own."""


SMALL, MIDDLE = range(2, 10), range(2, 31)
LETTERS, OTHERS = "aeiorstn", "bgkuyz"
ENDINGS = ("ing", "ed", "er", "ly", "ful", "less", "ness", "able", "ish", "man", "ward", "let")
BEGINNINGS = ("re", "un", "over", "out", "in", "pre", "sub", "anti", "co", "mis")

TRAINED = (
    Template("add", Kind.INT, "n plus {k}", "n + {k}", lambda n, k: k + n, (range(2, 25),), 22, first=14),
    Template("subtract", Kind.INT, "n minus {k}", "n - {k}", lambda n, k: -k + n, (range(1, 25),), 22, first=14),
    Template(
        "multiply", Kind.INT, "n times {k}", "n * {k}", lambda n, k: sum(k * [n]), (range(2, 22),), 18,
        first=12, named={2: "twice n"},
    ),
    Template("from", Kind.INT, "{k} minus n", "{k} - n", lambda n, k: -(n - k), (range(25),), 16,
             first=0, named={0: "the negative of n"}),
    Template(
        "quotient", Kind.INT, "the whole part of n divided by {k}", "n // {k}", lambda n, k: (n - n % k) // k,
        (range(2, 20),), 14, low=0,
    ),
    Template(
        "power", Kind.INT, "n to the power of {k}", "n ** {k}", lambda n, k: pow(n, k), (range(2, 8),), 6,
        first=3, named={2: "the square of n", 3: "n cubed"},
    ),
    Template("square-plus", Kind.INT, "n squared plus {k}", "n * n + {k}", lambda n, k: n**2 + k, (MIDDLE,), 18),
    Template(
        "linear", Kind.INT, "n times {k} plus {j}", "n * {k} + {j}", lambda n, k, j: j + k * n, (SMALL, MIDDLE), 24
    ),
    Template(
        "larger", Kind.INT, "the larger of n and {k}", "max(n, {k})", lambda n, k: n if n > k else k, (MIDDLE,), 18
    ),
    Template(
        "distance", Kind.INT, "the absolute value of n minus {k}", "abs(n - {k})",
        lambda n, k: n - k if n > k else k - n, (range(25),), 18, first=0, named={0: "the absolute value of n"},
    ),
    Template(
        "square-times", Kind.INT, "{k} times the square of n", "{k} * n * n", lambda n, k: k * n**2,
        (range(2, 20),), 14,
    ),
    Template(
        "divisible", Kind.INT, "yes if n is divisible by {k}, else no", "'yes' if n % {k} == 0 else 'no'",
        lambda n, k: "no" if n % k else "yes", (range(2, 20),), 12,
    ),
    Template("sum", Kind.PAIR, "a plus b plus {k}", "a + b + {k}", lambda a, b, k: sum((k, a, b)), (range(30),), 12,
             named={0: "the sum of a and b"}),
    Template("product", Kind.PAIR, "a times b plus {k}", "a * b + {k}", lambda a, b, k: k + b * a, (range(30),), 12,
             named={0: "the product of a and b"}),
    Template("gap", Kind.PAIR, "a minus b plus {k}", "a - b + {k}", lambda a, b, k: a + k - b, (range(30),), 12,
             named={0: "a minus b"}),
    Template(
        "larger-times", Kind.PAIR, "{k} times the larger of a and b", "{k} * max(a, b)",
        lambda a, b, k: k * (a if a > b else b), (range(1, 12),), 8, named={1: "the larger of a and b"},
    ),
    Template(
        "plus-times", Kind.PAIR, "a plus {k} times b", "a + {k} * b", lambda a, b, k: a + sum(k * [b]),
        (range(2, 20),), 10,
    ),
    Template("total", Kind.LIST, "their sum plus {k}", "sum(v) + {k}", lambda *v: sum(v), (range(30),), 10,
             named={0: "their sum"}),
    Template(
        "count-above", Kind.LIST, "how many of them are greater than {k}", "sum(x > {k} for x in v)",
        lambda *v: len([x for x in v[:-1] if x > v[-1]]), (range(30),), 8,
    ),
    Template("largest-plus", Kind.LIST, "the largest of them plus {k}", "max(v) + {k}",
             lambda *v: sorted(v[:-1])[-1] + v[-1], (range(30),), 8, named={0: "the largest of them"}),
    Template("repeat", Kind.WORD, "s repeated {k} times", "s * {k}", lambda s, k: "".join(k * [s]), (range(2, 10),), 7,
             named={2: "s twice in a row"}),
    Template("append", Kind.WORD, "s followed by {k}", "s + '{k}'", lambda s, k: "".join((s, k)), (ENDINGS,), 9),
    Template(
        "count-letter", Kind.WORD, "how many times the letter {k} is in s", "s.count('{k}')",
        lambda s, k: len([c for c in s if c == k]), (LETTERS,), 7,
    ),
    Template("first", Kind.WORD, "the first {k} letters of s", "s[:{k}]",
             lambda s, k: "".join(c for i, c in enumerate(s) if i < k), (range(2, 6),), 4),
)

HELD_OUT = (
    Template(
        "remainder", Kind.INT, "the remainder of n divided by {k}", "n % {k}", lambda n, k: n - k * (n // k),
        (range(2, 22),), 13, held_out=True, low=0,
    ),
    Template("smaller", Kind.INT, "the smaller of n and {k}", "min(n, {k})", lambda n, k: n if n < k else k, (MIDDLE,),
             13, held_out=True),
    Template("cube-plus", Kind.INT, "n cubed plus {k}", "n ** 3 + {k}", lambda n, k: n * n * n + k, (MIDDLE,), 13,
             held_out=True),
    Template("sum-times", Kind.INT, "{k} times the sum of n and {j}", "{k} * (n + {j})", lambda n, k, j: k * n + k * j,
             (SMALL, range(41, 60)), 13, held_out=True),
    Template("linear-minus", Kind.INT, "n times {k} minus {j}", "n * {k} - {j}", lambda n, k, j: k * n - j,
             (SMALL, MIDDLE), 13, held_out=True),
    Template("product-minus", Kind.PAIR, "a times b minus {k}", "a * b - {k}", lambda a, b, k: b * a - k,
             (range(1, 30),), 8, held_out=True),
    Template("smaller-times", Kind.PAIR, "{k} times the smaller of a and b", "{k} * min(a, b)",
             lambda a, b, k: k * (a if a < b else b), (range(1, 12),), 7, held_out=True,
             named={1: "the smaller of a and b"}),
    Template("smallest-plus", Kind.LIST, "the smallest of them plus {k}", "min(v) + {k}",
             lambda *v: sorted(v[:-1])[0] + v[-1], (range(30),), 6, held_out=True,
             named={0: "the smallest of them"}),
    Template("prepend", Kind.WORD, "{k} followed by s", "'{k}' + s", lambda s, k: "".join((k, s)), (BEGINNINGS,), 6,
             held_out=True),
)

WORDS = [
    "apple", "river", "stone", "winter", "orange", "garden", "market", "summer", "planet", "forest", "tiger",
    "bottle", "guitar", "window", "mirror", "rocket", "banana", "coffee", "dragon", "engine", "flower", "hammer",
    "island", "jacket", "kitten", "ladder", "magnet", "needle", "oyster", "pencil", "rabbit", "saddle", "tunnel",
    "violin", "wagon", "yellow", "zebra", "anchor", "basket", "castle", "desert", "eagle", "feather", "goose",
    "harbor", "insect", "jungle", "kettle", "lemon", "meadow", "nation", "onion", "pepper", "quartz", "ribbon",
    "silver", "tomato", "umbrella", "village", "whistle", "assassin", "tattoo", "reassess", "nonsense", "erase",
    "terror", "attest", "sorrier", "noon", "area", "iota", "oasis",
]
