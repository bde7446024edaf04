"""A deployment that is written to by e-mail, of which only the parsing and the proof are stood in for.

A request is one JSON document, proven by a word that the secret knows: what the engine does with a message is the same
whatever form it came in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalice.app import Response

from chalicelib import wiring
from chalicelib.channels.channel import Vendor
from chalicelib.channels.provider import WebhookRequest
from chalicelib.handlers import webhooks
from chalicelib.messages.inbound import Address, AddressKind, InboundMessage
from tests.fakes.faults import FaultPlan
from tests.world import World, conversation

HELP_DESK, STRANGER = "help@acme.example", "stranger@customer.example"
MAIL_REF = "ai-multi-comms/email-credentials/acme/main/sendgrid-local"
WORD = "a word that only the provider knows"


class _Mail:
    """What parses and proves: a `Provider`."""

    def __init__(self, engine: wiring.Engine) -> None:
        self._engine = engine

    def bears_proof(self, headers: Mapping[str, str], url_token: str) -> bool:
        return bool(headers["x-word"])

    def parse(self, request: WebhookRequest) -> Sequence[InboundMessage]:
        told = json.loads(request.body)
        return [
            InboundMessage(
                message_sid=told["message_sid"],
                channel="email",
                account_id="",
                sender=Address(AddressKind.EMAIL, told["sender"]),
                recipient=Address(AddressKind.EMAIL, recipient),
                body=told["body"],
                received_at=self._engine.clock.now(),
                may_be_notified=told["may_be_notified"],
                extras=told["extras"],
            )
            for recipient in told["recipients"]
        ]

    def is_genuine(self, request: WebhookRequest, account_id: str, secret: str) -> bool:
        return request.headers["x-word"] == json.loads(secret)["word"]

    def signed_urls(self, _request: WebhookRequest) -> Sequence[str]:
        return ()


class EmailWorld(World):
    """One deployment, whose company has an address for e-mail too."""

    def __init__(self, plan: FaultPlan | None = None, *rows: dict[str, Any], **settings: str) -> None:
        super().__init__(plan, *(rows or (with_mail(),)), **settings)
        self.secrets.texts[MAIL_REF] = json.dumps({"word": WORD, "api_key": "SG.key"})

    def mail(self, body: str = "hello", *, sid: str = "", word: str = WORD, **changes: Any) -> Response:
        """One e-mail of a stranger, once; the answer."""
        told = {
            "message_sid": sid or next(self.sids),
            "sender": STRANGER,
            "recipients": [HELP_DESK],
            "body": body,
            "may_be_notified": True,
            "extras": {},
            **changes,
        }
        request = self._request(json.dumps(told), "", "/webhooks/email", **{"x-word": word})
        response = webhooks.receive_message(request, Vendor.SENDGRID, self.engine)
        self.answers.append(response)
        return response

    def deliver_mail(self, body: str = "hello", **changes: Any) -> None:
        """One e-mail as SendGrid delivers it: again after a crash or a 503."""
        sid = next(self.sids)
        for _ in range(4):
            with self.process():
                if self.mail(body, sid=sid, **changes).status_code < 500:
                    break

    @property
    def mails(self) -> list[Any]:
        """What the provider sent to the stranger."""
        return [part for _, part, _ in self.phone.received if part.to == STRANGER]

    def _engine(self) -> wiring.Engine:
        engine = super()._engine()
        engine._receiving[Vendor.SENDGRID] = engine._receiving_of(_Mail(engine))
        return engine


def with_mail(**changes: Any) -> dict[str, Any]:
    """The row of a conversation whose company is written to by e-mail too."""
    row = conversation(gsi_company_email=HELP_DESK, gsi_recipient_email="ann@customer.example", **changes)
    return {**row, "channel_config": {**row["channel_config"], "email": email_config(changes)}}


def email_config(changes: dict[str, Any]) -> dict[str, Any]:
    """What the company says of the channel, its secret if nothing else."""
    told: dict[str, Any] = changes.get("channel_config", {}).get("email", {})
    return {"credential_ref": MAIL_REF, **told}
