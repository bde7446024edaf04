"""Two demo tenants: companies with numbers and addresses, their accounts at the providers, and conversations.

Everything is made up. The numbers and domains are from ranges that are kept free for fiction. The account sids, tokens
and keys of the APIs are derived from the companies' names, so that no secret-like text stands in the repository; the
pair of keys that signs a company's e-mails is made anew each time, and both of it are in the local secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any

from local.aws.clients import LocalAws

if TYPE_CHECKING:
    from local.stubs import sendgrid, twilio

MAIL = "email"
PRIVATE_KEY = "private_key"
"""The field of a local secret that signs e-mails as SendGrid does; a real secret has none."""

_TWILIO, _SENDGRID = "twilio", "sendgrid"
_WROTE_FIRST_AT = datetime(2026, 1, 5, 17, 30, tzinfo=UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Customer:
    """One customer in conversation with a company."""

    name: str
    address: str
    """A number, or an e-mail address."""
    channel: str
    about: str
    """What is special about the conversation, for the start-up table."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """What the record says beyond what every record says."""


@dataclass(frozen=True)
class Tenant:
    """One company."""

    name: str
    company_name: str
    addresses: dict[str, str]
    """Its number or e-mail address by channel."""
    customers: tuple[Customer, ...]
    account: tuple[str, str] | None = None
    """The sid and the auth token of a real Twilio account; None: made-up ones."""
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Its own policies by channel; where it has none, the settings apply."""
    signs_mail: bool = True
    """Whether its plan at SendGrid signs e-mails; else a word in the URL proves them."""

    @property
    def company_id(self) -> str:
        return f"company-{self.name}"

    @property
    def project_id(self) -> str:
        return f"project-{self.name}"

    @property
    def account_sid(self) -> str:
        return self.account[0] if self.account else "AC" + md5(self.name.encode(), usedforsecurity=False).hexdigest()

    @property
    def auth_token(self) -> str:
        return self.account[1] if self.account else sha256(f"token of {self.name}".encode()).hexdigest()[:32]

    @property
    def api_key(self) -> str:
        """Of its SendGrid account."""
        return "SG." + sha256(f"key of {self.name}".encode()).hexdigest()[:32]

    def credential_ref(self, channel: str, stage: str) -> str:
        """The name of its secret for a channel's provider."""
        provider = _SENDGRID if channel == MAIL else _TWILIO
        return f"ai-multi-comms/{channel}-credentials/{self.company_id}/{self.project_id}/{provider}-{stage}"

    def secret(self, channel: str) -> dict[str, str]:
        """What its secret for a channel's provider says; beside what the app reads, what only `make send` needs."""
        if channel != MAIL:
            return {"account_sid": self.account_sid, "auth_token": self.auth_token}
        if not self.signs_mail:
            return {"api_key": self.api_key, "url_token": sha256(f"word of {self.name}".encode()).hexdigest()[:32]}
        from local.requests.email_signatures import key_pair  # noqa: PLC0415  # loads cryptography; a command that looks up a name does without

        private_key, public_key = key_pair()
        return {"api_key": self.api_key, "public_key": public_key, PRIVATE_KEY: private_key}

    def conversation_id(self, customer: Customer) -> str:
        """The id of its conversation with a customer."""
        return f"{self.name}-{customer.name}"

    def customer(self, name: str) -> Customer:
        """Its customer of that name."""
        return next(one for one in self.customers if one.name == name)

    def by_address(self, address: str) -> Customer:
        """Its customer with that number or e-mail address."""
        return next(one for one in self.customers if one.address == address)


SUNRISE = Tenant(
    name="sunrise",
    company_name="Sunrise Travel",
    addresses={"whatsapp": "+447700900100", "sms": "+447700900101", "email": "help@sunrise.example"},
    customers=(
        Customer("anna", "+447700900111", "whatsapp", "an active project"),
        Customer("ben", "+447700900112", "whatsapp", "an inactive project", {"project_status": "inactive"}),
        Customer(
            "clara",
            "+447700900113",
            "whatsapp",
            "on the handoff list",
            {"auto_queue_reply_message_from_number": ["+447700900113"]},
        ),
        Customer("gina", "gina@customer.example", "email", "an active project"),
        Customer("ida", "+447700900114", "whatsapp", "an active project"),
        Customer("jonas", "+447700900115", "whatsapp", "an active project"),
        Customer("kira", "+447700900116", "whatsapp", "an active project"),
        Customer("lars", "+447700900117", "whatsapp", "an active project"),
        Customer("mia", "+447700900118", "sms", "by SMS, where second thoughts restart the AI's turn"),
    ),
    policies={"sms": {"on_new_message": "restart", "locked_notice": ""}},
)

