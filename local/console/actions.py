"""The actions of a person at the page: write as a customer, answer as a person, inject a fault."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

from local import tenants
from local.console.faults import Faults
from local.console.inbox import Inbox
from local.console.observer import Observer
from local.console.phones import Bubble, Phone
from local.console.web import Action, Document, Unfit, text
from local.requests import emails, messages
from local.requests.emails import Attachment, Mail, fresh_message_id
from local.requests.messages import Answer, Message, UnreachableError
from local.stack import STAGE, Stack
from local.tenants import MAIL, PRIVATE_KEY

PHOTO = "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0.jpg"
LOCATION = ("51.5007", "-0.1246")
_ATTACHMENT_BYTES_MAX = 2_000_000

_Post = Callable[[], Answer]


@dataclass
class Actions:
    """The page's actions on a running stack."""

    stack: Stack
    url: str
    """Of the app's server."""
    phones: Mapping[str, Phone]
    observer: Observer
    inbox: Inbox
    faults: Faults
    _last: dict[str, tuple[Bubble, _Post]] = field(default_factory=dict)
    """The last request of each conversation, for a retry."""

    @property
    def by_name(self) -> dict[str, Action]:
        """Each action by the name in its URL."""
        return {
            "send": self.send,
            "retry": self.retry,
            "fault": self.fault,
            "answer": self.answer,
            "give-back": self.give_back,
            "close": self.close,
        }

    def send(self, told: Document) -> object:
        """Send what a customer wrote: `body`, and `button`, `photo`, `location`, `subject`, `file`, `forge`."""
        phone = self._phone(told)
        make = self._mail if phone.customer.channel == MAIL else self._message
        bubble, post = make(phone, told, forge=bool(told.get("forge")))
        if told.get("forge"):
            return self._posted(phone, replace(bubble, text="a forged request", mark="forged"), post)
        self._last[phone.conversation] = (bubble, post)
        return self._posted(phone, bubble, post)

    def retry(self, told: Document) -> object:
        """Send the customer's last request once more, as a provider's retry does."""
        phone = self._phone(told)
        if phone.conversation not in self._last:
            raise Unfit("there is no earlier request of this phone to send again")
        return self._posted(phone, *self._last[phone.conversation])

    def fault(self, told: Document) -> object:
        """Order a fault."""
        customer = self._phone(told).customer if told.get("conversation") else None
        self.faults.order(text(told, "name"), customer)
        self.faults.publish()
        return {}

    def answer(self, told: Document) -> object:
        """Answer a customer as a person."""
        self.inbox.answer(text(told, "item"), text(told, "text"))
        return {}

    def give_back(self, told: Document) -> object:
        """Give a conversation back to the AI."""
        self.inbox.give_back(text(told, "item"))
        return {}

    def close(self, told: Document) -> object:
        """Put an item of the inbox aside."""
        self.inbox.close(text(told, "item"))
        return {}

    def _posted(self, phone: Phone, bubble: Bubble, post: _Post) -> object:
        began = _now()
        try:
            answer = post()
        except UnreachableError as fault:
            raise Unfit(f"the app does not answer: {fault}") from fault
        if bubble.mark or not answer.is_success:
            mark = f"{bubble.mark or 'refused'}, {answer.status}"
            self.observer.note(phone.conversation, replace(bubble, id=f"{mark} {began}", at=began, mark=mark))
        elif bubble.id not in {one.id for one in phone.written}:
            self.observer.write(phone.conversation, replace(bubble, at=began))
        if answer.is_success and (told := _text_of(answer)):
            self.observer.note(
                phone.conversation, Bubble(f"answer {began}", _now(), told, is_customers=False, mark="delivered")
            )
        return {"status": answer.status, "milliseconds": round(answer.seconds * 1_000)}

    def _phone(self, told: Document) -> Phone:
        phone = self.phones.get(text(told, "conversation"))
        if phone is None:
            raise Unfit("there is no such phone")
        return phone

    def _message(self, phone: Phone, told: Document, *, forge: bool) -> tuple[Bubble, _Post]:
        channel, company = phone.customer.channel, phone.company
        button = told.get("button")
        what: dict[str, Any] = {"body": text(told, "body", default="")}
        if button:
            what = {"button": str(button)}
        elif told.get("photo"):
            what["media"] = (PHOTO,)
        elif told.get("location") and channel == "whatsapp":
            what["location"] = LOCATION
        if not any(what.values()):
            raise Unfit("the message is blank")
        message = Message(
            channel=channel,
            sender=phone.customer.address,
            recipient=company.addresses[channel],
            account_sid=company.account_sid,
            profile_name=phone.customer.name.capitalize(),
            opt_out=_opt_out(what.get("body", "")) if channel == "sms" else None,
            **what,
        )
        url = messages.webhook_url(self.url, channel)
        files = ("a photo",) if message.media else ()
        words = message.button or message.body or (f"Location {', '.join(LOCATION)}" if message.location else "")
        bubble = Bubble(message.sid, _now(), words, is_customers=True, media=files)
        return bubble, partial(messages.send, url, message, company.auth_token, forge=forge)

    def _mail(self, phone: Phone, told: Document, *, forge: bool) -> tuple[Bubble, _Post]:
        secret = tenants.secret(self.stack.aws, phone.company.credential_ref(MAIL, STAGE))
        mail = Mail(
            sender=phone.customer.address,
            recipient=phone.company.addresses[MAIL],
            subject=text(told, "subject", default="") or "Hello",
            body=text(told, "body", default=""),
            name=phone.customer.name.capitalize(),
            attachments=tuple(_attachments(told)),
            message_id=fresh_message_id(phone.customer.address.rpartition("@")[2]),
        )
        if not mail.body.strip() and not mail.attachments:
            raise Unfit("the e-mail is blank")
        if forge:
            secret.pop("url_token", None)
        files = tuple(one.filename for one in mail.attachments)
        bubble = Bubble(mail.sid, _now(), mail.body, is_customers=True, subject=mail.subject, media=files)
        url = emails.mail_url(self.url, secret)
        return bubble, partial(emails.send, url, mail, secret.get(PRIVATE_KEY), forge=forge)


def _attachments(told: Document) -> list[Attachment]:
    file = told.get("file")
    if not isinstance(file, dict):
        return []
    try:
        content = base64.b64decode(text(file, "content"), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise Unfit("the file arrived damaged") from fault
    if len(content) > _ATTACHMENT_BYTES_MAX:
        raise Unfit(f"the file is larger than {_ATTACHMENT_BYTES_MAX:,} bytes")
    return [Attachment(text(file, "name"), content)]


def _opt_out(body: str) -> str | None:
    """What Twilio's Advanced Opt-Out adds to such an SMS."""
    word = body.strip().upper()
    return word if word in {"STOP", "START", "HELP"} else None


def _text_of(answer: Answer) -> str:
    """The text that a webhook's own answer has the provider send; empty: none."""
    try:
        response = ET.fromstring(answer.body)  # noqa: S314  # our own server's answer
    except ET.ParseError:
        return ""
    return "".join(response.itertext()).strip() if response.tag == "Response" else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
