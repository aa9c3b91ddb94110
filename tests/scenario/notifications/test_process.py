"""The service as a process on real Kafka and PostgreSQL: a mail from the topics to the server, and kill -9 in DATA."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.local.ports import free_ports
from shared.bus import admin
from shared.bus.kafka import KafkaSink
from shared.bus.port import Outgoing
from shared.events.catalogue import ACCOUNTS, COLLECTIONS, LEDGER, PARTITIONS, UPSTREAM
from shared.events.control import BankAccount, CompanyConfigured, PolicyActivated
from shared.events.markers import ClockTicked, CompanyReach, DayClosed
from shared.ids import derive
from tests.builders import event, headers_and_value
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.notifications.world import (
    COMPANY,
    FRIDAY,
    MORNING,
    account,
    contact,
    item,
    notice,
    policy,
)

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]


async def settled(query: str, dsn: str, wanted: str, seconds: int = 60) -> None:
    """Until the one value of `query` is `wanted`."""
    db = await asyncpg.connect(dsn)
    try:
        for _ in range(seconds * 10):
            if (found := await db.fetchval(query)) == wanted:
                return
            await asyncio.sleep(0.1)
    finally:
        await db.close()
    raise AssertionError(f"{query} is {found!r}, not {wanted!r}")


class Process:
    def __init__(self, dsn: str, kafka: str, smtp_port: int, folder: Path) -> None:
        self.log = folder / "notifications.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "RECOUP_DATABASE_DSN": dsn,
            "RECOUP_KAFKA_BOOTSTRAP": kafka,
            "RECOUP_HTTP_PORT": str(free_ports(1)[0]),
            "RECOUP_CLOCK": "stream",
            "RECOUP_BLOB_DIR": str(folder / "blobs"),
            "RECOUP_SMTP_PORT": str(smtp_port),
            "RECOUP_SMTP_CONNECTIONS": "3",
        }
        self.child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.notifications.main", "serve",
                cwd=ROOT, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip

    async def stop(self, number: int = signal.SIGTERM) -> int:
        self.child.send_signal(number)
        return await asyncio.wait_for(self.child.wait(), 40)


async def feed(bootstrap: str, name: str) -> None:
    """Everything that a notice needs, a closed day and a tick, as the services upstream would write them."""
    facts = [
        CompanyConfigured(
            company=COMPANY, base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB",
            bank_accounts=[BankAccount(id="EUR-1", currency="EUR", calendar="XECB")],
        ),
        PolicyActivated(
            company=COMPANY, name="contact", version="1", sha256="", content=policy(), effective_on=FRIDAY,
            approver="user:carl",
        ),
        account(), contact(), item(), notice(name),
    ]  # fmt: skip
    reach = {COMPANY: CompanyReach(bank_accounts={"EUR-1": FRIDAY})}
    markers = [
        DayClosed(marker_id=derive("day"), number=1, company=COMPANY, date=FRIDAY, at=MORNING - timedelta(hours=15)),
        ClockTicked(marker_id=derive("tick"), number=2, at=MORNING, companies=reach),
    ]
    sink = KafkaSink(bootstrap, f"feed-{name}")
    await sink.start()
    try:
        made = [event(fact, on=FRIDAY) for fact in facts]
        await sink.send([Outgoing(e.topic, **headers_and_value(e)) for e in made])
        for marker in markers:
            parts = headers_and_value(event(marker, company=COMPANY, event_type=marker.TYPE))
            await sink.send(
                [
                    Outgoing(topic, **parts | {"key": str(n).encode()}, number=n)
                    for topic in UPSTREAM["notifications"]
                    for n in range(PARTITIONS)
                ]
            )
    finally:
        await sink.stop()


async def test_a_mail_leaves_and_a_kill_in_data_is_never_followed_by_a_second(
    own_kafka, make_database, tmp_path: Path
) -> None:
    assert set(UPSTREAM["notifications"]) == {ACCOUNTS, LEDGER, COLLECTIONS}
    bootstrap, dsn = own_kafka.bootstrap, await make_database("notifications")
    await admin.apply(bootstrap, admin.load(ROOT / "deploy" / "topics.yaml"))
    server = await SmtpServer(data_delay_s=30).start()
    process = Process(dsn, bootstrap, server.port, tmp_path)
    await process.start()
    try:
        await settled("select count(*)::text from store_start", dsn, "1")
        await feed(bootstrap, "n-1")
        await settled("select status from notice", dsn, "sending")
        await asyncio.wait_for(server.data_begun.wait(), 20)
        await process.stop(signal.SIGKILL)
        server.data_delay_s = 0.0
        await process.start()
        await settled("select status from notice", dsn, "unknown")
        assert server.begun == 1
        await asyncio.sleep(1)
        assert server.begun == 1
        assert await process.stop() == 0, process.log.read_text()[-3000:]
    finally:
        if process.child.returncode is None:
            process.child.kill()
        await server.stop()
