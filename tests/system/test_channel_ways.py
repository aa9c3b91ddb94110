"""Bad ways to the customer's access system and to the mail server, as connections: refused, silent, answers lost.

A hold arrives at least once under one key and never an older version after a newer; a mail leaves at most once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import httpx
import pytest

from deploy.local import secrets
from shared.errors import Transient
from shared.events.collections import HoldLifted
from shared.runtime import failpoints
from tests.scenario.notifications.world import MORNING, World, account, contact, hold, item, notice
from tests.stack.programs import running
from tests.system.fault_proxy import FaultProxy

FAULTS = ["refuse", "half_open", "lose_answers"]
pytestmark = pytest.mark.system


@dataclass
class Outside:
    """The world of notifications with the real access system and the real mail sink behind proxies."""

    world: World
    access: FaultProxy
    smtp: FaultProxy
    access_port: int
    mails: Path

    async def access_log(self) -> list[dict]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.access_port}/state")
        return [entry for entry in answer.json()["log"] if entry["what"] == "received"]

    def mails_per_request(self) -> Counter[str]:
        return Counter(message_from_bytes(path.read_bytes())["Message-ID"] for path in self.mails.rglob("*.eml"))

    async def later(self) -> None:
        """The waiting time after an attempt is over."""
        await self.world.pool.execute("update effect set next_try_at = null")
        await self.world.pool.execute("update notice set next_try_at = null")


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[tuple[int, int, Path, Path]]:
    """Ports of the access system and of the mail sink, the webhook secrets, the folder of the mails."""
    keys, mails = secrets.webhooks_file(tmp_path / "secrets"), tmp_path / "mails"
    access = ("--port", "{port}", "--state", str(tmp_path / "access"), "--secrets", str(keys))
    with (
        running("deploy.local.access_system", tmp_path / "a", *access) as (_, (access_port,)),
        running("deploy.local.smtp_sink", tmp_path / "s", "--port", "{port}", "--dir", str(mails)) as (_, (smtp_port,)),
    ):
        yield access_port, smtp_port, keys, mails


@pytest.fixture
async def outside(programs: tuple[int, int, Path, Path], make_database, tmp_path: Path) -> AsyncIterator[Outside]:
    access_port, smtp_port, keys, mails = programs
    access, smtp = FaultProxy(access_port).start(), FaultProxy(smtp_port).start()
    world = await World.open(
        await make_database("notifications"),
        tmp_path,
        smtp_port=smtp.port,
        smtp_command_timeout_s=1,
        smtp_data_timeout_s=1,
        access_system_url=f"http://127.0.0.1:{access.port}/holds",
        webhook_secrets_file=keys,
        webhook_timeout_s=1,
    )
    yield Outside(world, access, smtp, access_port, mails)
    await world.close()
    access.stop()
    smtp.stop()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_hold_arrives_over_a_bad_way_under_one_key(outside: Outside, fault: str) -> None:
    world = outside.world
    await world.tick(MORNING.replace(day=18))
    await world.tell(account(), contact(), item(), hold())
    await world.tick()
    getattr(outside.access, fault)()
    await world.deliver()
    assert {row["status"] for row in await world.effects()} == {"due"}, "nobody confirmed it"
    outside.access.heal()
    await outside.later()
    await world.deliver()
    assert {row["status"] for row in await world.effects()} == {"confirmed"}
    log = await outside.access_log()
    effects = len(await world.effects())
    assert len({entry["webhook_id"] for entry in log}) == effects, "one key for each version"
    assert len(log) == effects * (2 if fault == "lose_answers" else 1)


async def test_an_order_that_could_not_leave_is_never_delivered_after_its_lifting(outside: Outside) -> None:
    world = outside.world
    await world.tick(MORNING.replace(day=18))
    await world.tell(account(), contact(), item(), hold())
    await world.tick()
    outside.access.half_open()
    await world.deliver()
    await world.tell(hold(2, HoldLifted, lease_s=0))
    await outside.later()
    await world.deliver()
    outside.access.heal()
    await outside.later()
    await world.deliver()
    versions = {entry["version"] for entry in await outside.access_log()}
    assert versions <= {2}, "the newer replaces the one that never arrived"


@pytest.mark.parametrize("fault", ["refuse", "half_open"])
async def test_a_mail_over_a_bad_way_leaves_once_when_the_way_is_good_again(outside: Outside, fault: str) -> None:
    world = outside.world
    await world.tick(MORNING.replace(day=18))
    await world.tell(account(), contact(), item(), notice())
    await world.tick()
    getattr(outside.smtp, fault)()
    with pytest.raises(Transient):
        await world.dispatch()
    outside.smtp.heal()
    await outside.later()
    await world.dispatch()
    assert [row["status"] for row in await world.notices()] == ["sent"]
    assert list(outside.mails_per_request().values()) == [1]


@pytest.mark.parametrize("fault", ["cut", "half_open", "lose_answers"])
async def test_a_mail_whose_answer_is_lost_is_unknown_and_never_sent_again(outside: Outside, fault: str) -> None:
    world = outside.world

    async def strike() -> None:
        failpoints.armed.clear()
        getattr(outside.smtp, fault)()

    await world.tick(MORNING.replace(day=18))
    await world.tell(account(), contact(), item(), notice())
    await world.tick()
    failpoints.armed["mail.before_data"] = strike
    try:
        await world.dispatch()
    except Transient:
        assert fault == "cut", "nothing but a connection that is gone before DATA is known to be harmless"
    finally:
        failpoints.armed.clear()
    outside.smtp.heal()
    for _ in range(3):
        await outside.later()
        await world.dispatch()
    (row,) = await world.notices()
    kept = sum(outside.mails_per_request().values())
    assert kept <= 1 and (row["status"], kept) in {("unknown", 0), ("unknown", 1), ("sent", 1)}
    assert fault == "cut" or row["status"] == "unknown"
