"""A command that spends nine tenths of its time in a finaliser, where the interpreter drops exceptions."""

import time

from dc_tools.core.command import command
from dc_tools.core.run import Run


class Slow:
    """Takes a while to go."""

    def __del__(self) -> None:
        for _ in range(9):
            time.sleep(0.005)


@command("dc-finaliser", needs_input=lambda flags: False)
def main(run: Run) -> None:
    """Work for a long time."""
    run.say("begun")
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        Slow()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
