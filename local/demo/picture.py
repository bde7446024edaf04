"""The picture at the end of the demo: each phone and mailbox as its customer sees it. Pure: built from the outcome.

Two stand side by side in 80 columns: what the customer wrote on the right, what arrived on the left. Without colours
and in a pipe it reads the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.console.phones import Bubble, Phone, mails_to, messages_to, phones_of
from local.demo.outcome import Outcome
from local.demo.scenario import told_by
from local.tenants import MAIL, TENANTS
from local.visible import visible

COLUMNS = 80
_SIDE_BY_SIDE = 2
_INDENT = 6
"""How far a message stands from the other side of the phone."""
_CHARACTERS_MAX = 170
_CHANNELS = {"whatsapp": "WhatsApp", "sms": "SMS", MAIL: "e-mail"}

Document = Mapping[str, Any]


def documents(outcome: Outcome) -> list[Document]:
    """Each phone and mailbox of somebody who wrote, as the console of `make run` builds it too."""
    phones = phones_of(TENANTS)
    for sent in outcome.sent.values():
        message, phone = sent.message, _written_on(phones.values(), sent.message.sender)
        if sent.is_forged or any(one.id == message.sid for one in phone.written):
            continue
        media = ("a photo",) if message.media else ()
        phone.written.append(
            Bubble(message.sid, sent.at, message.button or message.body, is_customers=True, media=media)
        )
        if notice := told_by(sent.answer):
            phone.notes.append(Bubble(f"notice {message.sid}", sent.at, notice, is_customers=False, mark="delivered"))
    for mail in outcome.mails_sent.values():
        if mail.told[1] is not None and not mail.is_forged:
            phone = _written_on(phones.values(), mail.mail.sender)
            phone.written.append(
                Bubble(mail.mail.sid, mail.at, mail.mail.body, is_customers=True, subject=mail.mail.subject)
            )
    return [_document(phone, outcome) for phone in phones.values() if outcome.wrote(phone.customer.address)]


def _written_on(phones: Iterable[Phone], address: str) -> Phone:
    return next(one for one in phones if one.customer.address == address)


def _document(phone: Phone, outcome: Outcome) -> Document:
    is_mail = phone.customer.channel == MAIL
    received = mails_to(phone, outcome.mails) if is_mail else messages_to(phone, outcome.deliveries)
    return phone.document(outcome.records[phone.conversation], [], [], received, is_typing=False)


def show(console: Console, phones: Sequence[Document]) -> None:
    """Print the phones, side by side where there is room."""
    abreast = _SIDE_BY_SIDE if console.width >= COLUMNS else 1
    width = min(console.width, COLUMNS) // abreast
    for start in range(0, len(phones), abreast):
        row = Table.grid()
        for _ in range(abreast):
            row.add_column(width=width)
        row.add_row(*(_panel(one, width) for one in phones[start : start + abreast]))
        console.print(row)


def _panel(phone: Document, width: int) -> Panel:
    title = f"{phone['name']}, {_CHANNELS[phone['channel']]} to {phone['company']}"
    bubbles = [_bubble(one, phone["channel"]) for one in phone["bubbles"]] or [Text("nothing", style="dim")]
    return Panel(Group(*bubbles), title=Text(title, style="bold"), title_align="left", width=width - 1)


def _bubble(told: Document, channel: str) -> RenderableType:
    """One message: the customer's own at the right, what arrived at the left with how far it came."""
    is_mine = bool(told["mine"])
    words = Text(justify="right" if is_mine else "left", style="green" if is_mine else "")
    if told["subject"]:
        words.append(f"{visible(str(told['subject']))}\n", style="bold")
    parts = [*(f"[{name}]" for name in told["media"]), _shortened(str(told["text"]))]
    words.append(visible("\n".join(part for part in parts if part)))
    if told["mark"] and not is_mine and channel != MAIL:
        words.append(f" ({told['mark']})", style="dim")
    return Padding(words, (0, 0, 0, _INDENT) if is_mine else (0, _INDENT, 0, 0))


def _shortened(text: str) -> str:
    """The beginning of a text that would fill the phone, and how long it is."""
    if len(text) <= _CHARACTERS_MAX:
        return text
    return f"{text[:_CHARACTERS_MAX].rstrip()} ... [{len(text):,} characters]"
