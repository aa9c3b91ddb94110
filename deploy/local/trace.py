"""`make trace ID=…`: the story of one payment, document, item, notice or submission on a terminal, in words.

Read from the log alone, from its beginning; nothing is asked of a service and nothing is changed.
"""

import asyncio
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby

from deploy.local import state
from deploy.local.errors import StackError
from deploy.local.event_log import read_log
from deploy.local.story import NotFound, Story, story_of
from deploy.local.story_words import money, told
from shared.events.codec import Event
from shared.events.payments import BankCredit
from shared.ids import PREFIXES, show
from shared.tracing import trace_id

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
SERVICE_CHARS, WIDTH_MIN, WIDTH_MAX = 16, 60, 120
TRACES_MAX = 5


def trace(asked: str) -> None:
    """Print the story. Raises StackError when no log can be reached or nothing goes by `asked`."""
    if not asked.strip():
        raise StackError(
            "Say what to trace: make trace ID=pay_… (or an invoice's number, or the id of a document, item, notice or "
            "submission)."
        )
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or state.load().kafka_bootstrap
    log = asyncio.run(read_log(bootstrap))
    try:
        story = story_of(log.events, asked, log.written_ms)
    except NotFound as problem:
        unread = f" {len(log.unreadable)} cannot be read: `make parked` shows them." if log.unreadable else ""
        raise StackError(f"Of {log.records:,} records {problem}.{unread}") from problem
    width = max(WIDTH_MIN, min(WIDTH_MAX, shutil.get_terminal_size().columns))
    print("\n".join(page(story, width, styled=sys.stdout.isatty())))
    for place, why in log.unreadable.items():
        print(f"\nNot told, since it cannot be read: {place}: {why}.")


def page(story: Story, width: int = 100, *, styled: bool = False) -> Iterator[str]:
    """The lines of a story, at most `width` characters each; business days as headings, times in UTC."""
    yield _style(_title(story), BOLD, styled)
    for on, events in groupby(story.events, key=lambda e: e.envelope.business_date):
        yield ""
        yield _style(f"{on:%A}, {on.day} {on:%B %Y}", BOLD, styled)
        for (head, text), same in groupby(events, key=lambda e: _said(e, story)):
            yield from _lines(head, text, len(list(same)), width, styled)
    yield from _footer(story, styled)


def _title(story: Story) -> str:
    company = story.events[0].company if story.events else ""
    names = sorted({story.numbers[i] for i in story.ids if i in story.numbers})
    credit = next((e.data for e in story.events if story.about == "payment" and isinstance(e.data, BankCredit)), None)
    amount = f" over {money(credit.amount_minor, credit.currency)}" if credit else ""
    kind = story.about if story.about in PREFIXES else "item"
    ids = ", ".join(names) or ", ".join(show(kind, i) for i in sorted(story.ids)[:3])
    return f"{story.about.capitalize()} {ids} of {company}{amount}: {len(story.events)} events"


def _said(event: Event, story: Story) -> tuple[str, str]:
    """When and where, and what was done by whom."""
    e = event.envelope
    head = f"  {e.time:%H:%M}  {e.source.replace('_', ' '):<{SERVICE_CHARS}}  "
    by = f" [{e.actor}{f' for {e.on_behalf_of}' if e.on_behalf_of else ''}"
    by += f", {e.policy_version}]" if e.policy_version else "]"
    return head, told(event, story.numbers) + by


def _lines(head: str, text: str, times: int, width: int, styled: bool) -> Iterator[str]:
    """The same thing of many events, as of many candidates, is told once."""
    often = f" ({times} times)" if times > 1 else ""
    lines = textwrap.wrap(text + often, width - len(head), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        start = head if number == 0 else " " * len(head)
        yield start + _dimmed(line, styled)


def _dimmed(line: str, styled: bool) -> str:
    said, bracket, by = line.partition("[")
    return said + _style(bracket + by, DIM, styled) if bracket else line


def _footer(story: Story, styled: bool) -> Iterator[str]:
    beside = sorted(story.beside.items())
    if beside:
        yield ""
        yield _style("What it brought and what followed from it:", BOLD, styled)
        for (source, kind), count in beside:
            yield f"  {count:>7,}  {source.replace('_', ' '):<{SERVICE_CHARS}}  {kind}"
    traces = list(dict.fromkeys(t for e in story.events if (t := trace_id(e.envelope.traceparent))))
    if traces:
        yield ""
        more = f" and {len(traces) - TRACES_MAX} more" if len(traces) > TRACES_MAX else ""
        yield _style(f"Trace ids: {', '.join(traces[:TRACES_MAX])}{more}", DIM, styled)


def _style(text: str, code: str, styled: bool) -> str:
    return f"{code}{text}{PLAIN}" if styled else text


def main() -> int:
    try:
        trace(" ".join(sys.argv[1:]))
    except StackError as problem:
        print(f"\n{problem}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
