"""Journal of the access system: what was accepted survives a kill, and is read back at the next start.

Invariant: a version is in the journal before its sender is told that it was applied.
"""

import json
from collections import OrderedDict
from pathlib import Path

from deploy.local.hold_register import HoldOrder, HoldRegister, Kept


class Journal:
    """One JSON line per accepted version: written before the sender is answered, read back at the start.

    A lease goes on over a restart of this process, counted by the same monotonic clock; after a restart of the machine
    that clock is another one, and every lease counts as ended.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._boot = path, _boot_id()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def read_into(self, register: HoldRegister, keys: "OrderedDict[str, str]") -> None:
        """Replays the journal; a last line that was cut by a kill is left out."""
        if not self._path.exists():
            return
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
                order = HoldOrder.model_validate(line["order"])
            except (ValueError, KeyError, TypeError):
                continue
            ends_at = line["ends_at"] if line["boot"] == self._boot else float("-inf")
            register.keep(order, line["body_hash"], ends_at)
            keys[line["webhook_id"]] = line["body_hash"]

    def write(self, webhook_id: str, kept: Kept) -> None:
        """Appends one accepted version."""
        line = {
            "boot": self._boot,
            "webhook_id": webhook_id,
            "body_hash": kept.body_hash,
            "ends_at": kept.ends_at,
            "order": kept.order.model_dump(mode="json"),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * _ends_in_a_cut_line(self._path) + json.dumps(line) + "\n")


def _ends_in_a_cut_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        return size > 0 and (file.seek(size - 1), file.read(1))[1] != b"\n"


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else "unknown"
