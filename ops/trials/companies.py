"""The companies of a trial: made for one run with secrets and conversations of their own, and removed after it.

Every number is fictional: NANP keeps 555-0100 to 555-0199 free in each area. Twilio's test credentials send from one
number alone, so there it is the number of every company, and their customers tell them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random, SystemRandom
from uuid import uuid4

from chalicelib.protocol.record import CONVERSATION_ID, ConversationKey
from chalicelib.protocol.staging import MESSAGE_SID
from local import tenants
from local.requests import emails, messages
from local.requests.emails import Mail
from local.requests.messages import Answer, Message, webhook_url
from local.tenants import MAIL, PRIVATE_KEY, Customer, Tenant
from ops.stage.deployment import Deployment, OperatorEngine
from ops.tenants.secrets import Secrets
from ops.trials.accounts import Accounts

_AREAS = (202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 301, 302, 303, 304)
NUMBERS = tuple(f"+1{area}55501{last:02}" for area in _AREAS for last in range(100))
"""Numbers that nobody has."""

_WORDS = "nobody.example"
"""The domain of the addresses for e-mail."""


@dataclass(frozen=True)
class Journey:
    """One customer of a trial, and how a message of theirs is sent."""

    company: Tenant
    customer: Customer
    signing_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the company's secret for e-mail, with the private half."""

    @property
    def channel(self) -> str:
        return self.customer.channel

    @property
    def key(self) -> ConversationKey:
        return ConversationKey(self.customer.address, self.company.conversation_id(self.customer))

    def message(self, body: str) -> Message | Mail:
        """A message of the customer's, with an id of its own."""
        recipient = self.company.addresses[self.channel]
        if self.channel == MAIL:
            sid = emails.fresh_message_id(_WORDS)
            return Mail(sender=self.customer.address, recipient=recipient, subject="A trial", body=body, message_id=sid)
        return Message(
            channel=self.channel,
            sender=self.customer.address,
            recipient=recipient,
            account_sid=self.company.account_sid,
            body=body,
        )

    def send(self, base: str, message: Message | Mail) -> Answer:
        """Send a message to the webhooks below a URL, signed as its provider signs.

        Raises:
            UnreachableError: nobody answered.
        """
        url = f"{base.rstrip('/')}/webhooks/{self.channel}"
        if isinstance(message, Mail):
            return emails.send(url, message, self.signing_keys[PRIVATE_KEY])
        return messages.send(webhook_url(url, self.channel), message, self.company.auth_token)


def company(number: int, customers: int, accounts: Accounts, channels: Sequence[str], random: Random) -> Tenant:
    """A company with so many customers, who take turns on its channels.

    Args:
        number: its place among the companies of the run, which divide the numbers among them.
        customers: how many.
        accounts: at the providers.
        channels: those that it has.
        random: chooses the first number of the run.
    """
    name = f"trial-{uuid4().hex[:12]}"
    first = random.randrange(len(NUMBERS)) + number * (customers + 1)
    ours, *theirs = (NUMBERS[(first + one) % len(NUMBERS)] for one in range(customers + 1))
    addresses = dict.fromkeys(channels, accounts.number or ours)
    if MAIL in addresses:
        addresses[MAIL] = f"{name}@{_WORDS}"
    who = [
        Customer(
            f"customer-{one}",
            f"{name}-{one}@{_WORDS}" if channels[one % len(channels)] == MAIL else theirs[one],
            channels[one % len(channels)],
            "of a trial",
        )
        for one in range(customers)
    ]
    return Tenant(name, "A trial", addresses, tuple(who), account=(accounts.sid, accounts.auth_token))


def plan(accounts: Accounts, channels: Sequence[str], *, count: int, customers: int) -> list[Tenant]:
    """The companies of one run."""
    random = Random(SystemRandom().getrandbits(64))  # noqa: S311  # chooses numbers, no secret
    seed = random.getrandbits(64)
    return [company(number, customers, accounts, channels, Random(seed)) for number in range(count)]  # noqa: S311  # as above


@contextmanager
def made(deployment: Deployment, companies: Sequence[Tenant], accounts: Accounts) -> Iterator[list[Journey]]:
    """The companies' secrets and conversations, for as long as the block lasts; yields their customers."""
    engine, secrets, stage = deployment.engine(), Secrets(deployment.account), deployment.target.stage
    journeys: list[Journey] = []
    try:
        for one in companies:
            told = {channel: one.secret(channel) for channel in one.addresses}
            for channel, secret in told.items():
                if channel == MAIL:
                    accounts.add_mail(secret["api_key"], one.addresses[MAIL])
                kept = {name: value for name, value in secret.items() if name != PRIVATE_KEY}
                secrets.create(one.credential_ref(channel, stage), json.dumps(kept))
            engine.tables.conversations.put_many(list(tenants.records(one, stage)))
            journeys += [Journey(one, who, told.get(MAIL, {})) for who in one.customers]
        yield journeys
    finally:
        for one in companies:
            remove(engine, secrets, one, stage)


def remove(engine: OperatorEngine, secrets: Secrets, one: Tenant, stage: str) -> None:
    """Remove a company; rows of sent parts expire by themselves."""
    tables = engine.tables
    for who in one.customers:
        key = Journey(one, who).key
        staged = list(tables.stage.query((CONVERSATION_ID, key.conversation_id)))
        tables.stage.delete_many([{name: row[name] for name in (CONVERSATION_ID, MESSAGE_SID)} for row in staged])
        tables.conversations.delete(key.item)
    for channel in one.addresses:
        secrets.delete(one.credential_ref(channel, stage))
