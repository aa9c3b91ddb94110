"""What a notice says and how it is written down."""

import email
from dataclasses import replace
from datetime import UTC, date, datetime
from email import policy as email_policy
from email.message import EmailMessage
from pathlib import Path

import pytest
import yaml
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from sample.bank import BANK_ACCOUNTS
from services.notifications.channels.content import LANGUAGES, amount, compose, one_line, rfc5322, wording_of
from services.notifications.domain.letter import Letter, message_id
from shared.ids import derive
from tests.domain.notifications.builders import noted, rules

NOTICE = derive("notice", 1)


def letter(**changes) -> Letter:
    made = Letter(
        notice_id=NOTICE, company="acme", account_id="A-1", contact_id="c", account_name="Debtor & Söhne",
        contact_name="Ada Payer", recipient="ada@debtor.example", sender=rules().sender,
        message_id=message_id(NOTICE, "creditor.example"), kind="reminder", channel="email", level=1,
        template="reminder_friendly", language="en", written_at=datetime(2026, 1, 20, 9, tzinfo=UTC),
        written_on=date(2026, 1, 20),
        items=(noted(1, 123_456), noted(2, 100_000, 40_000), noted(3, 7_000, currency="JPY")),
    )  # fmt: skip
    return replace(made, **changes)


def read(made: Letter) -> EmailMessage:
    return email.message_from_bytes(compose(made), policy=email_policy.default)


def text_of(made: Letter) -> str:
    return read(made).get_body(("plain",)).get_content()


def html_of(made: Letter) -> str:
    return read(made).get_body(("html",)).get_content()


def test_it_states_claims_totals_and_what_is_left_out() -> None:
    for body in (text_of(letter()), html_of(letter())):
        plain = body.replace("\xa0", " ")
        assert "1,234.56 EUR" in plain
        assert "600.00 EUR" in plain
        assert "400.00 EUR" in plain
        assert "7,000 JPY" in plain
        assert "1,834.56 EUR" in plain


def test_open_credits_are_named() -> None:
    assert "Credit on your account, not yet deducted: 12.00\xa0EUR" in text_of(letter(credits_minor={"EUR": 1_200}))


@pytest.mark.parametrize(
    ("language", "subject", "number"),
    [
        ("en", "Payment reminder from", "1,234.56\xa0EUR"),
        ("de-AT", "Zahlungserinnerung von", "1.234,56\xa0EUR"),
        ("fr", "Rappel de paiement de", "1\u202f234,56\xa0EUR"),
        ("xx", "Payment reminder from", "1,234.56\xa0EUR"),
    ],
)
def test_it_speaks_the_readers_language_or_english(language: str, subject: str, number: str) -> None:
    made = letter(language=language)
    assert read(made)["Subject"].startswith(subject)
    assert number in text_of(made)


@pytest.mark.parametrize(
    ("language", "country", "due_on"),
    [
        ("en", "GB", "10 Jan 2026"),
        ("en", "US", "Jan 10, 2026"),
        ("en", "DE", "10 Jan 2026"),
        ("en", "", "10 Jan 2026"),
        ("en-US", "GB", "Jan 10, 2026"),
        ("de", "AT", "10.01.2026"),
        ("de", "", "10.01.2026"),
        ("fr", "FR", "10 janv. 2026"),
        ("xx", "JP", "10 Jan 2026"),
    ],
)
def test_dates_follow_the_language_and_the_country_of_the_reader(language: str, country: str, due_on: str) -> None:
    made = letter(
        language=language, country=country, items=(noted(1, 100).model_copy(update={"due_on": date(2026, 1, 10)}),)
    )
    assert due_on in text_of(made) and due_on in html_of(made)


def test_english_amounts_are_english_wherever_the_reader_is() -> None:
    assert "1,234.56\xa0EUR" in text_of(letter(country="DE"))


def test_the_company_is_named_once_in_the_signature() -> None:
    sender = rules().sender.model_copy(update={"name": "Acme GmbH", "postal": ("Acme GmbH", "Am Kai 1", "Hamburg")})
    text = text_of(letter(sender=sender))
    assert "Acme GmbH\nAm Kai 1\nHamburg" in text.replace("\r\n", "\n") and "Acme GmbH\nAcme GmbH" not in text
    assert html_of(letter(sender=sender)).count("Acme GmbH<br>") == 0


