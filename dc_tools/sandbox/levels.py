"""The levels of isolation: which walls each one has. Standard library only."""

from typing import NamedTuple


class Level(NamedTuple):
    """The walls around a program."""

    name: str
    namespaces: bool = False
    """Namespaces of user, processes, mounts, network, and a root folder that holds next to nothing."""
    landlock: bool = False
    """Only the standard library can be read; a must where nothing else hides files."""
    own_tmp: bool = False
    """A small /tmp of its own, which it may write to."""
    opens: bool = True
    """Files may be opened; otherwise only what was imported before can be used."""
    seccomp: bool = True
    """System calls are filtered."""


NAMESPACES = Level("namespaces", namespaces=True, landlock=True, own_tmp=True)
CONTAINER = Level("container", landlock=True, own_tmp=True)
"""Inside a container, whose engine has made the namespaces."""
LANDLOCK = Level("landlock", landlock=True)
SECCOMP = Level("seccomp", opens=False)
UNSAFE = Level("unsafe", seccomp=False)
"""Limits only."""
BY_NAME = {level.name: level for level in (NAMESPACES, CONTAINER, LANDLOCK, SECCOMP, UNSAFE)}
SAFE = (NAMESPACES.name, LANDLOCK.name, SECCOMP.name)
"""Strongest first; the first that a machine grants is used."""
