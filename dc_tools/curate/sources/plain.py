"""Our own record, whole or minimal: `tests`, an `id`, and solutions that may be bare strings of Python."""

import msgspec

from dc_tools.core.records import Line, Problem
from dc_tools.curate.draft import Draft


def draft(line: Line) -> Draft:
    """The problem of one row; whatever else the row holds stays on it."""
    solutions = list(map(bytes, line.fields.get_as("solutions", list[msgspec.Raw], [])))
    if any(each.startswith(b'"') for each in solutions):
        objects = [b'{"code":%s}' % each if each.startswith(b'"') else each for each in solutions]
        line.fields.put_raw("solutions", b"[%s]" % b",".join(objects))
    problem = Line(line.to_bytes(), line.file, line.number, line.index).decode(Problem)
    return Draft(problem, own=line)
