"""Two releases of a service side by side: code n and n+1 on the schemas n and n+1, under load, without a stop.

Release n+1 is a copy of the code with one migration more and another version in what it writes.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import service_settings
from deploy.local.event_log import read_log
from deploy.local.paths import REPOSITORY
from deploy.local.processes import spawn
from deploy.local.state import StackInfo
from shared.runtime.outbox import CODE_VERSION
from tests.system.quarter import differing
from tests.system.storm import CASH, Site, Storm, restart, settled, site_in

pytestmark = [pytest.mark.system, pytest.mark.chaos, pytest.mark.timeout(300)]
NEXT_VERSION = "9.9.9"
COLUMN = "side_by_side"
MIGRATION = f'''"""One more column, as an expanding migration makes it."""

from alembic import op

revision = "9999"
down_revision = "{{last}}"


def upgrade() -> None:
    op.execute("alter table open_item add column {COLUMN} text")
'''
MIGRATE_TIMEOUT_S = 60
Undisturbed = tuple[StackInfo, list[str]]


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of release n+1."""
    folder = tmp_path_factory.mktemp("next") / "code"
    leave = shutil.ignore_patterns("__pycache__", ".venv", ".local", ".git", ".pytest_cache", ".ruff_cache")
    for name in ("services", "shared"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=leave)
    versions = folder / "services" / CASH / "migrations" / "versions"
    last = max(path.name[:4] for path in versions.glob("0*.py"))
    (versions / "9999_side_by_side.py").write_text(MIGRATION.format(last=last))
    outbox = folder / "shared" / "runtime" / "outbox.py"
    text = outbox.read_text()
    assert f'CODE_VERSION = "{CODE_VERSION}"' in text
    outbox.write_text(text.replace(f'CODE_VERSION = "{CODE_VERSION}"', f'CODE_VERSION = "{NEXT_VERSION}"'))
    return folder


def migrate(site: Site, code: Path) -> Iterator[float]:
    """The expanding migration, beside the running release n."""
    done = subprocess.Popen(
        [sys.executable, "-m", f"services.{CASH}.main", "migrate"],
        cwd=code,
        env=service_settings.of_service(site.info, CASH),
    )
    while done.poll() is None:
        yield 0.1
    assert done.returncode == 0


def replace_by(site: Site, instance: int, code: Path) -> Iterator[float]:
    """The process ends in order and comes back with the code of the other release."""
    name = f"{CASH}-{instance}"
    settings = service_settings.of_service(site.info, CASH, instance)
    command = [sys.executable, "-m", f"services.{CASH}.main", "serve"]
    log = site.info.logs_dir / f"{name}.log"
    site.stack._again[name] = lambda: spawn(name, command, log, environment=settings, cwd=code)  # noqa: SLF001
    yield from restart(name)(site)


def test_release_n_and_n_plus_1_work_side_by_side_on_both_schemas(
    undisturbed: Undisturbed, quarter: Path, tmp_path: Path, next_release: Path
) -> None:
    def migrated_and_one_replaced(site: Site) -> Iterator[float]:
        yield from migrate(site, next_release)
        yield from replace_by(site, 1, next_release)
        yield from restart(f"{CASH}-0")(site)

    def all_replaced(site: Site) -> Iterator[float]:
        yield from replace_by(site, 0, next_release)

    with site_in(tmp_path, replicas=2) as site:
        states = Storm(site, quarter, {1: [(0.2, migrated_and_one_replaced)], 2: [(0.6, all_replaced)]}).blow()
        for day, (calm, mixed) in enumerate(zip(undisturbed[1], states, strict=True)):
            mixed = re.sub(rf'"{COLUMN}": null, |, "{COLUMN}": null', "", mixed)
            assert differing(settled(calm), settled(mixed)) == [], f"day {day}"
        assert f'"{COLUMN}": null' in states[1] and f'"{COLUMN}"' not in states[0]
        events = asyncio.run(read_log(site.info.kafka_bootstrap)).events
        wrote = Counter(e.envelope.code_version for e in events if e.envelope.source == CASH)
        assert wrote.keys() == {CODE_VERSION, NEXT_VERSION}
