"""The demo ends with a picture that reads at 80 columns, in a pipe and in a terminal without UTF-8."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

from local.demo import picture
from local.demo.email_scenario import MailSent
from local.demo.outcome import Check, Outcome
from local.demo.promises import Promise, show
from local.demo.scenario import Died, Sent
from local.requests.emails import Mail
from local.requests.messages import Answer, Message
from local.stubs.phones import Delivery
from local.tenants import NORDIC, SUNRISE, TENANTS
from local.terminal import Console

OK = Answer(200, "<Response/>", 0.1)


def at(second: int) -> str:
    return f"2026-01-05T18:00:{second:02}.000000+00:00"


def written(customer: str, second: int, body: str, *, company: Any = SUNRISE, answer: Answer = OK, **told: Any) -> Sent:
    who = company.customer(customer)
    message = Message(
        channel=who.channel,
        sender=who.address,
        recipient=company.addresses[who.channel],
        account_sid=company.account_sid,
        body=body,
    )
    return Sent(message, answer, at(second), **told)


def delivered(customer: str, second: int, body: str, *, company: Any = SUNRISE) -> Delivery:
    return {
        "sid": f"SM{second}",
        "account_sid": company.account_sid,
        "to": company.customer(customer).address,
        "taken_at": at(second),
        "body": body,
        "media_urls": [],
        "status": "delivered",
    }


def outcome(*sent: Sent, deliveries: Any = (), mails_sent: Any = (), mails: Any = ()) -> Outcome:
    records = {one.conversation_id(who): {"messages": []} for one in TENANTS for who in one.customers}
    return Outcome(
        sent={str(number): one for number, one in enumerate(sent)},
        mails_sent={str(number): one for number, one in enumerate(mails_sent)},
        died=Died(None, None, None),
        batches=[],
        handoffs=[],
        records=records,
        deliveries=list(deliveries),
        mails=list(mails),
        kept={},
        sends={},
        other_rows={},
        waiting={},
        notice="",
        steps={},
    )


def drawn(*sent: Sent, width: int = 80, **told: Any) -> list[str]:
    page = StringIO()
    picture.show(Console(file=page, width=width), picture.documents(outcome(*sent, **told)))
    return page.getvalue().splitlines()


def test_a_phone_shows_what_its_customer_wrote_on_the_right_and_what_arrived_on_the_left():
    lines = drawn(written("anna", 1, "Is breakfast included?"), deliveries=[delivered("anna", 2, "It is.")])

    assert "Anna, WhatsApp to Sunrise Travel" in lines[0]
    (mine,) = (line for line in lines if "breakfast" in line)
    (theirs,) = (line for line in lines if "It is." in line)
    assert mine.rstrip().removesuffix("│").rstrip().endswith("included?")
    assert theirs.startswith("│ It is. (delivered)")
    assert lines.index(mine) < lines.index(theirs)


def test_two_phones_stand_side_by_side_in_80_columns_and_below_each_other_in_less():
    two = written("anna", 1, "Hello " * 20), written("david", 2, "Moin", company=NORDIC)

    wide, narrow = drawn(*two), drawn(*two, width=60)

    assert "Anna" in wide[0]
    assert "David" in wide[0]
    assert "David" not in narrow[0]
    assert all(len(line) <= 80 for line in wide)
    assert all(len(line) <= 60 for line in narrow)


def test_what_a_forger_wrote_is_on_no_phone_and_a_repeated_request_is_there_once():
    once = written("anna", 1, "Hello")

    lines = drawn(once, once, written("anna", 3, "Send my money elsewhere.", is_forged=True))

    assert sum("Hello" in line for line in lines) == 1
    assert not any("money" in line for line in lines)


def test_a_text_of_the_webhooks_own_answer_stands_below_what_it_answers():
    notice = Answer(200, "<Response><Message>Please wait.</Message></Response>", 0.1)

    lines = drawn(written("david", 1, "And on Monday?", company=NORDIC, answer=notice))

    places = [next(number for number, line in enumerate(lines) if text in line) for text in ("Monday", "Please wait.")]
    assert places == sorted(places)


def test_a_mailbox_shows_subjects_and_a_long_text_only_its_beginning():
    gina = SUNRISE.customer("gina")
    mail = Mail(
        sender=gina.address, recipient=SUNRISE.addresses["email"], subject="Away", body="I am away.", message_id="<1@x>"
    )
    refused = MailSent(mail, Answer(200, '{"code": "AUTOMATIC_MESSAGE"}', 0.1), at(1))
    reply = {
        "id": "1",
        "to": gina.address,
        "sender": SUNRISE.addresses["email"],
        "taken_at": at(2),
        "text": "long " * 200,
        "subject": "Re: A room",
    }

    lines = drawn(mails_sent=[refused], mails=[reply])

    assert any("Away" in line for line in lines)
    assert any("Re: A room" in line for line in lines)
    assert any("[1,000 characters]" in line for line in lines)
    assert len(lines) < 15


def test_a_customer_who_never_wrote_has_no_phone_in_the_picture():
    assert drawn() == []


def test_a_terminal_without_utf_8_gets_plain_characters():
    raw = BytesIO()
    console = Console(file=TextIOWrapper(raw, encoding="ascii"), width=80)

    picture.show(console, picture.documents(outcome(written("anna", 1, "Hello"))))
    show(console, [Promise("Nothing is lost", (Check("one", 1, 1),))], verbose=True)
    console.file.flush()

    assert b"Hello" in raw.getvalue()
    assert b"ok Nothing is lost" in raw.getvalue()


def folded(*promises: Promise, verbose: bool = False) -> str:
    page = StringIO()
    show(Console(file=page, width=80), promises, verbose=verbose)
    return page.getvalue()


def test_a_promise_that_holds_is_one_line_and_a_broken_one_shows_the_check_that_fails():
    kept = Promise("Nothing is lost", (Check("one", 1, 1), Check("two", 2, 2)))
    broken = Promise("Nothing is doubled", (Check("three", 3, 3), Check("four", [4], [5])))

    lines = folded(kept, broken).splitlines()

    assert lines[0].startswith("✔ Nothing is lost")
    assert lines[0].rstrip().endswith("2 checks")
    assert lines[1].startswith("✘ Nothing is doubled")
    assert [line.strip() for line in lines[2:]] == ["✘ four", "expected [4]", "found    [5]"]


def test_every_check_is_shown_where_every_line_is_wanted_and_none_is_wider_than_80_columns():
    told = folded(Promise("Nothing is lost " * 8, (Check("a check of many words " * 8, 1, 1),)), verbose=True)

    assert "a check of many words" in told
    assert all(len(line) <= 80 for line in told.splitlines())
