"""Places at which a step can be struck: statements, commits, the failpoints of the runtime, sends.

What strikes belongs to the step that runs (a context variable), so that a frozen step keeps its own fault.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["crash", "freeze", "error"]


class Killed(BaseException):
    """The process is gone: no handler of ours may catch it."""


@dataclass(eq=False)
class Strike:
    """What happens to one step: at the `left`-th place that it reaches. Without a kind it only watches.

    `committed` says that the step committed something before it was struck, `place` where it was struck.
    `meanwhile` is done at its first statement of a batch: what goes on beside a transaction that waits for its store.
    """

    kind: Kind | None = None
    left: int = 0
    only: str = ""
    place: str = ""
    committed: bool = False
    frozen: asyncio.Future | None = None
    gate: asyncio.Future | None = None
    sessions: list[Any] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def reach(self, place: str) -> None:
        if place == "commit.after":
            self.committed = True
        if self.meanwhile is not None and place == "sql.LOCK_SHARED":
            beside, self.meanwhile = self.meanwhile, None
            await beside()
        if self.kind is None or self.place or (self.only and place != self.only):
            return
        self.left -= 1
        if self.left > 0:
            return
        self.place = place
        if self.kind == "crash":
            raise Killed(place)
        if self.kind == "error":
            raise ConnectionError(f"the connection was lost at {place}")
        loop = asyncio.get_running_loop()
        self.gate = loop.create_future()
        self.frozen.set_result(place)
        await self.gate


current: ContextVar[Strike | None] = ContextVar("strike", default=None)


async def at(place: str) -> None:
    """Announce a place. Does nothing outside a step of the simulator."""
    strike = current.get()
    if strike is not None:
        await strike.reach(place)


def start(work: Any, strike: Strike) -> asyncio.Task:
    """Run a coroutine as a step that `strike` watches."""
    context = copy_context()
    context.run(current.set, strike)
    strike.frozen = asyncio.get_running_loop().create_future()
    return asyncio.get_running_loop().create_task(work, context=context)


End = tuple[Any, BaseException | None]
"""What a step gave, or what it raised."""


async def ran(work: Any, strike: Strike) -> End:
    """Run a coroutine as a step, here and now; one that may freeze needs a task of its own."""
    token = current.set(strike)
    try:
        return await work, None
    except BaseException as problem:
        if isinstance(problem, asyncio.CancelledError | KeyboardInterrupt):
            raise
        return None, problem
    finally:
        current.reset(token)


def end_of(task: asyncio.Task) -> End:
    problem = task.exception()
    return (None, problem) if problem else (task.result(), None)
