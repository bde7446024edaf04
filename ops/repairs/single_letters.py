"""One dead letter: found by its id in whichever queue it lies, and left there unless it is redriven or dropped.

While it is looked for, the letters of its queue are invisible to others; they are put back at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chalicelib.settings import Settings
from ops.repairs.redriving import Source, is_readable, sources
from ops.stage.account import Account
from ops.stage.dead_letters import DeadLetter, SqsDeadLetters, leave, take_all
from ops.stage.target import CommandError
from ops.terminal import masking

_ID_MIN = 6
"""So many characters of an id name one letter among thousands."""

_SHOWN_WHOLE = frozenset(
    {
        "action",
        "batch_id",
        "channel",
        "channel_type",
        "company_id",
        "conversation_id",
        "credential_ref",
        "credentials_reference",
        "direction",
        "handoff_id",
        "message_id",
        "message_sid",
        "project_id",
        "primary_channel",
        "received_at",
        "reply_id",
        "request_id",
        "source",
        "timestamp",
        "trigger_id",
        "validation_status",
        "version",
    }
)
"""Members of a body whose texts are ids, instants and words of ours; addresses in them are masked."""


@dataclass(frozen=True)
class Held:
    """One dead letter, invisible to others while the block lasts."""

    source: Source
    letters: SqsDeadLetters
    letter: DeadLetter

    @property
    def is_readable(self) -> bool:
        return is_readable(self.letter, self.source.read)


def count(account: Account, source: Source) -> int:
    """About how many dead letters a queue has; looks at none of them."""
    return SqsDeadLetters(account, source.dead_name).count


def every(account: Account, settings: Settings, queue: Source | None = None) -> Iterator[Held]:
    """Every dead letter of a queue or of all, the oldest of each queue first; left where it is."""
    for source in [queue] if queue else sources(settings).values():
        letters = SqsDeadLetters(account, source.dead_name)
        if letters.holds_any:
            taken = take_all(letters)
            leave(letters, taken)
            yield from (Held(source, letters, one) for one in taken)


@contextmanager
def held(account: Account, settings: Settings, told: str) -> Iterator[Held]:
    """The dead letter of an id, or of how its id begins; the others are put back, and so is it, unless it is deleted.

    Raises:
        CommandError: there is none, or there are several.
    """
    if len(told) < _ID_MIN:
        raise CommandError(f"{told} is too short for an id", f"its first {_ID_MIN} characters, as `dead-letters list`")
    found: list[Held] = []
    for source in sources(settings).values():
        letters = SqsDeadLetters(account, source.dead_name)
        if letters.holds_any:
            taken = take_all(letters)
            found += [Held(source, letters, one) for one in taken if one.message_id.startswith(told)]
            leave(letters, [one for one in taken if not one.message_id.startswith(told)])
    try:
        if len(found) != 1:
            what = f"{len(found)} dead letters begin with {told}" if found else f"there is no dead letter {told}"
            raise CommandError(what, account.target.ops("dead-letters list"))
        yield found[0]
    finally:
        for one in found:
            leave(one.letters, [one.letter])


def shown(body: str) -> Any:
    """A body with what somebody wrote left out: texts as their length, addresses as their ends."""
    try:
        return _masked(json.loads(body))
    except (ValueError, RecursionError):
        return masking.content(body)


def _masked(value: Any, name: str = "") -> Any:
    match value:
        case Mapping():
            return {str(key): _masked(one, str(key)) for key, one in value.items()}
        case list():
            return [_masked(one, name) for one in value]
        case str() if name == "primary_channel":
            return masking.address(value)
        case str() if name in _SHOWN_WHOLE:
            return masking.text(value)
        case str():
            return masking.content(value)
        case _:
            return value
