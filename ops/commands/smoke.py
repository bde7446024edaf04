"""The smoke test: each step of each channel with its time, and what `explain` says of a message that failed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from chalicelib.clock import SystemClock
from local.tenants import MAIL
from ops.commands.explain import explain
from ops.doctor.checks import webhooks
from ops.stage.deployment import Deployment
from ops.stage.target import CommandError
from ops.terminal.confirmation import ask
from ops.trials import accounts, companies, echo
from ops.trials.smoke import Failed, Passed, Smoke, Step

if TYPE_CHECKING:
    from ops.trials.accounts import Accounts

CHANNELS = ("whatsapp", "sms", MAIL)

_ANOTHER = "another company's batch is on the AI queue, so somebody reads it: the same command with --ai stage"


def smoke(
    deployment: Deployment,
    console: Console,
    channels: Sequence[str],
    credentials: Sequence[str | None],
    *,
    url: str | None,
    ai: str | None,
    patience_seconds: float,
    yes: bool,
) -> int:
    """Run it; the exit code: 1 where a step failed.

    Raises:
        CommandError: the stage cannot be tried this way.
    """
    settings, clock = deployment.settings, SystemClock()
    base, is_ours = base_of(deployment, url), answers_itself(deployment, ai)
    at = accounts.of_stage(settings, credentials)
    channels = list(_channels(console, channels, at, is_ours=is_ours))
    (company,) = companies.plan(at, channels, count=1, customers=len(channels))
    console.print(f"one message on each of {', '.join(channels)}, to {base}, from a company made for this run")
    ask(f"Send to stage {deployment.target.stage}?", yes=yes)
    begun, failed = clock.now(), []
    window = settings.batch_max_wait_seconds
    patience = {step: patience_seconds + (window if step is Step.BATCH else 0) for step in Step}
    with (
        companies.made(deployment, [company], at) as journeys,
        echo.answering(deployment, {company.company_id}, at.replying, is_needed=is_ours) as answers,
    ):
        why = lambda: _ANOTHER if answers is not None and answers.met_another else None  # noqa: E731  # one look
        run = Smoke(deployment.engine().tables, base, clock, threading.Event().wait, patience, why)
        for found in run.run(journeys):
            _show(console, found)
            if isinstance(found, Failed):
                failed.append(found)
        for one in failed:
            if one.step is not Step.RECEIPT:
                explain(deployment, console, one.key.conversation_id, one.key.primary_channel, begun)
    console.print("; ".join(f"{one.channel} failed at {one.step.word}" for one in failed) or "every channel works")
    return 1 if failed else 0


def base_of(deployment: Deployment, url: str | None) -> str:
    """Where the webhooks are.

    Raises:
        CommandError: nothing says where.
    """
    found = webhooks.candidates(deployment, url)
    if not found:
        raise CommandError("the URL of the webhooks is unknown", f"{deployment.target.deploy}, or --url")
    return found[0]


def answers_itself(deployment: Deployment, ai: str | None) -> bool:
    """Whether the trial is to answer its batches itself: a stage without an AI worker has nobody who does."""
    if ai is not None:
        return ai == "echo"
    return not deployment.target.is_on_this_machine and not deployment.settings.ai_worker


def _channels(console: Console, asked: Sequence[str], at: Accounts, *, is_ours: bool) -> Iterable[str]:
    """The channels that can be tried; an AI that is not ours would have a reply sent where none can be."""
    for channel in asked or CHANNELS:
        if is_ours or channel in at.replying:
            yield channel
        else:
            console.print(f"· {channel} is left out: the provider's trial account cannot send on it", style="yellow")


def _show(console: Console, found: Passed | Failed) -> None:
    if isinstance(found, Passed):
        note = f"  ({found.note})" if found.note else ""
        console.print(f"✓ {found.channel:<9} {found.step.word:<8} {found.seconds:7.3f} s{note}", style="green")
    else:
        console.print(f"✗ {found.channel:<9} {found.step.word:<8} {found.why}", style="red")
