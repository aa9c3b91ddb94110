"""Writes a notice: text and HTML from sandboxed templates in the reader's language, as one RFC 5322 message.

Invariant: the same letter gives the same bytes; nothing that came from outside can become markup, a header or a line of
its own; the subject holds no personal data.
"""

import binascii
import re
from copy import copy
from email.header import Header
from email.utils import format_datetime, formataddr
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from babel import Locale
from babel.dates import format_date
from babel.localedata import locale_identifiers
from babel.numbers import NumberPattern
from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from services.notifications.domain.letter import Letter
from shared.money import minor_digits, to_decimal

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGES = ("en", "de", "fr")
TEXT_CHARS_MAX = 200
CRLF = "\r\n"
TRACE_HEADER = "X-Recoup-Trace"
NOTICE_OF_TEMPLATE = {"reminder_friendly": "reminder_1", "reminder_firm": "reminder_2", "reminder_final": "final"}
NOTICE_OF_KIND = {"hold_warning": "hold_warning", "broken_promise": "broken_promise", "escalation": "final"}
_LOCALES = frozenset(locale_identifiers())
_BARE_LINE_BREAK = re.compile(r"[\r\n](?![\n \t])")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def language_of(letter: Letter) -> str:
    """The reader's language if we write it, else English."""
    short = letter.language[:2].lower()
    return short if short in LANGUAGES else "en"


def locale_of(letter: Letter) -> Locale:
    """How dates and amounts are written: by the language with the region it names, else with the debtor's country.

    English is written as in the United States there and as in Britain elsewhere: 1,000.00 never becomes 1.000,00 in it.
    """
    language = language_of(letter)
    region = letter.language[3:5].upper() if letter.language[2:3] in ("-", "_") else letter.country.upper()
    if language == "en":
        return Locale.parse("en_US" if region == "US" and letter.language[:2].lower() == "en" else "en_GB")
    return Locale.parse(f"{language}_{region}" if f"{language}_{region}" in _LOCALES else language)


def wording_of(letter: Letter) -> str:
    """Which text: named by the request if we have it, else by kind, else by level."""
    name = NOTICE_OF_TEMPLATE.get(letter.template, letter.template)
    if name in _texts("en")["notices"]:
        return name
    return NOTICE_OF_KIND.get(letter.kind, f"reminder_{min(max(letter.level, 1), 3)}")


def compose(letter: Letter, traceparent: str = "") -> bytes:
    """The message exactly as it is handed to the mail server. `traceparent` names its trace, which is ids alone."""
    language = language_of(letter)
    facts = _facts(letter, language)
    phrases = _phrases(letter, language, facts)
    text, html = _render("mail.txt.j2", facts, phrases), _render("mail.html.j2", facts, phrases)
    return rfc5322(
        {
            "From": formataddr((letter.sender.name, letter.sender.address)),
            "To": letter.recipient,
            "Reply-To": letter.reply_address,
            "Subject": Header(one_line(phrases["subject"]), header_name="Subject").encode(linesep=CRLF),
            "Date": format_datetime(letter.written_at),
            "Message-ID": letter.message_id,
            **({TRACE_HEADER: traceparent} if traceparent else {}),
            "Auto-Submitted": "auto-generated",
            "Content-Language": language,
            "MIME-Version": "1.0",
        },
        {"plain": text, "html": html},
        f"=_{letter.notice_id.hex}",
    )


