"""Who made something that may outlive its maker, so that only leftovers of the dead are swept."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, by its id and start in ticks since boot, of one place: one boot of one machine or of a container."""

    place: str
    pid: int
    started: int

    @classmethod
    def this(cls) -> "Owner":
        """The process that asks."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        place = f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
        return cls(place, os.getpid(), _start_of(os.getpid()) or 0)

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """What `str` made; None for what it did not make."""
        place, _, rest = text.rpartition(" pid ")
        numbers = rest.split(" ")
        if not place or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            return None
        return cls(place, int(numbers[0]), int(numbers[1]))

    def __str__(self) -> str:
        return f"{self.place} pid {self.pid} {self.started}"

    def is_gone(self, here: "Owner") -> bool:
        """Whether it was a process of the same place as `here` and has ended; others' cannot be told from here."""
        return self.place == here.place and _start_of(self.pid) != self.started


def _start_of(pid: int) -> int | None:
    """When a process began, in ticks since boot; None where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
