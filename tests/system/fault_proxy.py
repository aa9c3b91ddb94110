"""A TCP proxy that can hurt what goes through it: delay, cut, refuse, half-open. On a thread and loop of its own.

Half-open means that both ends believe in the connection while nothing arrives any more, as behind a firewall that
forgot it. `heal` ends the connections that were so, since what was swallowed is lost, and lets new ones through.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal

from deploy.local.ports import HOST, free_ports

CHUNK_BYTES = 65_536
CALL_TIMEOUT_S = 10.0
Way = Literal["open", "refused", "half_open", "answers_lost"]


class FaultProxy:
    """Listens on `port` and passes everything on to `target_port` of this machine; every method is thread-safe."""

    def __init__(self, target_port: int, port: int | None = None) -> None:
        self.target_port = target_port
        self.port = port or free_ports(1)[0]
        self.accepted = 0
        self.swallowed_bytes = 0
        self._way: Way = "open"
        self._delay_s = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)
        self._server: asyncio.Server | None = None

    def start(self) -> "FaultProxy":
        self._thread.start()
        self._call(self._listen())
        return self

    def stop(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT_S)
        self._loop.close()

    def cut(self) -> None:
        """Ends every connection at once; new ones are let through."""
        self._call(self._drop_all())

    def refuse(self) -> None:
        """Ends every connection, and each new one as soon as it is made."""
        self._set("refused")
        self.cut()

    def half_open(self) -> None:
        """Swallows both directions of every connection, old and new, and closes none."""
        self._set("half_open")

    def lose_answers(self) -> None:
        """What is sent arrives, what comes back does not."""
        self._set("answers_lost")

    def delay(self, delay_s: float) -> None:
        """Holds back every chunk, in order, for so long."""
        self._delay_s = delay_s

    def heal(self) -> None:
        """Lets everything through again; connections that lost bytes are ended."""
        hurt = self._way in ("half_open", "answers_lost")
        self._set("open")
        self._delay_s = 0.0
        if hurt:
            self.cut()

    def _set(self, way: Way) -> None:
        self._way = way

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _drop_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._drop_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._way == "refused":
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(HOST, self.target_port)
        except OSError:  # the server is away: so is what it would have answered
            writer.transport.abort()
            return
        self._open |= {writer, back}
        try:
            with suppress(asyncio.CancelledError):  # the proxy ends
                await asyncio.gather(
                    self._pass(reader, back, ("half_open",)), self._pass(there, writer, ("half_open", "answers_lost"))
                )
        finally:
            self._open -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, swallowed: tuple[Way, ...]
    ) -> None:
        """One direction, until its end; the end of one direction is passed on as such."""
        try:
            while chunk := await source.read(CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if self._way in swallowed:
                    self.swallowed_bytes += len(chunk)
                    continue
                target.write(chunk)
                await target.drain()
            if target.can_write_eof():
                target.write_eof()
        except OSError:  # the other end is gone
            target.transport.abort()
