"""What tests of your own may import: a whole deployment in memory, signed requests, and Chalice's test client over it.

Guarantee: a name of this package keeps its meaning; CHANGELOG.md says when one changes. What it passes on from `tests/`
is what this project's own tests use. The contract suite holds the in-memory tables and queues equal to DynamoDB and
SQS. docs/testing.md describes each name.
"""

from __future__ import annotations

from local.requests.emails import Attachment, Mail
from local.requests.messages import Message
from local.stubs.ai import reply_to
from replies_testing.clients import client_of, post
from replies_testing.requests import SignedRequest, signed_email, signed_message
from tests.emails import COMPANY_EMAIL, CUSTOMER_EMAIL
from tests.fakes.bucket import InMemoryBucket
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Crash, Fault, FaultPlan
from tests.fakes.queues import InMemoryQueue
from tests.fakes.secrets import InMemorySecrets
from tests.fakes.tables import InMemoryTable
from tests.world import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    BASE_URL,
    COMPANY,
    CUSTOMER,
    KEY,
    SECRET_REF,
    World,
    conversation,
    email_conversation,
)

__all__ = [
    "ACCOUNT_SID",
    "AUTH_TOKEN",
    "BASE_URL",
    "COMPANY",
    "COMPANY_EMAIL",
    "CUSTOMER",
    "CUSTOMER_EMAIL",
    "KEY",
    "SECRET_REF",
    "Attachment",
    "Crash",
    "FakeClock",
    "Fault",
    "FaultPlan",
    "InMemoryBucket",
    "InMemoryQueue",
    "InMemorySecrets",
    "InMemoryTable",
    "Mail",
    "Message",
    "SignedRequest",
    "World",
    "client_of",
    "conversation",
    "email_conversation",
    "post",
    "reply_to",
    "signed_email",
    "signed_message",
]
