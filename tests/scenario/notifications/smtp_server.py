"""A small SMTP server for tests that can be told to misbehave. It keeps every message that it took."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class SmtpServer:
    """`rcpt_answers`: address -> answers in turn. `data_mode`: take, refuse, later, drop (no answer after it),
    drop_taken (took it, no answer), hang, or refuse_start (no 354)."""

    rcpt_answers: dict[str, list[str]] = field(default_factory=dict)
    data_mode: str = "take"
    data_delay_s: float = 0.0
    taken: list[tuple[str, str, bytes]] = field(default_factory=list)
    begun: int = 0
    data_begun: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> "SmtpServer":
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        self._server = None

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        sender = recipient = ""
        await answer("220 test")
        while line := (await reader.readline()).decode().strip():
            verb = line.upper()
            if verb.startswith(("EHLO", "HELO", "RSET", "NOOP")):
                await answer("250 ok")
            elif verb.startswith("MAIL"):
                sender = line.split("<")[1].split(">")[0]
                await answer("250 ok")
            elif verb.startswith("RCPT"):
                recipient = line.split("<")[1].split(">")[0]
                answers = self.rcpt_answers.get(recipient, [])
                await answer(answers.pop(0) if answers else "250 ok")
            elif verb == "DATA":
                if not await self._data(reader, writer, answer, sender, recipient):
                    return
            elif verb == "QUIT":
                await answer("221 bye")
                return

    async def _data(self, reader, writer, answer, sender: str, recipient: str) -> bool:
        self.begun += 1
        self.data_begun.set()
        if self.data_mode == "refuse_start":
            await answer("451 4.3.0 later")
            return True
        await answer("354 go")
        content = await reader.readuntil(b"\r\n.\r\n")
        await asyncio.sleep(self.data_delay_s)
        if self.data_mode == "hang":
            await asyncio.sleep(3600)
        if self.data_mode in ("take", "drop_taken"):
            self.taken.append((sender, recipient, content[:-3]))
        if self.data_mode.startswith("drop"):
            writer.transport.abort()
            return False
        answers = {"refuse": "554 5.7.1 no", "later": "451 4.3.0 later"}
        await answer(answers.get(self.data_mode, "250 2.0.0 taken"))
        return True
