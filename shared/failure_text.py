"""What may be written of a failure: into logs, beside parked keys and timers, into answers about a service's state.

Invariant: no text of ours that leaves a process repeats what a record contained. Texts of our own errors and of the
network and file system are kept; a database names the violated rule, a model the field, anything else only its place.
"""

import traceback

import asyncpg
from pydantic import ValidationError

from shared.errors import RecoupError

FIELDS_MAX = 5
CHARS_MAX = 2_000
_SPEAKS_OF_THE_MACHINE = (RecoupError, OSError, asyncpg.InterfaceError)


def failure_text(problem: BaseException) -> str:
    """`problem` in one line without anything that was in the data, at most 2,000 characters."""
    kind = type(problem).__name__
    if isinstance(problem, asyncpg.PostgresError):
        text = _of_database(problem)
    elif isinstance(problem, ValidationError):
        errors = problem.errors(include_url=False, include_context=False, include_input=False)[:FIELDS_MAX]
        fields = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['type']}" for error in errors)
        text = f"{kind} of {problem.title}: {fields}"
    elif isinstance(problem, _SPEAKS_OF_THE_MACHINE) or type(problem).__module__.startswith("aiokafka"):
        text = f"{kind}: {problem}" if str(problem) else kind
    else:
        text = kind + _place(problem)
    return text[:CHARS_MAX]


def trace_text(problem: BaseException) -> str:
    """Where `problem` arose, with its causes, without the texts of any of them."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = problem
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append("".join(traceback.format_tb(current.__traceback__)) + failure_text(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nfollowed from:\n".join(parts)


def _of_database(problem: asyncpg.PostgresError) -> str:
    constraint = getattr(problem, "constraint_name", None)
    rule = f", constraint {constraint}" if constraint else ""
    return f"{type(problem).__name__} ({problem.sqlstate or 'no state'}{rule})"


def _place(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    return f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
