"""When a channel looks for work."""

from services.notifications.channels.pace import Pace


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
