"""INT and TERM reach a command wherever it is."""

import signal
import sys
import time
from pathlib import Path

import pytest
from processes import end, started

COMMAND = [sys.executable, Path(__file__).with_name("finaliser.py")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_inside_a_finaliser_is_not_lost(number, code):
    with started(COMMAND) as process:
        assert process.stderr.readline() == b"dc-finaliser: begun\n"
        time.sleep(0.1)
        sent = time.monotonic()
        ended, err = end(process, number)
        assert (ended, err) == (code, f"dc-finaliser: stopped by {number.name[3:]}\n")
        assert time.monotonic() - sent < 30
