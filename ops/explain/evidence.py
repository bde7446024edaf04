"""The facts of one conversation, gathered from tables, dead-letter queues and logs, for `ops/explain/timelines.py`.

Reads only. Dead letters are looked at and put back; the queues that functions read are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from chalicelib.conversations import lookup
from chalicelib.conversations.conversation import Conversation
from chalicelib.messages.phone_numbers import bare, is_readable, other_spellings
from chalicelib.protocol import send_rows, staging
from chalicelib.protocol.history import ENTRY
from chalicelib.protocol.record import CONVERSATION_ID, LAST_ACTIVITY_AT, PRIMARY_CHANNEL, ConversationKey, Record
from chalicelib.protocol.send_rows import Part
from chalicelib.protocol.trigger_lock import EXPIRES_AT
from ops.explain.timelines import Dead, Facts, Logged, SentPart
from ops.repairs import erasure
from ops.repairs.redriving import sources
from ops.stage import search
from ops.stage.dead_letters import SqsDeadLetters, peek
from ops.stage.deployment import Deployment, OperatorEngine
from ops.stage.logs import LocalLogs, LogEvent, Logs, logs_of

_PARTS_MAX = 50


def gather(
    deployment: Deployment, engine: OperatorEngine, told: str, primary_channel: str | None, since: datetime
) -> list[Facts]:
    """The facts of each conversation that an operator may mean by a conversation's id or a message's sid.

    Where neither tables nor logs know of it, one set of facts without a conversation.
    """
    logs = logs_of(deployment)
    keys = _named(engine, told, primary_channel)
    if keys:
        return [_facts(deployment, engine, key, None, _lines_of(logs, since, key), logs) for key in keys]
    part = engine.tables.sends.get({send_rows.SEND_ID: told})
    if part is not None:
        key = Part.from_item(part).conversation
        return [_facts(deployment, engine, key, part.get(send_rows.PROVIDER_SID), _lines_of(logs, since, key), logs)]
    logged = list(logs.lines(since, words=told))
    keys = search.by_message(engine.tables, told)
    for conversation_id in _conversations_in(logged) if not keys else ():
        keys += search.by_id(engine.tables, engine.channels, conversation_id, primary_channel)
        logged += logs.lines(since, words=conversation_id)
    keys = keys or search.by_entry(engine.tables, told)  # older than the log that is read, or no log is there
    if not keys:
        facts = Facts(engine.clock.now(), engine.settings, None, told, logged=_logged(logged))
        return [replace(facts, has_logs=logs.are_there)]
    return [_facts(deployment, engine, key, told, logged, logs) for key in keys]


def _named(engine: OperatorEngine, told: str, primary_channel: str | None) -> list[ConversationKey]:
    """The conversations of an id or of a person's address; the one that was active last is the last."""
    if not is_address(told):
        return search.by_id(engine.tables, engine.channels, told, primary_channel)
    address = erasure.normal(told, [one.address_prefix for one in engine.channels.values()])
    spellings = (address,) if "@" in address else (address, *other_spellings(address))
    rows = search.by_address(engine.tables, engine.channels, spellings)
    conversations = ((lookup.load(engine.tables.conversations, key, ()), key) for key in rows)
    ordered = sorted(conversations, key=lambda one: _last_activity(one[0]))
    return [key for _, key in ordered]


def is_address(told: str) -> bool:
    """Whether an operator's word is a person's number or e-mail address; a Message-ID has angle brackets."""
    bare_word = told.removeprefix("whatsapp:")
    is_number = bare_word.startswith(("+", "00")) and is_readable(bare(bare_word))
    return is_number or ("@" in told and not told.startswith("<"))


def _last_activity(conversation: Conversation | None) -> str:
    return str(conversation.item.get(LAST_ACTIVITY_AT, "")) if conversation is not None else ""


def _lines_of(logs: Logs | LocalLogs, since: datetime, key: ConversationKey) -> list[LogEvent]:
    return [*logs.lines(since, words=key.conversation_id)]


def _facts(
    deployment: Deployment,
    engine: OperatorEngine,
    key: ConversationKey,
    sid: str | None,
    logged: list[LogEvent],
    logs: Logs | LocalLogs,
) -> Facts:
    tables, now = engine.tables, engine.clock.now()
    conversation = lookup.load(tables.conversations, key, engine.settings.context_attributes)
    of_it = (CONVERSATION_ID, key.conversation_id)
    moved = [row for row in tables.history.query(of_it) if row[PRIMARY_CHANNEL] == key.primary_channel]
    lock = tables.trigger_lock.get({CONVERSATION_ID: key.conversation_id})
    is_its_own = lock is not None and lock.get(PRIMARY_CHANNEL) == key.primary_channel
    due_at = datetime.fromtimestamp(int(lock[EXPIRES_AT]), UTC) if lock is not None and is_its_own else None
    return Facts(
        now=now,
        settings=engine.settings,
        conversation=conversation,
        sid=sid,
        staged=staging.read(tables.stage, key),
        trigger_due_at=due_at if due_at is not None and due_at > now else None,
        moved=sorted((row[ENTRY] for row in moved), key=lambda one: str(one.get("timestamp"))),
        parts=list(_parts(engine, conversation.record)) if conversation is not None else (),
        dead=list(_dead(deployment, key)),
        logged=_logged(logged),
        has_logs=logs.are_there,
    )


def _parts(engine: OperatorEngine, record: Record) -> Iterator[SentPart]:
    """The parts of the replies that the record keeps, and of the one that is being sent or ended last."""
    ids = [str(one["send_id"]) for one in record.entries or () if isinstance(one, dict) and "send_id" in one]
    for reply_id in filter(None, (record.claim, record.last_reply_id)):
        for number in range(1, _PARTS_MAX + 1):
            one = send_rows.send_id(record.key, reply_id, record.batch_id, number)
            if one not in ids and engine.tables.sends.get({send_rows.SEND_ID: one}) is None:
                break
            ids.append(one)
    for one in dict.fromkeys(any_one for known in ids for any_one in (known, send_rows.resend_id(known))):
        row = engine.tables.sends.get({send_rows.SEND_ID: one})
        if row is not None:
            part = Part.from_item(row)
            yield SentPart(part, part.delivery)


def _dead(deployment: Deployment, key: ConversationKey) -> Iterator[Dead]:
    for source in sources(deployment.settings).values():
        dead_letters = SqsDeadLetters(deployment.account, source.dead_name)
        if dead_letters.holds_any:
            yield from (Dead(source.role, one) for one in peek(dead_letters, key))


def _conversations_in(logged: list[LogEvent]) -> list[str]:
    """The ids of the conversations in these log lines."""
    lines = [one.line for one in logged]
    return list(
        dict.fromkeys(str(one.fields[CONVERSATION_ID]) for one in lines if one and CONVERSATION_ID in one.fields)
    )


def _logged(events: list[LogEvent]) -> list[Logged]:
    distinct = {one.event_id: one for one in events}.values()
    return [Logged(one.at, one.function, line) for one in distinct if (line := one.line) is not None]