def test_a_reminder_says_where_to_pay() -> None:
    sender = rules().sender.model_copy(update={"bank_details": ("Elbe Bank, DE64 2019",)})
    for body in (text_of(letter(sender=sender)), html_of(letter(sender=sender))):
        assert "Please pay to:" in body and "Elbe Bank, DE64 2019" in body
    assert "Please pay to:" not in text_of(letter(sender=sender.model_copy(update={"bank_details": ()})))


def test_the_sample_policy_names_the_accounts_whose_statements_the_sample_makes() -> None:
    content = yaml.safe_load((Path(__file__).parents[3] / "deploy" / "policies" / "contact.yaml").read_text())
    details = " ".join(content["sender"]["bank_details"]).replace(" ", "")
    assert all(account.iban in details and account.bic in details for account in BANK_ACCOUNTS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "template", ["reminder_1", "reminder_2", "reminder_3", "final", "hold_warning", "broken_promise"]
)
def test_every_notice_exists_in_every_language(language: str, template: str) -> None:
    made = letter(language=language, template=template)
    assert "{" not in text_of(made) + html_of(made) + read(made)["Subject"]


@pytest.mark.parametrize(
    ("template", "kind", "level", "wording"),
    [
        ("reminder_friendly", "reminder", 1, "reminder_1"),
        ("reminder_firm", "reminder", 2, "reminder_2"),
        ("hold_warning", "hold_warning", 3, "hold_warning"),
        ("unheard_of", "hold_warning", 3, "hold_warning"),
        ("unheard_of", "escalation", 4, "final"),
        ("../../etc/passwd", "reminder", 9, "reminder_3"),
        ("", "reminder", 0, "reminder_1"),
    ],
)
def test_the_wording_follows_template_kind_and_level(template: str, kind: str, level: int, wording: str) -> None:
    assert wording_of(letter(template=template, kind=kind, level=level)) == wording


def test_markup_and_line_breaks_in_names_are_neutral() -> None:
    made = letter(
        account_name="<script>alert(1)</script>\r\nBcc: victim@x.example",
        contact_name="{{ 7*7 }}\n\nPlease pay to DE00",
        items=(noted(1).model_copy(update={"number": "<img src=x>"}),),
    )
    html, text, message = html_of(made), text_of(made), read(made)
    assert "<script>" not in html
    assert "<img" not in html
    assert "49" not in text.splitlines()[0]
    assert text.splitlines()[0] == "Dear {{ 7*7 }} Please pay to DE00,"
    assert message["Bcc"] is None
    assert message.get_all("To") == ["ada@debtor.example"]


def test_the_subject_names_the_creditor_and_no_one_else() -> None:
    for language in LANGUAGES:
        subject = read(letter(language=language))["Subject"]
        assert "Harbour Data Rooms GmbH" in subject
        assert "Debtor" not in subject
        assert "Ada" not in subject


def test_headers_make_replies_and_bounces_come_back_to_the_notice() -> None:
    message = read(letter())
    assert message["Reply-To"] == f"reply+{NOTICE.hex}@harbour-data-rooms.example"
    assert message["Message-ID"] == f"<{NOTICE.hex}@creditor.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == datetime(2026, 1, 20, 9, tzinfo=UTC)


def test_the_same_letter_gives_the_same_bytes_in_seven_bits_and_short_lines() -> None:
    made = letter(account_name="Ä" * 200, items=tuple(noted(n) for n in range(50)))
    content = compose(made)
    assert content == compose(made)
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_a_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        rfc5322({"To": "a@b.de\r\nBcc: c@d.de"}, {}, "x")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
def test_whatever_a_name_holds_the_message_stays_one_message(account_name: str, contact_name: str, number: str) -> None:
    items = (noted(1).model_copy(update={"number": number}),)
    message = read(letter(account_name=account_name, contact_name=contact_name, items=items))
    assert not message.defects
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text = message.get_body(("plain",)).get_content()
    assert len(text.splitlines()) == len(text_of(letter(items=(noted(1),))).splitlines())


@given(st.text(max_size=300))
def test_text_from_outside_is_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 200
    assert len(line.splitlines()) <= 1


@given(st.integers(min_value=0, max_value=10**15), st.sampled_from(["EUR", "JPY", "KWD", "HUF"]))
def test_amounts_keep_every_digit(minor: int, currency: str) -> None:
    shown = amount(minor, currency, Locale.parse("en"))
    assert int("".join(c for c in shown if c.isdigit())) == minor
    assert shown.endswith(f"\xa0{currency}")
