"""From a request's body to a file in the blob store: streamed to disk, counted and hashed, never whole in memory."""

import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request, UploadFile

from shared.problems import Problem

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

BLOCK_BYTES = 1 << 18
NAME_CHARS_MAX = 200
TYPE_CHARS_MAX = 100


@dataclass(frozen=True, slots=True)
class Stored:
    """A complete file in the blob store."""

    sha256: str
    size: int
    content_type: str
    file_name: str


async def store_request(runtime: "Runtime", request: Request, file_name: str | None) -> Stored:
    """The one file of a request: a multipart part named `file`, else the raw body. Raises Problem 400 or 413."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=10) as form:
            part = form.get("file")
            if not isinstance(part, UploadFile) and not hasattr(part, "read"):
                raise Problem(
                    400, "file_missing", "the form has no part named 'file'", "send the file as -F file=@NAME"
                )
            name = file_name or part.filename or ""
            return await store_blocks(runtime, _blocks(part), part.content_type or "", name)
    return await store_blocks(runtime, request.stream(), content_type, file_name or "")


async def _blocks(part: UploadFile) -> AsyncIterator[bytes]:
    while block := await part.read(BLOCK_BYTES):
        yield block


async def store_blocks(runtime: "Runtime", blocks: AsyncIterator[bytes], content_type: str, name: str) -> Stored:
    """Write blocks to disk and hand the file to the blob store. Raises Problem 413 over the limit, 400 when empty."""
    limit = runtime.settings.file_bytes_max
    folder = Path(runtime.settings.blob_dir) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as draft:
        path = Path(draft.name)
        try:
            async for block in blocks:
                size += len(block)
                if size > limit:
                    raise Problem(413, "file_too_large", f"the file has more than {limit} bytes", "split the file")
                digest.update(block)
                draft.write(block)
            draft.flush()
            if not size:
                raise Problem(400, "file_empty", "the request brought no content", "send the file as the body")
            await runtime.blobs.adopt(path, digest.hexdigest())
        finally:
            path.unlink(missing_ok=True)
    return Stored(digest.hexdigest(), size, content_type[:TYPE_CHARS_MAX], Path(name).name[:NAME_CHARS_MAX])


async def store_bytes(runtime: "Runtime", content: bytes, content_type: str, name: str) -> Stored:
    """A small body that is in memory already."""

    async def once() -> AsyncIterator[bytes]:
        yield content

    return await store_blocks(runtime, once(), content_type, name)
