"""Content-addressed store: bytes are named by their SHA-256, written once, never changed.

A folder here; an object store plays the same role in production behind the same three calls.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from shared.events.facts import DocumentRef

CHUNK_BYTES = 1 << 20


class BlobMissing(FileNotFoundError):
    """No content of this hash is in the store."""


class BlobStore:
    """`folder/ab/cdef…`; safe for several writers since equal names have equal content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:]

    async def put(self, content: bytes, media_type: str, name: str, subject: str = "") -> DocumentRef:
        """Store `content` durably; the same content again costs nothing."""
        digest = hashlib.sha256(content).hexdigest()
        await asyncio.to_thread(self._write, digest, content)
        return DocumentRef(sha256=digest, media_type=media_type, bytes=len(content), name=name, subject=subject)

    async def adopt(self, draft: Path, sha256: str) -> None:
        """Take over a complete file whose SHA-256 the caller has counted; the draft is gone afterwards."""
        await asyncio.to_thread(self._adopt, draft, sha256)

    async def get(self, sha256: str) -> bytes:
        """Content by hash. Raises BlobMissing; a content that no longer fits its name raises ValueError."""
        content = await asyncio.to_thread(self._read, sha256)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"the content stored as {sha256} was altered")
        return content

    async def stream(self, sha256: str) -> AsyncIterator[bytes]:
        """Content in chunks of at most 1 MiB."""
        with await asyncio.to_thread(self._open, sha256) as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    def _open(self, sha256: str):  # noqa: ANN202
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise BlobMissing(sha256) from None

    def _read(self, sha256: str) -> bytes:
        with self._open(sha256) as file:
            return file.read()

    def _adopt(self, draft: Path, sha256: str) -> None:
        target = self.path(sha256)
        if target.exists():
            draft.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(target)

    def _write(self, sha256: str, content: bytes) -> None:
        target = self.path(sha256)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.{os.getpid()}.part")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
