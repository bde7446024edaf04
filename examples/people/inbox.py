"""The inbox of people: what came for them, who has claimed it, and what they answered, in one SQLite file.

Guarantee: a document is in the file before its message leaves the queue, and an answer before it is sent. So a crash
loses nothing: what comes again is known by its message ids and its handoff, and what was not sent for certain is sent
again under the same `reply_id`, by which the engine sends it once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

_TABLES = """
create table if not exists conversations (
    id text primary key, primary_channel text, tenant text, handoff_id text, about text, claimed_by text,
    is_open integer, waiting_since text
);
create table if not exists messages (conversation_id text, id text, told text, primary key (conversation_id, id));
create table if not exists outbox (reply_id text primary key, tenant text, body text);
"""


class NotPossibleError(Exception):
    """What was asked for cannot be done; the text says why."""


@dataclass(frozen=True, repr=False)
class Waiting:
    """One conversation that people have."""

    conversation_id: str
    primary_channel: str
    tenant: str
    handoff_id: str | None
    """Names the handoff; None: the company's own routing sends it to people."""
    about: Mapping[str, Any]
    """`handoff` of its newest context: who asked for people, why, and the AI's draft."""
    claimed_by: str | None
    waiting_since: str
    messages: Sequence[Mapping[str, Any]]
    """What the customer wrote, the oldest first."""


@dataclass(frozen=True)
class Inbox:
    """The inbox in a file; several programs of a machine may share it."""

    path: Path

    def take(self, body: str) -> None:
        """Keep one document of the handoff queue; one that came before changes nothing."""
        context = json.loads(body)
        conversation, about = context["conversation"], context.get("handoff") or {}
        key = conversation["conversation_id"]
        told: dict[str, str | None] = {one["message_id"]: json.dumps(one) for one in context["messages"]}
        if about.get("handoff_id"):
            told[f"#{about['handoff_id']}"] = None
        with self._file() as file:
            insert = "insert or ignore into messages values (?, ?, ?)"
            new = [one for one, text in told.items() if file.execute(insert, (key, one, text)).rowcount]
            row = file.execute("select about from conversations where id = ?", (key,)).fetchone()
            known = {} if row is None else json.loads(row[0])
            if row is not None and not new:  # it came before, or brings the draft of an answer that came too late
                if about.get("draft") and about.get("handoff_id") == known.get("handoff_id"):
                    about = {**known, "draft": about["draft"]}
                    file.execute("update conversations set about = ? where id = ?", (json.dumps(about), key))
                return
            file.execute(
                "insert into conversations values (?, ?, ?, ?, ?, null, 1, ?) on conflict (id) do update set"
                " handoff_id = excluded.handoff_id, about = excluded.about, is_open = 1,"
                " waiting_since = case when is_open then waiting_since else excluded.waiting_since end",
                (
                    key,
                    conversation["primary_channel"],
                    context["company"]["company_id"],
                    about.get("handoff_id"),
                    json.dumps(about),
                    context["processing"]["processing_timestamps"]["received"],
                ),
            )

    def waiting(self) -> list[Waiting]:
        """The open conversations, the one that waits longest first."""
        with self._file() as file:
            rows = file.execute("select id from conversations where is_open order by waiting_since, id").fetchall()
            return [_read(file, key) for (key,) in rows]

    def claim(self, conversation_id: str, person: str) -> Waiting:
        """Give a conversation to one person, unless another has it.

        Raises:
            NotPossibleError: another has it, or nobody waits there.
        """
        with self._file() as file:
            file.execute(
                "update conversations set claimed_by = ? where id = ? and is_open and claimed_by is null",
                (person, conversation_id),
            )
            return _of(file, conversation_id, person)

    def answer(self, conversation_id: str, person: str, body: str) -> None:
        """Put a person's answer into the outbox.

        Raises:
            NotPossibleError: they have not claimed the conversation.
        """
        with self._file() as file:
            _put(file, _of(file, conversation_id, person), {"body": body})

    def give_back(self, conversation_id: str, person: str, body: str = "") -> None:
        """Put a `return` into the outbox, with last words or without, and close the conversation.

        Raises:
            NotPossibleError: they have not claimed it, or the company's own routing keeps it with people.
        """
        with self._file() as file:
            waiting = _of(file, conversation_id, person)
            if waiting.handoff_id is None:
                raise NotPossibleError("the company's own routing sends it to people: change its row, then close it")
            words = {"body": body} if body else {}
            _put(file, waiting, {"action": "return", "handoff_id": waiting.handoff_id, **words})
            _close(file, conversation_id)

    def close(self, conversation_id: str, person: str) -> None:
        """Close a conversation without giving it back: it opens again with the customer's next message.

        Raises:
            NotPossibleError: they have not claimed it.
        """
        with self._file() as file:
            _of(file, conversation_id, person)
            _close(file, conversation_id)

    def flush(self, send: Callable[[str, str], None]) -> None:
        """Send what is in the outbox, by `send(body, tenant)`; what fails stays there."""
        with self._file() as file:
            rows = file.execute("select reply_id, tenant, body from outbox order by rowid").fetchall()
        for reply_id, tenant, body in rows:
            send(body, tenant)
            with self._file() as file:
                file.execute("delete from outbox where reply_id = ?", (reply_id,))

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as file:
            file.executescript(_TABLES)
            file.execute("begin immediate")
            try:
                yield file
            except BaseException:
                file.execute("rollback")
                raise
            file.execute("commit")


def _read(file: sqlite3.Connection, key: str) -> Waiting:
    names = "primary_channel, tenant, handoff_id, about, claimed_by, waiting_since"
    row = file.execute(f"select {names} from conversations where id = ? and is_open", (key,)).fetchone()  # noqa: S608
    if row is None:
        raise NotPossibleError(f"nobody waits in {key}")
    channel, tenant, handoff_id, about, claimed_by, since = row
    told = file.execute("select told from messages where conversation_id = ? order by rowid", (key,)).fetchall()
    messages = [json.loads(one) for (one,) in told if one is not None]
    return Waiting(key, channel, tenant, handoff_id, json.loads(about), claimed_by, since, messages)


def _of(file: sqlite3.Connection, key: str, person: str) -> Waiting:
    waiting = _read(file, key)
    if waiting.claimed_by != person:
        raise NotPossibleError(f"{waiting.claimed_by or 'nobody'} has claimed {key}")
    return waiting


def _put(file: sqlite3.Connection, waiting: Waiting, more: Mapping[str, Any]) -> None:
    reply_id = uuid4().hex
    key = {"conversation_id": waiting.conversation_id, "primary_channel": waiting.primary_channel}
    reply = {"version": "1.1", **key, "source": "human", "reply_id": reply_id, **more}
    file.execute("insert into outbox values (?, ?, ?)", (reply_id, waiting.tenant, json.dumps(reply)))


def _close(file: sqlite3.Connection, key: str) -> None:
    file.execute("update conversations set is_open = 0, claimed_by = null where id = ?", (key,))
