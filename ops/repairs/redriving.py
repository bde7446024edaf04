"""Redriving: a dead letter goes back to the queue that it came from.

    in the dead-letter queue --send--> in both --delete--> in its queue

Guarantee: a dead letter is sent first and deleted after. A crash in between leaves it in both queues, and redriving
again sends it once more: a spare trigger, a context under the same batch id, a reply under the same reply id. Each
reader recognises the repeat. A dead letter that its reader cannot parse would only come back: it stays and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from chalicelib.errors import Code, EngineError, Rejected
from chalicelib.messages.replies import Reply
from chalicelib.outbound.errands import Undelivered
from chalicelib.ports.queues import Queue
from chalicelib.protocol.fallbacks import FallbackRequest
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.trigger_lock import Trigger
from chalicelib.settings import Settings
from ops.stage.dead_letters import DeadLetter, DeadLetters, conversation_of, leave, take_all
from ops.stage.target import CommandError


class Result(StrEnum):
    """The outcome of a dead letter."""

    REDRIVEN = "redriven"
    WOULD_BE = "would be redriven"
    UNREADABLE = "left: unreadable"
    ANOTHER_S = "left: another conversation's"


@dataclass(frozen=True)
class Told:
    """One dead letter and its fate."""

    dead_letter: DeadLetter
    result: Result


Read = Callable[[str], object]
"""Reads a body as the queue's reader does; raises `Rejected`."""


@dataclass(frozen=True)
class Source:
    """A queue with a dead-letter queue, and how its messages are read."""

    role: str
    name: str
    dead_name: str
    read: Read


def sources(settings: Settings) -> Mapping[str, Source]:
    """Every queue of a stage by its role: `whatsapp`, `ai-replies` and so on."""
    readers: dict[str, Read] = {
        "ai-replies": _reply,
        "human-replies": _reply,
        "ai": _context,
        "human-handoff": _context,
    }
    found = {}
    for one in fields(Settings):
        if one.name.endswith("_queue"):
            role, name = one.name.removesuffix("_queue").replace("_", "-"), str(getattr(settings, one.name))
            read = readers.get(role, Trigger.from_body)
            found[role] = Source(role, name, name + settings.dead_letter_suffix, read)
    return found


def source(settings: Settings, told: str) -> Source:
    """The queue that an operator means: by its role, its name, or the name of its dead-letter queue.

    Raises:
        CommandError: there is none of that name.
    """
    known = sources(settings)
    for one in known.values():
        if told in (one.role, one.name, one.dead_name):
            return one
    raise CommandError(f"stage {settings.stage} has no queue {told}", f"one of {', '.join(known)}")


def redrive(
    dead_letters: DeadLetters, queue: Queue, read: Read, *, conversation_id: str | None, is_dry_run: bool
) -> Iterator[Told]:
    """Send dead letters back, the oldest first, each told as it is done.

    Args:
        dead_letters: the dead-letter queue.
        queue: where its messages come from.
        read: as the queue's reader reads them.
        conversation_id: only this conversation's; None: all.
        is_dry_run: send and delete nothing.

    Raises:
        EngineError: what is not told yet is still in the dead-letter queue.
    """
    taken = take_all(dead_letters)
    results = [
        (dead_letter, _result(dead_letter, read, conversation_id, is_dry_run=is_dry_run)) for dead_letter in taken
    ]
    leave(dead_letters, [dead_letter for dead_letter, result in results if result is not Result.REDRIVEN])
    for number, (dead_letter, result) in enumerate(results):
        if result is Result.REDRIVEN:
            try:
                queue.send(dead_letter.body, group=dead_letter.group, attributes=dead_letter.attributes)
            except EngineError:
                leave(dead_letters, taken[number:])
                raise
            dead_letters.delete(dead_letter)  # only now: a crash before it doubles the dead letter, and never loses it
        yield Told(dead_letter, result)


def redrive_one(dead_letters: DeadLetters, queue: Queue, letter: DeadLetter) -> None:
    """Send one dead letter back; sent first and deleted after."""
    queue.send(letter.body, group=letter.group, attributes=letter.attributes)
    dead_letters.delete(letter)


def is_readable(dead_letter: DeadLetter, read: Read) -> bool:
    """Whether the queue's reader could read a dead letter; one that it cannot would only come back."""
    try:
        read(dead_letter.body)
    except Rejected:
        return False
    return True


def _result(dead_letter: DeadLetter, read: Read, conversation_id: str | None, *, is_dry_run: bool) -> Result:
    key = dead_letter.conversation
    if conversation_id is not None and (key is None or key.conversation_id != conversation_id):
        return Result.ANOTHER_S
    if not is_readable(dead_letter, read):
        return Result.UNREADABLE
    return Result.WOULD_BE if is_dry_run else Result.REDRIVEN


def _reply(body: str) -> object:
    """A reply, an errand of ours, or our request to send an unknown sender a text."""
    return Undelivered.from_body(body) or FallbackRequest.from_body(body) or Reply.from_body(body)


def _context(body: str) -> ConversationKey:
    """A context is the company's to read; one that names its conversation is taken for whole."""
    key = conversation_of(body)
    if key is None:
        raise Rejected(Code.PARSING_ERROR, "a context names its conversation")
    return key
