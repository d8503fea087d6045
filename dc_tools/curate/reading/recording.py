"""Learning a row's tests by running its test code in the sandbox, with a recorder in the candidate's place."""

import json
from collections import Counter
from importlib.resources import files
from typing import Any

import msgspec

from dc_tools.core.records import Entry, Limits, Mode, Status
from dc_tools.curate.draft import Draft, Script, with_tests
from dc_tools.curate.reading.asserts import as_float, make_test
from dc_tools.curate.reading.syntax import NotJson, json_value
from dc_tools.curate.reasons import Reason, Refusal
from dc_tools.sandbox.execution import OK
from dc_tools.sandbox.judge import Execution, Program

NO_ARGUMENTS = "[]"
RECORDING_TIME = 5.0
"""Times a test's CPU limit that all calls of the test code together may take."""
CALL = "\n\ndef record_calls():\n    return record({program!r}, {target!r}, {code!r}, {names!r})\n"


class Recording(msgspec.Struct):
    """What the recorder returns."""

    calls: list[tuple[str, str, str]]
    """Arguments and value as JSON texts and an empty string; or twice an empty string, and what was in the way."""
    failed: str
    """How the test code ended where it did not end well."""


def recorder_program(script: Script, limits: Limits) -> Program:
    """The program whose function `record_calls` returns what the test code asked and what the reference said."""
    recorder = files("dc_tools.curate.reading").joinpath("recorder.py").read_text()
    call = CALL.format(
        program=script.program, target=script.target, code=script.code, names=sorted(script.names)
    )
    room = Limits(limits.time_s * RECORDING_TIME, limits.memory_mb)
    return Program(recorder + call, Mode.FUNCTION, Entry("record_calls"), room)


def learned(draft: Draft, execution: Execution) -> Draft | Refusal:
    """The draft with the tests that the run has shown."""
    assert draft.checks is not None
    if execution.status != OK:
        reason = Reason.TIMEOUT if execution.status == Status.TLE else Reason.SOLUTION_FAILS
        said = execution.message.partition(":")[0] if reason is Reason.TIMEOUT else execution.message
        return Refusal(reason, f"the row's own test code: {execution.status}: {said}")
    try:
        recording = msgspec.json.decode(execution.output, type=Recording)
        pairs = [_pair(given, value) for given, value, why in recording.calls if not why]
    except (ValueError, RecursionError):
        return Refusal(Reason.UNSAFE_PAYLOAD, "the row's own test code ended the recording or wrote into it")
    if recording.failed:
        return Refusal(Reason.SOLUTION_FAILS, f"the row's own test code: {recording.failed}")
    left_out = Counter(why for _, _, why in recording.calls if why)
    values = [value for _, value in pairs]
    if draft.checks.truth and any(type(value) is not bool for value in values):
        return Refusal(Reason.NEEDS_CHECKER, "an assert of truth alone, about values that are not all true or false")
    tests = []
    for given, value in pairs:
        try:
            tests.append(make_test(given, value if draft.checks.tolerance is None else as_float(value)))
        except NotJson as error:
            left_out[str(error)] += 1
    return with_tests(draft, tests, left_out)


def _pair(given: str, value: str) -> tuple[list[Any], Any]:
    """One recorded call. Errors: `ValueError` where it is not JSON, or not the arguments of a call."""
    arguments = json_value(json.loads(given))
    if not isinstance(arguments, list):
        raise ValueError("arguments that are no list")
    return arguments, json_value(json.loads(value))
