"""The three families of failure. A family decides what the runtime does with the input; the class docstring is
the default message, which tells a person what was wrong and what to do next.
"""

from typing import Any


class RecoupError(Exception):
    """Something went wrong that has no better name; see the log of the service."""

    def __init__(self, message: str = "", **facts: Any) -> None:
        self.facts = facts
        self.message = message or (self.__doc__ or "").strip()
        super().__init__(self.message)


class Rejected(RecoupError):
    """The request was understood and refused by a rule of the business; change the request.

    `code` is stable and snake_case; `status` is the HTTP status (4xx) that a command answers with.
    """

    def __init__(self, code: str, message: str, status: int = 409, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.code, self.status = code, status


class Transient(RecoupError):
    """A part that this service depends on did not answer; the work is tried again from the start."""


class Leaving(RecoupError):
    """The process was asked to end; what it waited for is not wanted any more."""


class Poison(RecoupError):
    """This input cannot be digested; it is parked with its key until the cause is mended and `make redrive` is run."""

    code = "poison"
    """Why, for those who look for what they can mend: stable and snake_case, kept beside the parked key."""


class Broken(Poison):
    """This record cannot be read as an event; it is parked with its key until the cause is mended."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Stop(RecoupError):
    """Going on would be wrong for every input; the process stops and a person must act."""
