"""What each customer's phone or mailbox shows. Pure: built anew from the tables and from the stubs' ledgers.

A customer's own messages come from the record, its history and the stage; what they received comes from the stub of the
provider, so that a reply is shown only where it arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.protocol.record import HANDED_OFF_BY, MESSAGES, STATUS
from chalicelib.protocol.staging import CONTEXT, MESSAGE_SID
from local.tenants import MAIL, Customer, Tenant

Row = Mapping[str, Any]

_SHOWN_MAX = 60


@dataclass(frozen=True)
class Bubble:
    """One message on a phone."""

    id: str
    at: str
    """ISO 8601 in UTC."""
    text: str
    is_customers: bool
    subject: str = ""
    media: tuple[str, ...] = ()
    """What each attachment is called."""
    mark: str = ""
    """How far it came: `sent`, `delivered`, `read`, `failed`; of a customer's own: `refused` or `forged`."""

    @property
    def document(self) -> dict[str, Any]:
        """The bubble as the page reads it."""
        return {
            "id": self.id,
            "at": self.at,
            "text": self.text,
            "mine": self.is_customers,
            "subject": self.subject,
            "media": list(self.media),
            "mark": self.mark,
        }


@dataclass
class Phone:
    """One customer, in conversation with one company."""

    company: Tenant
    customer: Customer
    notes: list[Bubble] = field(default_factory=list)
    """What no table holds: forged requests, refused ones, and texts in the webhook's own answer."""
    written: list[Bubble] = field(default_factory=list)
    """What the customer wrote here: the phone shows it, whether or not it is recorded."""

    @property
    def conversation(self) -> str:
        """The id of the conversation."""
        return self.company.conversation_id(self.customer)

    def document(
        self, row: Row, history: Sequence[Row], staged: Sequence[Row], received: Iterable[Bubble], *, is_typing: bool
    ) -> dict[str, Any]:
        """The phone as the page reads it.

        Args:
            row: the conversation's record.
            history: the entries that were moved off it.
            staged: the messages that wait for a batch.
            received: what arrived from the company.
            is_typing: whether it shows that somebody types.
        """
        arrived = list(received)
        known = {one.id for one in arrived}
        entries = [*history, *row.get(MESSAGES, ())]
        seeded = [_entry(one) for one in entries[:1] if one["direction"] == "OUTBOUND"]
        mine = {one["message_id"]: _entry(one) for one in entries if one["direction"] == "INBOUND"}
        mine |= {str(one[MESSAGE_SID]): _staged(one) for one in staged}
        written = [one for one in self.written if one.id not in mine and not _is_recorded_mail(one, mine.values())]
        shown = [*(one for one in seeded if one.id not in known), *mine.values(), *written, *arrived, *self.notes]
        shown.sort(key=lambda one: one.at)
        return {
            "conversation": self.conversation,
            "name": self.customer.name.capitalize(),
            "address": self.customer.address,
            "company": self.company.company_name,
            "channel": self.customer.channel,
            "about": self.customer.about,
            "status": str(row.get(STATUS, "")),
            "with_people": bool(row.get(HANDED_OFF_BY) or row.get("hand_off_to_human")),
            "typing": is_typing,
            "bubbles": [one.document for one in shown[-_SHOWN_MAX:]],
        }


def _is_recorded_mail(written: Bubble, recorded: Iterable[Bubble]) -> bool:
    """Whether an e-mail is recorded: the engine knows it by an id of its own."""
    return bool(written.subject) and any(
        one.subject == written.subject and one.text.strip() == written.text.strip() and one.at >= written.at
        for one in recorded
    )


def phones_of(tenants: Iterable[Tenant]) -> dict[str, Phone]:
    """A phone for each customer of each company, by conversation."""
    return {
        phone.conversation: phone for one in tenants for phone in (Phone(one, customer) for customer in one.customers)
    }


def messages_to(phone: Phone, deliveries: Iterable[Row]) -> Iterator[Bubble]:
    """What Twilio's stub delivered to a phone."""
    for one in deliveries:
        if one["account_sid"] == phone.company.account_sid and (
            str(one["to"]).removeprefix("whatsapp:") == phone.customer.address
        ):
            yield Bubble(
                id=str(one["sid"]),
                at=_utc(one["taken_at"]),
                text=str(one["body"] or ""),
                is_customers=False,
                media=tuple(str(url).rpartition("/")[2] for url in one["media_urls"]),
                mark=str(one["status"]),
            )


def mails_to(phone: Phone, deliveries: Iterable[Row]) -> Iterator[Bubble]:
    """What SendGrid's stub delivered to a mailbox."""
    for one in deliveries:
        if one["to"] == phone.customer.address and one["sender"] == phone.company.addresses.get(MAIL):
            yield Bubble(
                id=str(one["id"]),
                at=_utc(one["taken_at"]),
                text=str(one["text"]),
                is_customers=False,
                subject=str(one["subject"]),
                mark="delivered",
            )


def _entry(one: Row) -> Bubble:
    """An entry of the record."""
    extras = one.get("extras") or {}
    return Bubble(
        id=str(one["message_id"]),
        at=_utc(one["timestamp"]),
        text=str(one.get("content") or _without_text(extras)),
        is_customers=one["direction"] == "INBOUND",
        subject=str(extras.get("subject", "")),
        media=_media(one.get("media", ())),
        mark="refused" if "refused" in one else "",
    )


def _staged(row: Row) -> Bubble:
    """A message that waits for a batch."""
    (message,) = row[CONTEXT]["messages"]
    extras = message.get("extras") or {}
    return Bubble(
        id=str(message["message_id"]),
        at=_utc(message["timestamp"]),
        text=str(message["body"] or _without_text(extras)),
        is_customers=True,
        subject=str(extras.get("subject", "")),
        media=_media(message.get("media", ())),
    )


def _without_text(extras: Row) -> str:
    """What stands for a message that is a place alone."""
    names = {name.lower(): value for name, value in extras.items()}
    if {"latitude", "longitude"} <= set(names):
        return f"Location {names['latitude']}, {names['longitude']}"
    return ""


def _media(media: Iterable[Row]) -> tuple[str, ...]:
    return tuple(str(one.get("filename") or one.get("content_type") or "a file") for one in media)


def _utc(at: Any) -> str:
    """An instant as the tables spell it: the order of the texts is the order of the instants."""
    return str(at).replace("Z", "+00:00")
