"""A folder of received mails: one `.eml` each, named by the hash of its Message-ID and a number, so that a mail that
came twice stands there twice.

Invariant: a file is whole from the moment it has its name, and no mail ever replaces another.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

SHOWN_MAX = 1_000
HASH_CHARS = 16
_NAME = re.compile(r"([0-9a-f]{16})-([0-9]{3,9})\.eml")
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Mail:
    """Head of a received mail. `double` is true when its Message-ID came before."""

    name: str
    message_id: str
    sender: str
    recipients: str
    subject: str
    received_at: str
    double: bool


class Mailbox:
    """The mails of one folder; one process writes it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._numbers: Counter[str] = Counter()
        for path in folder.glob("*.eml"):
            if match := _NAME.fullmatch(path.name):
                self._numbers[match[1]] = max(self._numbers[match[1]], int(match[2]))

    def store(self, content: bytes, sender: str, recipients: Sequence[str], received_at: str) -> str:
        """Keeps a mail with its envelope as headers on top; the name of its file."""
        key = hashlib.sha256(message_id_of(content).encode() or content).hexdigest()[:HASH_CHARS]
        envelope = {"X-Sink-From": sender, "X-Sink-To": ", ".join(recipients), "X-Sink-Received-At": received_at}
        head = b"".join(f"{n}: ".encode() + _plain(value) + b"\r\n" for n, value in envelope.items())
        part = self.folder / f".{key}-{os.getpid()}.part"
        part.write_bytes(head + content)
        try:
            return self._name(part, key)
        finally:
            part.unlink()

    def _name(self, part: Path, key: str) -> str:
        while True:
            self._numbers[key] += 1
            name = f"{key}-{self._numbers[key]:03}.eml"
            try:
                os.link(part, self.folder / name)
            except FileExistsError:
                continue
            return name

    def latest(self) -> list[Mail]:
        """Heads of the newest mails, newest first, 1,000 at most."""
        found = [entry for entry in os.scandir(self.folder) if _NAME.fullmatch(entry.name)]
        found.sort(key=lambda entry: (entry.stat().st_mtime_ns, entry.name), reverse=True)
        return [_head(Path(entry.path)) for entry in found[:SHOWN_MAX]]

    def count(self) -> int:
        """How many mails lie in the folder."""
        return sum(1 for entry in os.scandir(self.folder) if _NAME.fullmatch(entry.name))

    def read(self, name: str) -> EmailMessage | None:
        """One mail, None for a name that is none of ours."""
        path = self.folder / name
        if not _NAME.fullmatch(name) or not path.is_file():
            return None
        message: Any = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        return message


def message_id_of(content: bytes) -> str:
    """Message-ID of a mail, empty when it has none."""
    return _header(BytesParser(policy=policy.compat32).parsebytes(content, headersonly=True), "Message-ID")


def _head(path: Path) -> Mail:
    with path.open("rb") as file:
        headers = BytesParser(policy=policy.default).parse(file, headersonly=True)
    return Mail(
        name=path.name,
        message_id=_header(headers, "Message-ID"),
        sender=_header(headers, "X-Sink-From"),
        recipients=_header(headers, "X-Sink-To"),
        subject=_header(headers, "Subject"),
        received_at=_header(headers, "X-Sink-Received-At"),
        double=not path.stem.endswith("-001"),
    )


def _header(headers: Any, name: str) -> str:
    """A header as text; one that the parser cannot take apart counts as empty."""
    try:
        return str(headers.get(name, "")).strip()
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        return ""


def _plain(text: str) -> bytes:
    return _CONTROL_CHARACTERS.sub(b" ", text.encode("utf-8", "surrogateescape"))
