"""Watches a running stack for the page: reads each log line and the data that it concerns, and publishes changes."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from chalicelib.protocol.history import ENTRY
from chalicelib.protocol.record import CONVERSATION_ID
from local import logs
from local.console import phones
from local.console.background import Background
from local.console.faults import Faults
from local.console.feed import Feed
from local.console.inbox import Inbox
from local.console.phones import Bubble, Phone
from local.console.stories import Stories, sight_of
from local.logs import LogLine
from local.stack import Stack
from local.stubs.status_callbacks import send_id_of
from local.tenants import MAIL

Row = Mapping[str, Any]

_LOOK_SECONDS = 0.2
_LOOK_ANYWAY_SECONDS = 2.0
_TYPING_SECONDS = 25
"""So long WhatsApp shows the indicator."""


@dataclass(kw_only=True)
class Observer(Background):
    """Publishes the topics `phone:ID`, `stories`, `ledger`, `inbox` and `orders`."""

    stack: Stack
    feed: Feed
    phones: Mapping[str, Phone]
    """By conversation."""
    inbox: Inbox
    faults: Faults
    stories: Stories = field(default_factory=Stories)
    _touched: set[str] = field(default_factory=set)
    """The conversations that a line concerned since the last look."""
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _typing: dict[str, datetime] = field(default_factory=dict)
    """Since when a phone shows that an answer is being written, by conversation."""

    def __enter__(self) -> Self:
        self.look(self.phones)
        self.publish()
        return super().__enter__()

    def on_line(self, child: str, line: str) -> None:
        """Take a line that a child printed."""
        for one in logs.documents(line):
            heard = logs.parse(one)
            if isinstance(heard, LogLine):
                now = datetime.now(UTC)
                with self._changing:
                    conversation = self.stories.take(heard, now)
                    if (child, heard.step) == ("twilio", "typing"):
                        conversation = self._shown_typing(str(heard.fields["message_sid"]), now)
                    self._touched.add(conversation or self._of_address(heard))

    def note(self, conversation: str, bubble: Bubble) -> None:
        """Show on a phone what no table holds."""
        with self._changing:
            self.phones[conversation].notes.append(bubble)
            self._touched.add(conversation)

    def write(self, conversation: str, bubble: Bubble) -> None:
        """Show on a phone what its customer wrote."""
        with self._changing:
            self.phones[conversation].written.append(bubble)
            self._touched.add(conversation)

    def look(self, conversations: Iterable[str]) -> None:
        """Look at the tables and at the providers' stubs, and publish the phones of these conversations."""
        names, aws = self.stack.settings, self.stack.aws
        staged = _by_conversation(aws.rows(names.stage_table))
        history = _by_conversation(aws.rows(names.history_table))
        rows = {str(one[CONVERSATION_ID]): one for one in aws.rows(names.conversations_table)}
        messages = self.stack.phones.deliveries() if self.stack.twilio_url else []
        mails = self.stack.mailboxes.deliveries()
        with self._changing:
            for context in self.inbox.take_new():
                self.stories.people_received(context, datetime.now(UTC))
            for name in conversations:
                if name not in rows:
                    continue
                mine, old = staged.get(name, []), history.get(name, [])
                self.stories.see(sight_of(rows[name], old, mine))
                if (phone := self.phones.get(name)) is not None:
                    is_mail = phone.customer.channel == MAIL
                    received = list(phones.mails_to(phone, mails) if is_mail else phones.messages_to(phone, messages))
                    entries = [one[ENTRY] for one in old]
                    document = phone.document(
                        rows[name], entries, mine, received, is_typing=self._is_typing(name, received)
                    )
                    self.feed.publish(f"phone:{name}", document)
            self.stories.parts = self._parts(messages, mails)
            self.stories.forget_old()

    def publish(self) -> None:
        """Publish what does not belong to one phone."""
        with self._changing:
            self.feed.publish("stories", self.stories.latest)
            self.feed.publish("ledger", self.stories.ledger)
        self.feed.publish("inbox", self.inbox.documents)
        self.faults.publish()

    def run(self) -> None:
        """Look at what the lines concern, and at everything now and then."""
        looked_at = time.monotonic()
        while not self.stopped.wait(_LOOK_SECONDS):
            with self._changing:
                touched, self._touched = self._touched, set()
            is_due = time.monotonic() - looked_at > _LOOK_ANYWAY_SECONDS
            if not touched and not is_due:
                continue
            try:
                # A line without a conversation may concern any.
                self.look(self.phones.keys() if is_due or "" in touched else touched)
                self.publish()
                looked_at = time.monotonic()
            except Exception:  # noqa: BLE001  # the page goes on with what it has; the terminal says what is wrong
                if not self.stopped.is_set():
                    traceback.print_exc()

    def _shown_typing(self, message_sid: str, now: datetime) -> str | None:
        """The conversation whose phone shows from now on that an answer is being written."""
        story = self.stories.by_sid.get(message_sid)
        if story is None:
            return None
        self._typing[story.conversation] = now
        return story.conversation

    def _is_typing(self, conversation: str, received: Iterable[Bubble]) -> bool:
        """Whether a phone shows it still: for 25 s, or until a message arrives."""
        since = self._typing.get(conversation)
        if since is None or datetime.now(UTC) - since > timedelta(seconds=_TYPING_SECONDS):
            return False
        return not any(datetime.fromisoformat(one.at) > since for one in received)

    def _of_address(self, line: LogLine) -> str:
        """The conversation of a stub's line, which names an address; empty: of none that is known."""
        address = str(line.fields.get("to", "")).removeprefix("whatsapp:")
        found = (name for name, one in self.phones.items() if address and one.customer.address == address)
        return next(found, "")

    def _parts(self, messages: Iterable[Row], mails: Iterable[Row]) -> Counter[tuple[str, int]]:
        """How often each part of each reply was delivered."""
        sends = {row["send_id"]: row for row in self.stack.aws.rows(self.stack.settings.sends_table)}
        ids = [send_id_of(one["status_callback"]) for one in messages]
        ids += [str(one["custom_args"].get("send_id", "")) for one in mails]
        found = (sends[one] for one in ids if one in sends)
        return Counter((str(row.get("reply_id", row["send_id"])), int(row.get("part", 0))) for row in found)


def _by_conversation(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row[CONVERSATION_ID]), []).append(row)
    return found
