"""The services as processes over the first days of the sample: fed twice, and with every service killed in the middle.

Compared is what stands in all five stores at each day's close.
"""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.local.event_log import read_log
from deploy.local.local_stack import LocalStack
from deploy.local.state import StackInfo
from tests.system.quarter import (
    STATE,
    differing,
    feed_again,
    feed_quarter,
    mails_per_request,
    stack_in,
    state_of,
    tables_of,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
# Per day: after how many seconds which process is killed; each of the five once.
KILLS = [
    [(0.4, "ingest-0"), (0.9, "cash_application-0")],
    [(0.4, "collections-0"), (0.9, "notifications-0")],
    [(0.7, "reporting-0")],
]
Undisturbed = tuple[StackInfo, list[str]]
# Nothing of these happens in the first days of the sample.
EMPTY = {"collections hold", "reporting hold", "notifications effect", "collections escalation"}


def test_the_compared_state_has_rows_of_every_kind(undisturbed: Undisturbed) -> None:
    _, states = undisturbed
    found = tables_of(states[-1])
    wanted = {f"{service} {table}" for service, tables in STATE.items() for table in tables} - EMPTY
    assert sorted(wanted - found.keys()) == []
    assert len(set(states)) == len(states), "each day changes something"


def test_the_same_files_and_commands_fed_twice_change_nothing(undisturbed: Undisturbed, quarter: Path) -> None:
    info, _ = undisturbed
    before, state = asyncio.run(read_log(info.kafka_bootstrap)), asyncio.run(state_of(info))
    mails = asyncio.run(mails_per_request(info))
    assert differing(state, asyncio.run(feed_again(info, quarter))) == []
    after = asyncio.run(read_log(info.kafka_bootstrap))
    markers = {"clock.ticked", "day.closed"}
    assert [e.type for e in after.events if e.type not in markers] == [
        e.type for e in before.events if e.type not in markers
    ]
    assert asyncio.run(mails_per_request(info)) == mails
    assert mails and set(mails.values()) == {1}


def test_each_service_killed_in_the_middle_ends_in_the_same_state_at_each_days_close(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path
) -> None:
    with stack_in(tmp_path) as stack:
        states = feed_with_kills(stack, quarter)
        for day, (calm, stormy) in enumerate(zip(undisturbed[1], states, strict=True)):
            assert differing(calm, stormy) == [], f"day {day}"
        mails = asyncio.run(mails_per_request(stack.info))
        unknown = asyncio.run(read_log(stack.info.kafka_bootstrap)).of("notice.unknown")
        assert mails and set(mails.values()) == {1}
        assert len(unknown) <= 1, "notifications was killed once"
        assert stack.restarts == sum(len(kills) for kills in KILLS)


def feed_with_kills(stack: LocalStack, quarter: Path) -> list[str]:
    """Feed on a thread of its own while this, the main thread, kills and starts again: children belong to it."""
    wanted: list[str] = []
    result: dict[str, Any] = {}

    async def disturb(number: int) -> None:
        waited_s = 0.0
        for after_s, name in KILLS[number]:
            await asyncio.sleep(after_s - waited_s)
            waited_s = after_s
            wanted.append(name)

    def run() -> None:
        try:
            result["states"] = asyncio.run(feed_quarter(stack.info, quarter, disturb))
        except BaseException as problem:  # raised again on the main thread
            result["problem"] = problem

    thread = threading.Thread(target=run)
    thread.start()
    killed = 0
    while thread.is_alive():
        if len(wanted) > killed:
            os.kill(stack.child(wanted[killed]).pid, signal.SIGKILL)
            killed += 1
        stack.restart_ended()
        time.sleep(0.1)
    thread.join()
    if "problem" in result:
        raise result["problem"]
    return result["states"]
