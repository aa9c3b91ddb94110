"""`python -m tests.bench.worker HANDLER DSN BOOTSTRAP GROUP MEMBER relay|no-relay|only-relay`: until SIGTERM."""

import asyncio
import gc
import os
import signal
import sys

from services.cash_application.handlers import CashApplicationHandler
from shared.bus.kafka import KafkaSink, KafkaSource
from shared.events.catalogue import READS
from shared.runtime import loops
from tests.bench.world import pool_of
from tests.store.runtime.conftest import SERVICE, World
from tests.store.runtime.toy import ToyHandler

HANDLERS = {"simplest": ToyHandler, "cash_application": CashApplicationHandler}
BATCH_RECORDS = int(os.environ.get("RECOUP_BENCH_BATCH", "500"))


async def main(handler: str, dsn: str, bootstrap: str, group: str, member: str, relay: str) -> None:
    pool = await pool_of(dsn)
    runtime = World(pool, None, HANDLERS[handler](), None).runtime(batch_records=BATCH_RECORDS)  # type: ignore[arg-type]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runtime.no_new_work.set)
    source = KafkaSource(bootstrap, group, READS[SERVICE], member)
    relaying = None
    if relay != "no-relay":
        relaying = asyncio.ensure_future(loops.run_relay(runtime, KafkaSink(bootstrap, f"{member}-relay")))
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    if relay == "only-relay":
        await runtime.no_new_work.wait()
    else:
        await loops.run_consumer(runtime, source)
    runtime.relay_stop.set()
    if relaying is not None:
        await relaying
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
