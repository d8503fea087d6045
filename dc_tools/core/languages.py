"""The names of programming languages that the field uses, and which language is meant."""

PYTHON, CPP = "python", "cpp"
_ALIASES = {
    PYTHON: ("python", "python3", "py", "py3", "pypy", "pypy3"),
    CPP: ("cpp", "c++", "cc", "cxx", "g++", "cpp17", "c++17", "gnu++17", "cpp14", "c++14", "cpp11", "c++11"),
}
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}


def language(name: str) -> str | None:
    """`python` or `cpp`, whichever `name` means; None for any other."""
    return _NAMES.get(name.strip().lower())
