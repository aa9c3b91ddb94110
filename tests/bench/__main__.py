"""`python -m tests.bench`: measures on this machine and prints one JSON document. Ratios are gates, absolutes reports."""

import asyncio
import json
import os

from tests.bench import simplest
from tests.bench.world import bench


async def main() -> None:
    async with bench() as servers:
        result = {"cores": os.cpu_count(), "simplest_handler": await simplest.run(servers)}
    print(json.dumps(result, indent=2))


asyncio.run(main())
