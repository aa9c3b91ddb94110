"""Process of ingest: wiring only."""

import asyncio

from services.ingest import api, clockwork, drop_folder, inbound, intake
from services.ingest.handlers import IngestHandler
from services.ingest.settings import Settings
from shared.runtime.bells import heard
from shared.runtime.lifecycle import Loop, Runtime, Service, main
from shared.runtime.loops import forever, patiently

WRITER_EVERY_S = 0.25
MULTIPART_BYTES = 100_000
RECORDS_BYTES_MAX = 16_000_000


async def run_writer(runtime: Runtime, stop: asyncio.Event) -> None:
    """Writes the facts of accepted submissions, company by company; what got stuck is tried once per start.

    What this process accepts is written at once, what another one accepted is looked for now and then.
    """
    accepted = runtime.timers_wanted.followed()

    async def step() -> int:
        chunks = await intake.write_all(runtime)
        if not chunks:
            await heard(accepted, WRITER_EVERY_S)
        return chunks

    await patiently(runtime, "writer.start", lambda: intake.try_stuck_again(runtime))
    await forever(runtime, "writer", step, until=stop)


def build(settings: Settings) -> Service:
    file_bytes = settings.file_bytes_max + MULTIPART_BYTES
    return Service(
        name="ingest",
        handler=IngestHandler(),
        routers=api.routers,
        loops=[
            Loop(run_writer),
            Loop(drop_folder.run),
            Loop(inbound.run),
            Loop(clockwork.run_live, role="timers"),
        ],
        retry=intake.try_stuck_again,
        app_options={
            "body_limits": {
                "/submissions": file_bytes,
                "/inspect": file_bytes,
                "/records": RECORDS_BYTES_MAX,
                "/payments": RECORDS_BYTES_MAX,
            },
            "description": "The door in: files, records and time become events; what cannot be taken is held back.",
        },
    )


if __name__ == "__main__":
    main(build, Settings)
