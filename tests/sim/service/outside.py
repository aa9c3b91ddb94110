"""The world outside: a mail server and an access system that misbehave as the seed says, and the driver's clock.

Invariant: how they answer follows from the seed and from what they are asked, never from time, so that the undisturbed
run meets the same outside.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from services.notifications.channels.smtp import Accepted, Down, Ready, Refused, Unanswered
from shared.clock import WallClock

# Chance per 100 that a version behind one that it has gets no clear yes, where it fails at all.
SLOW = 97
STEP = timedelta(milliseconds=5)


class SimClock(WallClock):
    """The wall clock of all members; it moves when the driver says so, and a little with every look."""

    def __init__(self, at: datetime) -> None:
        self._at, self._monotonic = at, 1_000_000.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._monotonic += seconds

    def until(self, at: datetime) -> None:
        """Not before `at`; wall clocks never go back."""
        if at > self._at:
            self.advance((at - self._at).total_seconds())


class SimAsyncio:
    """`asyncio` for a module whose sleeps must not take real time: they move the driver's clock."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        self._clock.advance(max(seconds, 0.25))
        await asyncio.sleep(0)


@dataclass
class Mail:
    """One message that the server took, with the number of records in the log at that instant."""

    notice_id: str
    recipient: str
    at_record: int
    answered: bool


@dataclass
class MailServer:
    """`odds`: chance that a notice is refused for good, and that the answer to its DATA is lost, per 100."""

    seed: int
    refuse: int = 0
    lose: int = 0
    taken: list[Mail] = field(default_factory=list)

    def fate(self, subject: str) -> str:
        """The same for the same mail in every run of the seed."""
        drawn = Random(f"mail/{self.seed}/{subject}").randrange(100)
        if drawn < self.refuse:
            return "refuse"
        return "lose" if drawn < self.refuse + self.lose else "take"


class SimLane:
    """Stands in for the SMTP connection (services.notifications.channels.smtp.Lane): same calls, same answers."""

    def __init__(self, world: Any) -> None:
        self._world, self._recipient = world, ""

    async def prepare(self, sender: str, recipient: str) -> Ready | Refused | Down:
        self._recipient = self._world.recipient = recipient
        if self._world.mail_down:
            return Down("the mail server is down")
        if self._world.mail.fate(recipient) == "refuse":
            return Refused("550 5.1.1", permanent=True, address_is_bad=True)
        return Ready()

    async def data(self, content: bytes) -> Accepted | Refused | Unanswered | Down:
        server: MailServer = self._world.mail
        notice_id = notice_of(content)
        again = any(mail.notice_id == notice_id for mail in server.taken)
        lost = not again and server.fate(f"{self._recipient}/{notice_id}") == "lose"
        server.taken.append(Mail(notice_id, self._recipient, self._world.log.appended, not lost))
        return Unanswered("SMTPServerDisconnected") if lost else Accepted("250")

    async def connect(self) -> Down | None:
        return Down("the mail server is down") if self._world.mail_down else None

    async def abandon(self) -> None:
        return None

    async def quit(self) -> None:
        return None

    async def close(self) -> None:
        return None


def notice_of(content: bytes) -> str:
    """The notice that a mail is for: the local part of its Message-ID."""
    for line in content.split(b"\r\n\r\n")[0].decode(errors="replace").splitlines():
        if line.lower().startswith("message-id:"):
            return line.partition(":")[2].strip().strip("<>").partition("@")[0]
    return "?"


@dataclass
class Receiver:
    """The access system: keeps every version that reached it, answered or not; what it applied by version.

    `fail`: chance per 100 that it gives no clear yes: every other time it is busy, else its answer is lost. Of a hold
    that it has no older version of only the first try fails: such an order is judged anew before each try, and what the
    gate says then depends on the hour, which is not the same in two runs. What follows is SLOW.
    """

    seed: int
    fail: int = 0
    reached: list[tuple[str, int, str]] = field(default_factory=list)
    applied: dict[str, tuple[int, str]] = field(default_factory=dict)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        hold, version, state = body["hold_id"], body["version"], body["state"]
        tries = sum(1 for h, v, _ in self.reached if (h, v) == (hold, version))
        self.reached.append((hold, version, state))
        drawn = Random(f"hook/{self.seed}/{hold}/{version}/{tries}").randrange(100)
        follows = self.applied.get(hold, (version, ""))[0] < version
        fails = drawn < (SLOW if follows and self.fail else self.fail) and (follows or not tries)
        if fails and drawn % 2:
            return httpx.Response(503, json={})
        if version >= self.applied.get(hold, (0, ""))[0]:
            self.applied[hold] = (version, state)
            if fails:
                raise httpx.ReadTimeout("the answer is lost", request=request)
            return httpx.Response(200, json={"applied": True})
        return httpx.Response(200, json={"applied": False})


def instant(day: Any, hour: int, minute: int = 0) -> datetime:
    """A time of day in Berlin in winter, as UTC."""
    return datetime(day.year, day.month, day.day, hour - 1, minute, tzinfo=UTC)
