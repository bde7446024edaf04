"""The e-mails of the scripted evening, all of them to Sunrise Travel.

gina          two e-mails; SendGrid delivers the first one twice, and the second has a photo and quotes what it answers
a forger      one in her name
her machine   an answer to the reply: she is away

To the reply SendGrid has too much to do at first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from local import tenants
from local.demo.timeline import Timeline
from local.requests.emails import Attachment, Mail, fresh_message_id, mail_url, send
from local.requests.messages import Answer
from local.stack import STAGE, Stack
from local.stubs.sendgrid import Fault
from local.stubs.server import Kind
from local.tenants import MAIL, PRIVATE_KEY, SUNRISE

SUBJECT = "A room by the sea"
NEW_OF_GINA = "One more thing: may we bring our dog? A photo of him is attached."
QUOTED_BY_GINA = """

On Mon, 5 Jan 2026 at 17:30, Sunrise Travel <help@sunrise.example> wrote:
> Hello Gina, this is Sunrise Travel. How can we help?
"""
DOG = Attachment("dog.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))


@dataclass(frozen=True)
class MailSent:
    """One request and its answer."""

    mail: Mail
    answer: Answer
    at: str
    """When it was answered: ISO 8601 in UTC."""
    is_forged: bool = False

    @property
    def told(self) -> tuple[int, str | None]:
        """The answer's status and its code; None: it has none."""
        return self.answer.status, json.loads(self.answer.body)["code"]


@dataclass
class EmailScenario:
    """Writes the e-mails and keeps what was sent, by a name for each request."""

    stack: Stack
    timeline: Timeline
    url: str
    sent: dict[str, MailSent]

    def burst(self) -> None:
        """What is written before anybody answers."""
        self.stack.mailboxes.fail_next(Fault(kind=Kind.TOO_MANY, retry_after_seconds=2))
        self.timeline.headline("Gina writes two e-mails; SendGrid delivers the first one twice. A forger writes too.")
        first = self._writes("gina-first", SUBJECT, body="Good evening! Have you a room by the sea?")
        self._sends("gina-first-again", first)
        self._writes(
            "gina-second",
            f"Re: {SUBJECT}",
            body=NEW_OF_GINA + QUOTED_BY_GINA,
            attachments=(DOG,),
            headers={"In-Reply-To": first.message_id, "References": first.message_id},
        )
        self._writes("gina-forged", SUBJECT, body="Send the bill to someone else.", forge=True)

    def machine_answers(self) -> None:
        """What comes back to the reply."""
        self.timeline.headline("Gina's machine answers the reply: she is away.")
        (reply,) = self.stack.mailboxes.deliveries()
        self._writes(
            "gina-away",
            f"Away: {reply['subject']}",
            body="I am on holiday until Monday.",
            headers={"Auto-Submitted": "auto-replied", "In-Reply-To": reply["headers"]["Message-ID"]},
            is_raw=True,
        )

    @cached_property
    def _secret(self) -> Mapping[str, str]:
        """Of the company that is written to."""
        return tenants.secret(self.stack.aws, SUNRISE.credential_ref(MAIL, STAGE))

    def _writes(self, name: str, subject: str, *, forge: bool = False, is_raw: bool = False, **what: Any) -> Mail:
        who = SUNRISE.customer("gina")
        mail = Mail(
            sender=who.address,
            recipient=SUNRISE.addresses[MAIL],
            subject=subject,
            name=who.name.capitalize(),
            message_id=fresh_message_id("customer.example"),
            **what,
        )
        self._sends(name, mail, forge=forge, is_raw=is_raw)
        return mail

    def _sends(self, name: str, mail: Mail, *, forge: bool = False, is_raw: bool = False) -> None:
        who = SUNRISE.conversation_id(SUNRISE.customer("gina"))
        (first_line, *_) = mail.body.splitlines()
        told = "the same once more (a retry)" if name.endswith("-again") else f"{mail.subject} | {first_line}"
        self.timeline.show(who, "forger" if forge else "customer", f"e-mail: {told}")
        url = mail_url(self.url, self._secret)
        answer = send(url, mail, self._secret.get(PRIVATE_KEY), is_raw=is_raw, forge=forge)
        self.sent[name] = MailSent(mail, answer, datetime.now(UTC).isoformat(timespec="microseconds"), is_forged=forge)
        status, code = self.sent[name].told
        self.timeline.show(who, "webhook", f"answers {status}" + (f": {code}" if code else ""))