NORDIC = Tenant(
    name="nordic",
    company_name="Nordic Bikes",
    addresses={"sms": "+447700900200", "whatsapp": "+447700900201", "email": "shop@nordic.example"},
    customers=(
        Customer("david", "+447700900211", "sms", "an active project"),
        Customer("edith", "+447700900212", "sms", "an active project"),
        Customer("frida", "+447700900213", "sms", "an active project"),
        Customer("hugo", "hugo@customer.example", "email", "proven by a word in the URL"),
    ),
    policies={
        "sms": {
            "batch_window_seconds": 2,
            "on_new_message": "reject",
            "locked_notice": "We are still working on your last message. Please write again when you have our answer.",
        }
    },
    signs_mail=False,
)

TENANTS = (SUNRISE, NORDIC)


def named(name: str) -> Tenant:
    """The demo tenant of that name."""
    return next(one for one in TENANTS if one.name == name)


def own(account_sid: str, auth_token: str, company_number: str, customer_number: str) -> Tenant:
    """A tenant with a real Twilio account, so that a real phone can write to it through a tunnel."""
    names = {"whatsapp": "me", "sms": "me-by-sms"}
    customers = tuple(Customer(name, customer_number, channel, "your phone") for channel, name in names.items())
    addresses = dict.fromkeys(names, company_number)
    return Tenant("own", "Your Company", addresses, customers, account=(account_sid, auth_token))


def seed(aws: LocalAws, stage: str, tenants: Iterable[Tenant]) -> None:
    """Create the tenants' secrets and conversations."""
    table = aws.dynamodb.Table(f"conversations-{stage}")
    for one in tenants:
        for channel in one.addresses:
            aws.secrets.create_secret(
                Name=one.credential_ref(channel, stage), SecretString=json.dumps(one.secret(channel))
            )
        for record in records(one, stage):
            table.put_item(Item=record)


def secret(aws: LocalAws, ref: str) -> dict[str, str]:
    """What a secret says."""
    return dict(json.loads(aws.secrets.get_secret_value(SecretId=ref)["SecretString"]))


def accounts(aws: LocalAws) -> list[twilio.Account]:
    """The Twilio accounts whose secrets the local AWS holds."""
    from local.stubs import twilio  # noqa: PLC0415  # as above

    return [
        twilio.Account(one["account_sid"], one["auth_token"], one.get("api_key"), one.get("api_secret"))
        for one in _secrets(aws, _TWILIO)
    ]


def mail_accounts(aws: LocalAws) -> list[sendgrid.Account]:
    """The SendGrid accounts whose secrets the local AWS holds, each with its company's address for a verified one."""
    from local.stubs import sendgrid  # noqa: PLC0415  # as above

    senders = {one.api_key: frozenset({one.addresses[MAIL]}) for one in TENANTS}
    return [
        sendgrid.Account(one["api_key"], senders.get(one["api_key"], frozenset())) for one in _secrets(aws, _SENDGRID)
    ]


def _secrets(aws: LocalAws, provider: str) -> list[dict[str, str]]:
    names = {one["Name"] for page in aws.secrets.get_paginator("list_secrets").paginate() for one in page["SecretList"]}
    return [secret(aws, name) for name in sorted(names) if f"/{provider}-" in name]


def records(one: Tenant, stage: str) -> Iterator[dict[str, Any]]:
    """The conversations of a company, each after its first message went out."""
    for customer in one.customers:
        company = one.addresses[customer.channel]
        yield {
            "primary_channel": customer.address,
            "conversation_id": one.conversation_id(customer),
            **_index_keys(customer, company),
            "company_id": one.company_id,
            "company_name": one.company_name,
            "project_id": one.project_id,
            "project_status": "active",
            "allowed_channels": list(one.addresses),
            "channel_config": {
                channel: {
                    "credential_ref": one.credential_ref(channel, stage),
                    **({"policy": one.policies[channel]} if channel in one.policies else {}),
                }
                for channel in one.addresses
            },
            "conversation_status": "initial_message_sent",
            "task_complete": 0,
            "created_at": _WROTE_FIRST_AT,
            "hand_off_to_human": False,
            "auto_queue_reply_message": False,
            "thread_id": f"thread-{one.name}-{customer.name}",
            "messages": [
                {
                    "message_id": f"SM{md5(customer.address.encode(), usedforsecurity=False).hexdigest()}",
                    "direction": "OUTBOUND",
                    "content": f"Hello {customer.name.capitalize()}, this is {one.company_name}. How can we help?",
                    "timestamp": _WROTE_FIRST_AT,
                    "channel_type": customer.channel,
                    "metadata": {"sender": company, "recipient": customer.address},
                }
            ],
            **customer.attributes,
        }


def _index_keys(customer: Customer, company: str) -> dict[str, str]:
    """The addresses by which a conversation is found."""
    if customer.channel == MAIL:
        mine = {"gsi_recipient_email": customer.address, "recipient_email": customer.address}
        return {"gsi_company_email": company, **mine}
    mine = {"gsi_recipient_tel": customer.address, "recipient_tel": customer.address}
    return {f"gsi_company_{customer.channel}_number": company, **mine}