def rfc5322(headers: dict[str, str], bodies: dict[str, str], boundary: str) -> bytes:
    """A multipart/alternative message; written by hand since email.message takes six times as long for the same bytes.

    Raises ValueError for a header that would become two lines; folded ones continue with a blank.
    """
    for name, value in headers.items():
        if _BARE_LINE_BREAK.search(value):
            raise ValueError(f"the header {name} holds a line break")
    head = [f"{name}: {value}" for name, value in headers.items()]
    head.append(f'Content-Type: multipart/alternative; boundary="{boundary}"')
    parts = [
        f'--{boundary}{CRLF}Content-Type: text/{kind}; charset="utf-8"{CRLF}'
        f"Content-Transfer-Encoding: quoted-printable{CRLF}{CRLF}{_quoted(body)}{CRLF}"
        for kind, body in bodies.items()
    ]
    return f"{CRLF.join(head)}{CRLF}{CRLF}{''.join(parts)}--{boundary}--{CRLF}".encode("ascii")


def _quoted(body: str) -> str:
    lines = CRLF.join(body.rstrip().splitlines())
    return binascii.b2a_qp(lines.encode(), istext=True).decode("ascii")


def _render(name: str, facts: dict[str, Any], phrases: dict[str, str]) -> str:
    return _environment().get_template(name).render(**facts, t=phrases)


def _facts(letter: Letter, language: str) -> dict[str, Any]:
    locale = locale_of(letter)
    days = _texts(language)["words"]["days"]
    rows = [
        {
            "number": one_line(item.number),
            "due_on": format_date(item.due_on, "medium", locale=locale),
            "days": _days(days, item.days_past_due),
            "claim": amount(item.remaining_minor - item.disputed_minor, item.currency, locale),
            "disputed": amount(item.disputed_minor, item.currency, locale) if item.disputed_minor else "",
        }
        for item in sorted(letter.items, key=lambda i: (i.due_on, i.number))
    ]
    return {
        "language": language,
        "rows": rows,
        "totals": [amount(minor, code, locale) for code, minor in sorted(letter.totals().items())],
        "credits": [amount(minor, code, locale) for code, minor in sorted(letter.credits_minor.items())],
        "creditor": letter.sender.name,
        "customer": one_line(letter.account_name) or letter.account_id,
        "name": one_line(letter.contact_name),
        "postal": [line for line in letter.sender.postal if line != letter.sender.name],
        "phone": letter.sender.phone,
        "bank_details": letter.sender.bank_details,
        "reference": letter.reference,
        "account_id": one_line(letter.account_id),
    }


def _phrases(letter: Letter, language: str, facts: dict[str, Any]) -> dict[str, str]:
    """The wording with its names filled in, as plain text; the HTML template escapes it."""
    texts = _texts(language)
    notice = texts["notices"][wording_of(letter)]
    words = {key: text for key, text in texts["words"].items() if isinstance(text, str)}
    greeting = words["greeting"] if facts["name"] else words["greeting_unnamed"]
    phrases = {**words, **notice, "greeting": greeting, "title": notice["subject"]}
    return {key: _compiled(text).render(**facts) if "{{" in text else text for key, text in phrases.items()}


@lru_cache(maxsize=512)
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


def _days(forms: dict[str, str], days: int) -> str:
    if days <= 0:
        return forms["none"]
    return forms["one"] if days == 1 else forms["other"].replace("{{ n }}", str(days))


def amount(amount_minor: int, currency: str, locale: Locale) -> str:
    """Amount with the currency's own digits, grouped as the reader's language does; the code, since `$` is many."""
    number = _number_pattern(locale, minor_digits(currency)).apply(to_decimal(amount_minor, currency), locale)
    return f"{number}\u00a0{currency}"


def _number_pattern(locale: Locale, digits: int) -> NumberPattern:
    pattern = copy(locale.decimal_formats[None])
    pattern.frac_prec = (digits, digits)
    return pattern


def one_line(text: str) -> str:
    """Text from outside as one printable line of bounded length."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())[:TEXT_CHARS_MAX]


@cache
def _texts(language: str) -> dict[str, Any]:
    return yaml.safe_load((TEMPLATES / "texts" / f"{language}.yaml").read_text(encoding="utf-8"))


@cache
def _environment() -> SandboxedEnvironment:
    return SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=False,
        keep_trailing_newline=True,
    )
