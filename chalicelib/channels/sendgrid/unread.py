"""An e-mail whose envelope and headers are read, and whose texts and attachments are not.

    parse        form, envelope, headers: what finds the conversation and its secret; under a provisional id
    [verified]   `judged`: the company's policies say who wrote it, and whether it is taken
    [loaded]     `read`: texts, attachments, and what is new beside what was said before

Guarantee: an e-mail that is not verified costs no more than reading its headers. All recipients of an e-mail share one
reading of its content. Its new part is determined for each recipient, because each has its own conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Final

from chalicelib.channels.email.addresses import first_mailbox, mailboxes
from chalicelib.channels.email.attachments import Attachments
from chalicelib.channels.email.authentication import Verdict, judge
from chalicelib.channels.email.automatic import is_automatic, is_own
from chalicelib.channels.email.earlier import Earlier
from chalicelib.channels.email.extras import extras_of
from chalicelib.channels.email.lists import Author, author_by_list
from chalicelib.channels.email.notes import Note, Notes
from chalicelib.channels.email.relations import relation_of
from chalicelib.channels.email.texts import Shown, text_of
from chalicelib.channels.sendgrid.inbound_parse import Mail, digest_of, read_content
from chalicelib.clock import Clock
from chalicelib.errors import Code, Rejected
from chalicelib.messages.extras import AUTHENTICATION
from chalicelib.messages.inbound import Address, AddressKind, Attachment, InboundMessage
from chalicelib.settings import Settings

UNVERIFIED_SID: Final = "em-unverified"
"""Stands for the id of an e-mail that is not verified."""

PLAIN_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, repr=False)
class _Content:
    """What an e-mail holds."""

    shown: tuple[Shown, ...]
    attachments: tuple[Attachment, ...]
    attachments_count: int
    notes: Notes


@dataclass(eq=False, repr=False)
class UnreadMail:
    """One e-mail whose content is read once it is verified."""

    mail: Mail
    channel: str
    clock: Clock
    settings: Settings
    seconds_spent: float = field(default=0.0, init=False)
    """On reading, for all recipients together."""

    def messages(self) -> tuple[InboundMessage, ...]:
        """The message, once for each of its recipients.

        Raises:
            Rejected: `MISSING_REQUIRED_FIELD`; neither the e-mail nor its envelope names a sender.
        """
        mail = self.mail
        claimed = first_mailbox(mail.first_from) or first_mailbox(mail.told_from)
        _, sender = _sender(claimed, mail)
        who, now = Address(AddressKind.EMAIL, sender), self.clock.now()
        return tuple(self._unverified(one, who, now) for one in mail.envelope.recipients)

    @cached_property
    def _author(self) -> Author:
        """Who wrote it, by its own header From."""
        mail = self.mail
        told = mail.headers.get("from")
        claimed = mailboxes(told) or mailboxes(mail.fields.get("from", ""))
        is_one = len(claimed) == 1 and len(mail.headers.all("from")) <= 1
        if not is_one:
            mail.notes.add(Note.SENDER)
        name, sender = _sender(claimed[0] if claimed else None, mail)
        return Author(name, sender, judge(**mail.results, sender=sender if is_one else None))

    def _unverified(self, recipient: str, sender: Address, now: datetime) -> InboundMessage:
        """What finds the conversation: the two addresses. An id can cost a digest of all that the e-mail says."""
        return InboundMessage(
            message_sid=UNVERIFIED_SID,
            channel=self.channel,
            account_id="",
            sender=sender,
            recipient=Address(AddressKind.EMAIL, recipient),
            body="",
            received_at=now,
            unread=self,
        )

    def _message(self, recipient: str, author: Author) -> InboundMessage:
        """The message for one of its recipients, under an id that is the same whenever it is posted."""
        notes = Notes(self.mail.notes)
        extras = extras_of(self.mail.headers, self.mail.fields, notes, sender_name=author.name)
        known_by = extras.get("email_message_id", "")
        if not known_by:
            notes.add(Note.MESSAGE_ID)
        if (
            author.verdict is Verdict.FAIL
        ):  # whoever knows an id could post it first, and the customer's own would be a retry
            known_by = ""
        digest = sha256(f"{known_by or self._digest}\n{recipient}".encode()).hexdigest()
        extras |= {AUTHENTICATION: author.verdict.value, "notes": str(notes)}
        return InboundMessage(
            message_sid=f"em-{digest[:40]}",
            channel=self.channel,
            account_id="",
            sender=Address(AddressKind.EMAIL, author.address),
            recipient=Address(AddressKind.EMAIL, recipient),
            body="",
            received_at=self.clock.now(),
            refusal=self._refusal(recipient, author),
            may_be_notified=author.verdict is Verdict.PASS,
            extras={name: value for name, value in extras.items() if value},
            unread=self,
        )

    def judged(self, message: InboundMessage, *, lists: Collection[str]) -> InboundMessage:
        """The message under a company's policies: its author may be another than its header From says.

        Args:
            message: this e-mail's, for one of its recipients.
            lists: the addresses of the company's own lists.

        Raises:
            Rejected: `PARSING_ERROR`; the form breaks a rule in what was not read before.
        """
        self.mail = self.mail.whole()
        author = author_by_list(self.mail.headers, lists, **self.mail.results) or self._author
        return self._message(message.recipient.value, author)

    def read(self, message: InboundMessage, earlier: Iterable[str]) -> InboundMessage:
        """The message with all that it says.

        Args:
            message: this e-mail's, for one of its recipients.
            earlier: what was said before in the conversation, the newest first.
        """
        began = self.clock.monotonic()
        content = self._content
        notes = Notes(content.notes)
        extras = extras_of(self.mail.headers, self.mail.fields, notes, sender_name="")
        has_answered = "in_reply_to" in extras or "references" in extras
        text = text_of(
            content.shown,
            notes,
            bytes_max=self.settings.email_text_bytes_max,
            relation=relation_of(extras.get("subject", ""), has_answered=has_answered),
            earlier=Earlier(earlier),
        )
        if not extras.get("email_message_id"):
            notes.add(Note.MESSAGE_ID)
        told = {"attachments_count": str(content.attachments_count), "notes": str(notes)}
        self.seconds_spent += self.clock.monotonic() - began
        return replace(
            message,
            body=text.body,
            whole=None if text.whole is None else Attachment(text.whole.encode(), PLAIN_TEXT),
            attachments=content.attachments,
            extras={name: value for name, value in {**message.extras, **told}.items() if value},
            unread=None,
        )

    @cached_property
    def _content(self) -> _Content:
        notes = Notes(self.mail.notes)
        attachments = Attachments(self.settings, notes)
        shown = read_content(self.mail, attachments, notes)
        return _Content(tuple(shown), attachments.attachments, attachments.count, notes)

    @cached_property
    def _digest(self) -> str:
        return digest_of(self.mail)

    def _refusal(self, recipient: str, author: Author) -> Code | None:
        """Why an e-mail is not taken: a machine wrote it, or it came back to its sender."""
        mail = self.mail
        if recipient == author.address or is_own(mail.headers, recipient):
            return Code.AUTOMATIC_MESSAGE
        if is_automatic(mail.headers, mail.envelope.return_path, author.address):
            return Code.AUTOMATIC_MESSAGE
        return None


def _sender(claimed: tuple[str, str] | None, mail: Mail) -> tuple[str, str]:
    """Name and address of the sender: as the header From or SendGrid's field claims them, else of the envelope.

    Raises:
        Rejected: `MISSING_REQUIRED_FIELD`.
    """
    name, sender = claimed or ("", mail.envelope.return_path)
    if not sender:
        raise Rejected(Code.MISSING_REQUIRED_FIELD, "from names nobody")
    return name, sender
