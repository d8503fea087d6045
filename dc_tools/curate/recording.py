"""Learning a row's tests by running its test code in the sandbox, with a recorder in the candidate's place."""

import json
from collections import Counter
from importlib.resources import files
from typing import Any

from dc_tools.core.records import Entry, Limits, Mode, Status
from dc_tools.curate.asserts import Checks, make_test
from dc_tools.curate.draft import Draft, Script, with_tests
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.curate.syntax import holds_float
from dc_tools.sandbox.judge import Execution, Program

NO_ARGUMENTS = "[]"
RECORDING_TIME = 5.0
"""Times a test's CPU limit that all calls of the test code together may take."""
CALL = "\n\ndef record_calls():\n    return record({program!r}, {target!r}, {code!r}, {names!r})\n"


def recorder_program(script: Script, limits: Limits) -> Program:
    """The program whose function `record_calls` returns what the test code asked and what the reference said."""
    recorder = files("dc_tools.curate").joinpath("recorder.py").read_text()
    call = CALL.format(
        program=script.program, target=script.target, code=script.code, names=sorted(script.names)
    )
    room = Limits(limits.time_s * RECORDING_TIME, limits.memory_mb)
    return Program(recorder + call, Mode.FUNCTION, Entry("record_calls"), room)


def learned(draft: Draft, execution: Execution) -> Draft | Refusal:
    """The draft with the tests that the run has shown."""
    assert draft.checks is not None
    if execution.status != "OK":
        reason = Reason.TIMEOUT if execution.status == Status.TLE else Reason.SOLUTION_FAILS
        said = execution.message.partition(":")[0] if reason is Reason.TIMEOUT else execution.message
        return Refusal(reason, f"the row's own test code: {execution.status}: {said}")
    recorded = json.loads(execution.output)
    if recorded["failed"]:
        return Refusal(Reason.SOLUTION_FAILS, f"the row's own test code: {recorded['failed']}")
    left_out = Counter(why for _, _, why in recorded["calls"] if why)
    pairs = [(json.loads(given), json.loads(value)) for given, value, why in recorded["calls"] if not why]
    refusal = _loose(draft.checks, [value for _, value in pairs])
    if refusal:
        return refusal
    return with_tests(draft, [make_test(given, value) for given, value in pairs], left_out)


def _loose(checks: Checks, values: list[Any]) -> Refusal | None:
    """A refusal where an assert asks less than the recorded value says."""
    if checks.truth and any(type(value) is not bool for value in values):
        return Refusal(Reason.NEEDS_CHECKER, "an assert of truth alone, about values that are not all true or false")
    if checks.tolerance is not None and not all(map(holds_float, values)):
        return Refusal(Reason.NEEDS_CHECKER, "an assert with a tolerance, about values that are not all floats")
    return None
