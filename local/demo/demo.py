"""`demo`: plays the scripted evening in less than a minute on free ports, shows it and checks it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from local import stack
from local.demo import picture, promises, scenario
from local.demo.email_scenario import EmailScenario
from local.demo.outcome import look
from local.demo.scenario import Scenario
from local.demo.timeline import Timeline
from local.processes import ports
from local.processes.environment import HOST
from local.tenants import TENANTS


def play(console: Console, *, shell: Mapping[str, str], verbose: bool) -> bool:
    """Play the evening; whether exactly what was expected came of it.

    Args:
        console: the terminal.
        shell: the user's environment.
        verbose: show every log line instead of the timeline's selection.

    Raises:
        click.ClickException: something did not start, or did not come.
    """
    aws_port, http_port, twilio_port, sendgrid_port = ports.free(4)
    conversations = {who.address: one.conversation_id(who) for one in TENANTS for who in one.customers}
    timeline = Timeline(console, conversations=conversations, verbose=verbose)
    console.print(
        "Starting a local AWS, the app, its workers, and stubs for Twilio, SendGrid and the AI ...", style="dim"
    )
    with stack.started(
        aws_port,
        shell=shell,
        on_line=timeline.on_line,
        http_port=http_port,
        twilio_url=f"http://{HOST}:{twilio_port}",
        sendgrid_url=f"http://{HOST}:{sendgrid_port}",
        settings=scenario.SETTINGS,
    ) as here:
        twilio = here.twilio_stub()
        sendgrid = here.sendgrid_stub()
        app = here.serve()
        here.work(*_only(*_OTHERS))
        doomed = here.work(*_only("batch_sms"), "--die-before-dispatch")
        here.ai_stub(scenario.THINKING_SECONDS)
        here.wait_for(twilio, twilio_port)
        here.wait_for(sendgrid, sendgrid_port)
        here.wait_for(app, http_port)
        timeline.begin()
        url = f"http://{HOST}:{http_port}"
        mails = EmailScenario(here, timeline, url, sent={})
        script = Scenario(here, timeline, url, doomed, sent={}, mails=mails)
        died = script.play()
        outcome = look(here, timeline, script.sent, mails.sent, died)
        seconds = timeline.seconds
    timeline.headline("What the customers see")
    picture.show(console, picture.documents(outcome))
    timeline.headline("What was promised")
    kept = promises.promises(outcome)
    promises.show(console, kept, verbose=verbose)
    found = [check for promise in kept for check in promise.checks]
    failed = sum(not check.holds for check in found)
    if failed:
        console.print(
            f"\n{failed} of {len(found)} checks do not hold; --verbose shows every log line.", style="bold red"
        )
    else:
        console.print(
            f"\nAll {len(kept)} promises hold, by {len(found)} checks; the evening took {seconds:.0f} s.",
            style="bold green",
        )
    return not failed


_OTHERS = (
    "batch_whatsapp",
    "batch_email",
    "send_replies",
    "send_human_replies",
    "check_and_reset_stalled_conversations",
    "recover_orphaned_messages",
)
"""All handlers but the SMS queue's, which is left to the worker that dies and to the one after it."""


def _only(*handlers: str) -> list[str]:
    return [part for handler in handlers for part in ("--only", handler)]
