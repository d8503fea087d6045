"""Problems of LiveCodeBench whose tests are known to be unfair, by question id or title; from its list of errata."""

from dc_tools.core.records import Problem

SEVERAL, DIALOGUE, WRONG = "several answers are right", "interactive", "wrong tests"
ERRATA = {
    **dict.fromkeys((
        "abc311_c", "abc326_d", "abc327_b", "abc333_e", "abc343_e", "abc362_c", "find-words-containing-character",
        "find-the-peaks", "generate-binary-strings-without-adjacent-zeros",
    ), SEVERAL),
    **dict.fromkeys(("abc337_e", "abc355_e"), DIALOGUE),
    "abc350_c": WRONG,
}


def erratum(problem: Problem) -> str | None:
    """What is wrong with a problem; None where nothing is known to be."""
    return ERRATA.get(problem.source.native_id) or ERRATA.get(str(problem.meta.get("title", "")))
