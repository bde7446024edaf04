"""What each function may do: one table, and nothing of it is written anywhere else.

The policy files are generated from it and from the template. A test fails on a call that a function makes without a
right, and on a right that no call uses.

A function has places and what it does there. A place is a logical resource of the template, or an index of one, told by
the setting that names it.
"""

from __future__ import annotations

from collections.abc import Mapping

Actions = tuple[str, ...]
Rights = Mapping[str, Actions]

SECRETS = "Secrets"
"""The place of the tenants' secrets, which are known by the pattern of their names alone."""

NAME_PATTERN = "ai-multi-comms/*-credentials/*/*/*-{stage}"
"""How a stage's secrets are named: by channel, company, project and provider."""

PROVIDERS = ("sendgrid", "twilio")
"""The providers whose secrets a function may read. The last star is spelt out in the rights: it would match `pre-` too,
and give the stage `prod` the secrets of a stage `pre-prod`."""


def secret_patterns(stage: str) -> tuple[str, ...]:
    """The names of a stage's secrets that its functions may read."""
    folder, _, ending = NAME_PATTERN.rpartition("*")
    return tuple(f"{folder}{provider}{ending.format(stage=stage)}" for provider in PROVIDERS)


_SEND: Actions = ("GetQueueUrl", "SendMessage")
"""A queue is known by its name, so that its URL is asked for before the first message."""

_ENSURE: Rights = {
    "TriggerLockTable": ("DeleteItem", "PutItem"),
    "WhatsappQueue": _SEND,
    "SmsQueue": _SEND,
    "EmailQueue": _SEND,
}
"""To see to it that a conversation has a trigger, whatever its channel."""


def _batches(channel: str) -> Rights:
    """What a channel's worker does; its triggers come again on its own queue, or go to its dead-letter queue."""
    return {
        "TriggerLockTable": ("DeleteItem", "PutItem"),
        "StageTable": ("BatchWriteItem", "Query"),
        "ConversationsTable": ("BatchGetItem", "GetItem", "UpdateItem"),
        "HistoryTable": ("BatchGetItem", "BatchWriteItem"),
        "SendsTable": ("GetItem",),
        "AiQueue": _SEND,
        "HumanHandoffQueue": _SEND,
        "AiRepliesQueue": _SEND,
        f"{channel}Queue": _SEND,
        f"{channel}DeadLetterQueue": _SEND,
    }


def _replies(author: str) -> Rights:
    """What the worker of one replies queue does; its replies come again on its own queue, or go to its dead letters."""
    return {
        **_ENSURE,
        "ConversationsTable": ("GetItem", "UpdateItem"),
        "HistoryTable": ("BatchGetItem",),
        "StageTable": ("Query",),
        "SendsTable": ("DeleteItem", "GetItem", "PutItem", "UpdateItem"),
        f"{author}RepliesQueue": _SEND,
        f"{author}RepliesDeadLetterQueue": _SEND,
        SECRETS: ("GetSecretValue",),
    }


RIGHTS: Mapping[str, Rights] = {
    "api_handler": {
        **_ENSURE,
        "ConversationsTable/WHATSAPP_INDEX": ("Query",),
        "ConversationsTable/SMS_INDEX": ("Query",),
        "ConversationsTable/EMAIL_INDEX": ("Query",),
        "ConversationsTable": ("BatchGetItem", "GetItem", "UpdateItem"),
        "HistoryTable": ("BatchGetItem",),
        "StageTable": ("BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query"),
        "SendsTable": ("GetItem", "UpdateItem"),
        "UnknownSendersTable": ("DeleteItem", "PutItem", "UpdateItem"),
        "AttachmentsBucket": ("PutObject",),
        "HumanHandoffQueue": _SEND,
        "AiRepliesQueue": _SEND,
        SECRETS: ("GetSecretValue",),
    },
    "batch_whatsapp": _batches("Whatsapp"),
    "batch_sms": _batches("Sms"),
    "batch_email": _batches("Email"),
    "send_replies": {
        **_replies("Ai"),
        "StageTable": ("BatchWriteItem", "Query"),
        "HumanHandoffQueue": _SEND,
        "UnknownSendersTable": ("DeleteItem", "GetItem", "UpdateItem"),
    },
    "send_human_replies": {**_replies("Human"), "HistoryTable": ("BatchGetItem", "BatchWriteItem")},
    "check_and_reset_stalled_conversations": {
        **_ENSURE,
        "ConversationsTable/LOCK_INDEX": ("Query",),
        "ConversationsTable": ("GetItem", "UpdateItem"),
        "HistoryTable": ("BatchGetItem",),
        "StageTable": ("BatchWriteItem", "Query"),
        "SendsTable": ("GetItem",),
        "HumanHandoffQueue": _SEND,
    },
    "recover_orphaned_messages": {
        **_ENSURE,
        "TriggerLockTable": ("DeleteItem", "GetItem", "PutItem", "UpdateItem"),
        "StageTable": ("Scan", "UpdateItem"),
    },
}

AI_WORKER: Rights = {"ConversationsTable": ("GetItem",), "AiRepliesQueue": _SEND}
"""What the AI worker does, on a stage that has it, beside asking its model."""

_COPIES: Rights = {"AttachmentsBucket": ("PutObject",), SECRETS: ("GetSecretValue",)}

COPYING: Mapping[str, Rights] = {"batch_whatsapp": _COPIES, "batch_sms": _COPIES}
"""What further rights a stage's functions have that copies media: with the tenants' credentials, to the bucket."""
