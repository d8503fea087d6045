"""How rows say things: literals, asserts, calls, tests on stdin, limits, solutions; nothing of a row is evaluated."""
