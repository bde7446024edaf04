"""What the console shows of a stage, each panel for itself: where a right is missing, that panel says so.

Looking changes nothing and is cheap: the lock's index tells what is locked, stalled or unanswered, a scan of a small
table the rest, and the queues' attributes how many dead letters there are. The letters themselves, a conversation's
story and the doctor are asked for by a button.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import click

from chalicelib.aws.attributes import item_from_wire
from chalicelib.clock import SystemClock
from chalicelib.errors import EngineError
from chalicelib.ports.tables import Item
from chalicelib.protocol.lock_changes import watched_shard
from chalicelib.protocol.record import (
    ATTRIBUTES,
    CONVERSATION_ID,
    ERROR_CODE,
    LAST_ACTIVITY_AT,
    LOCK_SHARD,
    PRIMARY_CHANNEL,
    STARTED_AT,
    STATUS,
    UNANSWERED_IDS,
)
from local.console.background import Background
from local.console.feed import Feed
from local.console.web import Document, Unfit, text
from ops.commands.explain import story
from ops.console.states import READ, State, state_of
from ops.doctor import examination
from ops.explain import evidence
from ops.repairs import redriving, single_letters
from ops.repairs.restoring import describe
from ops.stage.account import as_command_error
from ops.stage.conversation_rows import SCANNED_BYTES_MAX
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.terminal import masking

SHOWN_MAX = 300
SINCE_HOURS = 24


@dataclass(kw_only=True)
class StageView(Background):
    """Publishes `conversations` and `dead-letters`, and answers what is asked for."""

    deployment: Deployment
    feed: Feed
    shows_texts: bool = False
    every_seconds: float = 10.0
    clock: SystemClock = field(default_factory=SystemClock)

    def look(self) -> None:
        """Look once at everything that is cheap."""
        for topic, panel in (("conversations", self._conversations), ("dead-letters", self._dead_letters)):
            self.feed.publish(topic, self._guarded(panel))

    def story(self, told: Document) -> object:
        """What happened in one conversation, and the verdict."""
        since = self.clock.now() - timedelta(hours=SINCE_HOURS)
        asked = text(told, "asked").strip()
        if not asked:
            raise Unfit("name a conversation, a message, an address or a send id")

        def gathered() -> object:
            found = evidence.gather(self.deployment, self.deployment.engine(), asked, None, since)
            stories = [story(one, shows_texts=self.shows_texts) for one in found]
            return json.loads(json.dumps({"stories": stories}, default=_iso))

        return self.asked(gathered)

    def doctor(self, _told: Document) -> object:
        """The doctor's findings, with the commands that fix them."""

        def examined() -> object:
            asked = examination.Asked((), looks_at_tenants=True, url=None, reads_all=False)
            areas = examination.examine(self.deployment, asked)
            return {"findings": [asdict(finding) for area in areas for finding in area.findings]}

        return self.asked(examined)

    def letters(self, _told: Document) -> object:
        """Every dead letter, masked."""

        def listed() -> object:
            every = single_letters.every(self.deployment.account, self.deployment.settings)
            return {
                "letters": [
                    {
                        "id": one.letter.message_id,
                        "queue": one.source.role,
                        "sent_at": one.letter.sent_at.isoformat(),
                        "conversation": _masked_id(one.letter.conversation),
                        "reason": one.letter.reason or "it failed too often",
                        "is_readable": one.is_readable,
                    }
                    for one in every
                ]
            }

        return self.asked(listed)

    def run(self) -> None:
        """Look again and again."""
        while not self.stopped.is_set():
            self.look()
            self.stopped.wait(self.every_seconds)

    def _guarded(self, panel: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A panel, or what is wrong with it: one that fails leaves the others alone."""
        try:
            return panel()
        except EngineError as error:
            return {"error": as_command_error(error, self.deployment.target).message}
        except click.ClickException as error:
            return {"error": error.message}

    def asked(self, answer: Callable[[], object]) -> object:
        """An answer, or why there is none.

        Raises:
            Unfit: AWS does not let us, or what is asked for is not there.
        """
        try:
            return answer()
        except EngineError as error:
            raise Unfit(as_command_error(error, self.deployment.target).message) from error
        except (CommandError, click.ClickException) as error:
            raise Unfit(error.message) from error

    # ------------------------------------------------------------------ panels

    def _conversations(self) -> dict[str, Any]:
        settings, now = self.deployment.settings, self.clock.now()
        described = describe(self.deployment.account, settings.conversations_table) or {}
        is_small = int(described.get("TableSizeBytes", 0)) <= SCANNED_BYTES_MAX
        rows = {_key(row): row for row in (self._scanned() if is_small else self._indexed())}
        found: dict[str, list[dict[str, Any]]] = {state.value: [] for state in State}
        unreadable = 0
        for row in rows.values():
            try:
                state = state_of(row, settings, now)
            except EngineError:
                unreadable += 1
                continue
            if state is not None:
                found[state.value].append(self._line(row))
        return {
            "counts": {state: len(lines) for state, lines in found.items()},
            "states": {
                state: sorted(lines, key=lambda one: one["since"] or "")[:SHOWN_MAX] for state, lines in found.items()
            },
            "unreadable": unreadable,
            "is_whole": is_small,
            "at": now.isoformat(),
        }

    def _line(self, row: Item) -> dict[str, Any]:
        since = row.get(STARTED_AT) or row.get(LAST_ACTIVITY_AT)
        return {
            "id": masking.text(str(row[CONVERSATION_ID])),
            "whose": str(row[PRIMARY_CHANNEL]) if self.shows_texts else masking.address(str(row[PRIMARY_CHANNEL])),
            "company": str(row.get("company_id", "")),
            "status": str(row.get(STATUS, "")),
            "code": str(row.get(ERROR_CODE) or ""),
            "waiting": len(row.get(UNANSWERED_IDS) or ()),
            "since": since if isinstance(since, str) else None,
        }

    def _scanned(self) -> Iterator[Item]:
        names = {f"#{number}": name for number, name in enumerate(dict.fromkeys((*ATTRIBUTES, *READ)))}
        table = self.deployment.settings.conversations_table
        request = {"TableName": table, "ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        token = ("LastEvaluatedKey", "ExclusiveStartKey")
        for page in self.deployment.account.pages("dynamodb", "Scan", table, request, token=token):
            yield from map(item_from_wire, page["Items"])

    def _indexed(self) -> Iterator[Item]:
        """What the lock's index holds: locked conversations, and open ones that wait for the sweep."""
        engine, settings = self.deployment.engine(), self.deployment.settings
        for shard in range(settings.lock_index_shards):
            for name in (str(shard), watched_shard(shard)):
                for row in engine.tables.conversations.query((LOCK_SHARD, name), index=settings.lock_index):
                    whole = engine.tables.conversations.get(
                        {PRIMARY_CHANNEL: row[PRIMARY_CHANNEL], CONVERSATION_ID: row[CONVERSATION_ID]},
                        attributes=(*ATTRIBUTES, *READ),
                    )
                    if whole is not None:
                        yield whole

    def _dead_letters(self) -> dict[str, Any]:
        account = self.deployment.account
        return {
            "queues": {
                source.role: single_letters.count(account, source)
                for source in redriving.sources(self.deployment.settings).values()
            }
        }


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _key(row: Item) -> tuple[str, str]:
    return str(row[PRIMARY_CHANNEL]), str(row[CONVERSATION_ID])


def _masked_id(key: Any) -> str:
    return masking.text(key.conversation_id) if key is not None else ""
