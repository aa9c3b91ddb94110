"""When a channel looks for work."""

import asyncio

from services.notifications.channels.pace import POLL_RESTING_S, Pace
from shared.runtime.bells import Bell


class SteppedClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


def test_it_looks_at_every_tick_and_else_once_a_second() -> None:
    clock = SteppedClock()
    pace = Pace(clock, stream=True)
    assert pace.due(1)
    assert not pace.due(1)
    assert pace.due(2)
    clock.seconds += 0.9
    assert not pace.due(2)
    clock.seconds += 0.1
    assert pace.due(2)


def test_after_work_it_looks_again_at_once() -> None:
    pace = Pace(SteppedClock(), stream=True)
    assert pace.due(1)
    pace.at_once()
    assert pace.due(1)


async def test_what_facts_order_is_looked_for_at_once_and_not_at_every_batch() -> None:
    clock, bell = SteppedClock(), Bell()
    pace, stop = Pace(clock, stream=False, wanted=bell.followed()), asyncio.Event()
    assert pace.due(1)
    assert not pace.due(1)
    bell.set()
    bell.clear()
    async with asyncio.timeout(POLL_RESTING_S / 2):
        await pace.rest(stop)
    assert pace.due(1)
    assert not pace.due(1), "one bell is one look"
    resting = asyncio.ensure_future(pace.rest(stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(POLL_RESTING_S / 2):
        await resting
    assert not pace.due(1)
