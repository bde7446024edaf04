"""The ways in which an unknown sender is told, as the fault tests play them: by the webhook's answer, by a letter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.email_world import EmailWorld
from tests.fakes.faults import Fault
from tests.world import World

TEXT = "Nobody reads this."
STRANGER = "whatsapp:+4999"


def _told_by_answers(world: World) -> int:
    return sum(TEXT in answer.body for answer in world.answers)


@dataclass(frozen=True)
class FailureMode:
    """One way in which an unknown sender is told."""

    name: str
    world: Callable[..., World]
    """By settings."""
    write: Callable[[World], object]
    write_another: Callable[[World], object]
    """Another unknown sender does."""
    heard: Callable[[World], int]
    """How many texts have reached the sender."""
    lost: frozenset[tuple[int, Fault]]
    """By the number of the call, the faults that leave it open whether the text was told: it is not told again."""


BY_THE_ANSWER = FailureMode(
    "by the answer",
    lambda **settings: World(unknown_sender_text=TEXT, **settings),
    lambda world: world.deliver(From=STRANGER),
    lambda world: world.deliver(From="whatsapp:+4998"),
    _told_by_answers,
    frozenset({(4, Fault.LOST_ANSWER)}),  # the row may be there
)
BY_A_LETTER = FailureMode(
    "by a letter",
    lambda **settings: EmailWorld(unknown_sender_text=TEXT, **settings),
    lambda world: world.deliver_mail(),
    lambda world: world.deliver_mail(sender="another@customer.example"),
    lambda world: len(world.phone.received),
    frozenset(
        {
            (8, Fault.CRASH_AFTER),  # claimed, and not sent
            (9, Fault.CRASH_BEFORE),
            (9, Fault.MISCONFIGURED),  # refused for good
            (9, Fault.ANSWERED_5XX),  # in doubt
        }
    ),
)
FAILURE_MODES = (BY_THE_ANSWER, BY_A_LETTER)


def tell(world: World, way: FailureMode) -> None:
    """They write, and what is left to be sent is sent."""
    way.write(world)
    world.send_replies()
