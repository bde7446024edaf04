"""A phone shows what its customer wrote and what really arrived, each once and in order."""

from __future__ import annotations

from typing import Any

from local.console.phones import Bubble, Phone, mails_to, messages_to, phones_of
from local.tenants import NORDIC, SUNRISE

ANNA = phones_of([SUNRISE])["sunrise-anna"]
GINA = phones_of([SUNRISE])["sunrise-gina"]


def entry(message_id: str, second: int, **told: Any) -> dict[str, Any]:
    at = f"2026-01-05T00:00:{second:02}.000000+00:00"
    return {"message_id": message_id, "direction": "INBOUND", "content": "Hello", "timestamp": at, **told}


def staged(message_id: str, second: int, body: str) -> dict[str, Any]:
    at = f"2026-01-05T00:00:{second:02}.000000+00:00"
    return {
        "message_sid": message_id,
        "context_object": {"messages": [{"message_id": message_id, "timestamp": at, "body": body, "media": []}]},
    }


def shown(phone: Phone, row: Any, *, rows: Any = (), received: Any = ()) -> list[tuple[str, bool]]:
    document = phone.document(row, [], rows, received, is_typing=False)
    return [(one["text"], one["mine"]) for one in document["bubbles"]]


def test_recorded_staged_and_received_messages_stand_in_the_order_of_time():
    phone = Phone(SUNRISE, ANNA.customer)
    row = {"messages": [entry("out", 0, direction="OUTBOUND", content="Hello Anna"), entry("in", 1)]}
    arrived = Bubble("reply", "2026-01-05T00:00:02.000000+00:00", "Good evening", is_customers=False)

    told = shown(phone, row, rows=[staged("next", 3, "And?")], received=[arrived])

    assert told == [("Hello Anna", False), ("Hello", True), ("Good evening", False), ("And?", True)]


def test_a_recorded_reply_that_never_arrived_is_not_shown():
    row = {"messages": [entry("in", 1), entry("out", 2, direction="OUTBOUND", content="Lost on the way")]}

    assert shown(Phone(SUNRISE, ANNA.customer), row) == [("Hello", True)]


def test_what_the_customer_wrote_is_shown_once_recorded_or_refused():
    phone = Phone(SUNRISE, ANNA.customer)
    phone.written += [
        Bubble("in", "2026-01-05T00:00:01.000000+00:00", "Hello", is_customers=True),
        Bubble("refused", "2026-01-05T00:00:02.000000+00:00", "Refused by a rule", is_customers=True),
    ]

    assert shown(phone, {"messages": [entry("in", 1)]}) == [("Hello", True), ("Refused by a rule", True)]


def test_an_e_mail_is_shown_once_although_the_engine_names_it_otherwise():
    phone = Phone(SUNRISE, GINA.customer)
    at = "2026-01-05T00:00:00.900000+00:00"
    phone.written.append(Bubble("<id@x>", at, "A mail", is_customers=True, subject="Room"))

    recorded = entry("em-1", 1, content="A mail", extras={"subject": "Room"})

    assert shown(phone, {"messages": [recorded]}) == [("A mail", True)]


def test_a_message_reaches_the_phone_of_its_own_company_only():
    delivery = {
        "sid": "SM1",
        "account_sid": SUNRISE.account_sid,
        "to": f"whatsapp:{ANNA.customer.address}",
        "taken_at": "2026-01-05T00:00:02.000000+00:00",
        "body": "Good evening",
        "media_urls": ["https://example.com/menu.pdf"],
        "status": "delivered",
    }

    (bubble,) = messages_to(ANNA, [delivery, {**delivery, "account_sid": NORDIC.account_sid}])

    assert (bubble.text, bubble.media, bubble.mark) == ("Good evening", ("menu.pdf",), "delivered")


def test_an_e_mail_reaches_the_mailbox_of_its_own_company_only():
    mail = {
        "id": "m1",
        "to": GINA.customer.address,
        "sender": SUNRISE.addresses["email"],
        "taken_at": "2026-01-05T00:00:02.000000+00:00",
        "subject": "Re: Room",
        "text": "Gladly",
    }

    (bubble,) = mails_to(GINA, [mail, {**mail, "sender": NORDIC.addresses["email"]}])

    assert (bubble.subject, bubble.text) == ("Re: Room", "Gladly")
