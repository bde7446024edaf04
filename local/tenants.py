"""Two demo tenants: companies with numbers, a Twilio account each, and conversations with customers.

Everything is made up. The numbers are from ranges that are kept free for fiction, and the account sids and tokens are
derived from the companies' names, so that no secret-like text stands in the repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5, sha256
from typing import Any

from local.clients import LocalAws
from local.standin_twilio import Account

_WROTE_FIRST_AT = datetime(2026, 1, 5, 17, 30, tzinfo=UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Customer:
    """One customer in conversation with a company."""

    name: str
    number: str
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
    numbers: dict[str, str]
    """Its number by channel."""
    customers: tuple[Customer, ...]
    account: tuple[str, str] | None = None
    """The sid and the auth token of a real Twilio account; None: made-up ones."""

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

    def credential_ref(self, channel: str, stage: str) -> str:
        """The name of its secret for a channel's provider."""
        return f"ai-multi-comms/{channel}-credentials/{self.company_id}/{self.project_id}/twilio-{stage}"

    def conversation_id(self, customer: Customer) -> str:
        """The id of its conversation with a customer."""
        return f"{self.name}-{customer.name}"

    def customer(self, name: str) -> Customer:
        """Its customer of that name."""
        return next(one for one in self.customers if one.name == name)

    def by_number(self, number: str) -> Customer:
        """Its customer with that number."""
        return next(one for one in self.customers if one.number == number)


SUNRISE = Tenant(
    name="sunrise",
    company_name="Sunrise Travel",
    numbers={"whatsapp": "+447700900100", "sms": "+447700900101"},
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
    ),
)

NORDIC = Tenant(
    name="nordic",
    company_name="Nordic Bikes",
    numbers={"sms": "+447700900200", "whatsapp": "+447700900201"},
    customers=(
        Customer("david", "+447700900211", "sms", "an active project"),
        Customer("edith", "+447700900212", "sms", "an active project"),
        Customer("frida", "+447700900213", "sms", "an active project"),
    ),
)

TENANTS = (SUNRISE, NORDIC)


def named(name: str) -> Tenant:
    """The demo tenant of that name."""
    return next(one for one in TENANTS if one.name == name)


def own(account_sid: str, auth_token: str, company_number: str, customer_number: str) -> Tenant:
    """A tenant with a real Twilio account, so that a real phone can write to it through a tunnel."""
    names = {"whatsapp": "me", "sms": "me-by-sms"}
    customers = tuple(Customer(name, customer_number, channel, "your phone") for channel, name in names.items())
    numbers = dict.fromkeys(names, company_number)
    return Tenant("own", "Your Company", numbers, customers, account=(account_sid, auth_token))


def seed(aws: LocalAws, stage: str, tenants: Iterable[Tenant]) -> None:
    """Create the tenants' secrets and conversations."""
    table = aws.dynamodb.Table(f"conversations-{stage}")
    for one in tenants:
        secret = {"account_sid": one.account_sid, "auth_token": one.auth_token}
        for channel in one.numbers:
            aws.secrets.create_secret(Name=one.credential_ref(channel, stage), SecretString=json.dumps(secret))
        for record in _records(one, stage):
            table.put_item(Item=record)


def accounts(aws: LocalAws) -> list[Account]:
    """The Twilio accounts whose secrets the local AWS holds."""
    names = {one["Name"] for page in aws.secrets.get_paginator("list_secrets").paginate() for one in page["SecretList"]}
    secrets = [json.loads(aws.secrets.get_secret_value(SecretId=name)["SecretString"]) for name in sorted(names)]
    return [
        Account(one["account_sid"], one["auth_token"], one.get("api_key"), one.get("api_secret")) for one in secrets
    ]


def _records(one: Tenant, stage: str) -> Iterator[dict[str, Any]]:
    """The conversations of a company, each after its first message went out."""
    for customer in one.customers:
        company_number = one.numbers[customer.channel]
        yield {
            "primary_channel": customer.number,
            "conversation_id": one.conversation_id(customer),
            f"gsi_company_{customer.channel}_number": company_number,
            "gsi_recipient_tel": customer.number,
            "recipient_tel": customer.number,
            "company_id": one.company_id,
            "company_name": one.company_name,
            "project_id": one.project_id,
            "project_status": "active",
            "allowed_channels": list(one.numbers),
            "channel_config": {
                channel: {"credential_ref": one.credential_ref(channel, stage)} for channel in one.numbers
            },
            "conversation_status": "initial_message_sent",
            "task_complete": 0,
            "created_at": _WROTE_FIRST_AT,
            "hand_off_to_human": False,
            "auto_queue_reply_message": False,
            "thread_id": f"thread-{one.name}-{customer.name}",
            "messages": [
                {
                    "message_id": f"SM{md5(customer.number.encode(), usedforsecurity=False).hexdigest()}",
                    "direction": "OUTBOUND",
                    "content": f"Hello {customer.name.capitalize()}, this is {one.company_name}. How can we help?",
                    "timestamp": _WROTE_FIRST_AT,
                    "channel_type": customer.channel,
                    "metadata": {"sender": company_number, "recipient": customer.number},
                }
            ],
            **customer.attributes,
        }
