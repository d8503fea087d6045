"""stdout is for records: what libraries print to it goes to stderr."""

import os
import sys


def keep_stdout_for_records() -> None:
    """From now on whatever this process and its children print goes to stderr; outputs that are open stay."""
    sys.stdout.flush()
    os.dup2(2, 1)
