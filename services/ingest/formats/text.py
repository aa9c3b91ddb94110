"""Text checks that every format shares: valid UTF-8 to the last byte, lines of bounded length."""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from services.ingest.formats.records import ROW_BYTES_MAX, FormatError

BLOCK_BYTES = 65_536


def check_utf8(path: Path) -> None:
    """Raises FormatError with the line of the first byte that is not UTF-8. Reads in blocks of 64 kB."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                raise _not_utf8(line + block[: error.start].count(b"\n")) from None
            line += block.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _not_utf8(line) from None


def _not_utf8(line: int) -> FormatError:
    return FormatError("not_utf8", f"line {line}", "the file is not UTF-8 text; export it as UTF-8")


def start_of(path: Path, size: int = 4_096) -> bytes:
    """First bytes of a file, without a byte order mark and leading blanks."""
    with path.open("rb") as file:
        return file.read(size).removeprefix(codecs.BOM_UTF8).lstrip()


def lines_of(file: BinaryIO) -> Iterator[str]:
    """Lines of UTF-8 text with their ends. Raises FormatError for a line over 1 MB or with a NUL character."""
    reader = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    number = 0
    while line := reader.readline(ROW_BYTES_MAX + 1):
        number += 1
        if len(line) > ROW_BYTES_MAX:
            raise FormatError("line_too_long", f"line {number}", f"a line has at most {ROW_BYTES_MAX} bytes")
        if b"\0" in line:
            raise FormatError("not_text", f"line {number}", "the line holds a NUL character; the file is not text")
        yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode("utf-8")
