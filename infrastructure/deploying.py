"""A whole deployment of one stage, in the order in which one thing needs another. Safe to run again, wherever it ended.

configuration -> stack -> tables and queues -> Chalice's memory -> functions, API, schedules -> what Chalice cannot set
-> alarms and dashboard, last: an alarm on a sweep that is not there yet would ring
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from chalicelib.channels.twilio import RETRIES
from infrastructure import chalice_deploy, chalice_state, post_deploy, preflight
from infrastructure.account import Account, DeploymentError, in_one_line
from infrastructure.stack import Stack
from infrastructure.stages import Stage, stages, webhooks
from infrastructure.template import MONITORING_FILE, TEMPLATE_FILE

Tell = Callable[[str], None]
"""Takes one line on what was done."""

_SENDGRID = frozenset({"/webhooks/email"})
"""The webhooks that SendGrid calls; the others are Twilio's."""


def stage_named(name: str) -> Stage:
    """The stage of that name.

    Raises:
        DeploymentError: `.chalice/config.json` has none that can be deployed.
    """
    known = {one.name: one for one in stages().values() if one.is_deployable}
    if name not in known:
        raise DeploymentError(
            f"{name or 'no name'} is no stage of .chalice/config.json: `make deploy STAGE={' or '.join(known)}`"
        )
    return known[name]


def command(
    verb: str, stage: Stage, parameters: Mapping[str, str] | None = None, alarm_topic: str | None = None
) -> str:
    """What the user runs."""
    topic = f" ALARM_TOPIC={alarm_topic}" if alarm_topic else ""
    told = " ".join(f"--parameter {name}={value}" for name, value in (parameters or {}).items())
    return f"make {verb} STAGE={stage.name}{topic}" + (f' ARGS="{told}"' if told else "")


def create(stage: Stage, parameters: dict[str, str], tell: Tell, again: str | None = None) -> Account:
    """Make the tables and queues of a stage, or bring them up to date, and wait.

    Args:
        stage: which.
        parameters: of the template.
        tell: takes a line on what was done.
        again: the command that the user ran, if it does more than this.

    Raises:
        DeploymentError: something is missing.
    """
    again = again or command("infrastructure", stage, parameters)
    _stop_at(preflight.faults_of_configuration(stage))
    account = Account.of_shell(again)
    with in_one_line(again):
        stack = Stack(account, stage.stack_name, TEMPLATE_FILE)
        done = stack.bring_up({**stage.resource_names, **parameters, "Stage": stage.name}, again)
        tell(f"stack {stack.name} in {account.region}: {done}")
        _stop_at(preflight.faults_of_account(account, stage))
    return account


def deploy(stage: Stage, parameters: dict[str, str], alarm_topic: str | None, tell: Tell) -> None:
    """Make everything of a stage, or bring it up to date, wait, and tell the webhooks' URLs.

    Args:
        stage: which.
        parameters: of the template of tables and queues.
        alarm_topic: as `watch` takes it; one that no alarm can tell is refused before anything is made.
        tell: takes a line on each step.

    Raises:
        DeploymentError: something is missing.
        SystemExit: Chalice gave up, and has said why.
    """
    again = command("deploy", stage, parameters, alarm_topic)
    _stop_at(preflight.faults_of_topic(Account.of_shell(again), alarm_topic))
    account = create(stage, parameters, tell, again)
    functions(stage, tell, account)
    post_deploy_step(stage, tell, account)
    watch(stage, alarm_topic, tell, account)
    tell("Webhooks, to be pasted into the provider's console:")
    for provider, url in webhook_urls(stage, chalice_state.api(stage)):
        tell(f"  {provider:<9} {url}")


def functions(stage: Stage, tell: Tell, account: Account | None = None) -> None:
    """Deploy the functions, the API and the schedules of a stage with Chalice.

    Raises:
        DeploymentError: something is missing.
        SystemExit: Chalice gave up, and has said why.
    """
    again = command("deploy", stage)
    account = account or Account.of_shell(again)
    with in_one_line(again):
        for name in chalice_state.restore(account, stage):
            tell(f"{name} was found in the account and recorded for Chalice")
    api = chalice_state.api(stage)
    chalice_deploy.deploy(stage, api and api[1], again)


def post_deploy_step(stage: Stage, tell: Tell, account: Account | None = None) -> None:
    """Bring a deployed stage to what Chalice cannot set.

    Raises:
        DeploymentError: something is missing.
    """
    again = command("deploy", stage)
    account = account or Account.of_shell(again)
    with in_one_line(again):
        chalice_state.restore(account, stage)
        changed = post_deploy.apply(account, stage, chalice_state.api(stage))
    tell("post-deploy: " + ("; ".join(changed) or "nothing to change"))


def watch(stage: Stage, alarm_topic: str | None, tell: Tell, account: Account | None = None) -> None:
    """Make the alarms and the dashboard of a stage, or bring them up to date, and wait.

    Args:
        stage: which.
        alarm_topic: the SNS topic that each alarm notifies; empty: none; None: the topic of the last deployment.
        tell: takes a line on what was done.
        account: where, if not where the shell's credentials lead.

    Raises:
        DeploymentError: something is missing.
    """
    again = command("deploy", stage, alarm_topic=alarm_topic)
    account = account or Account.of_shell(again)
    _stop_at(preflight.faults_of_topic(account, alarm_topic))
    parameters = {"Stage": stage.name, "AppName": stage.app_name}
    if alarm_topic is not None:
        parameters["AlarmTopicArn"] = alarm_topic
    with in_one_line(again):
        stack = Stack(account, stage.monitoring_stack_name, MONITORING_FILE)
        done = stack.bring_up(parameters, again)
    tell(f"stack {stack.name} in {account.region}: {done}")


def webhook_urls(stage: Stage, api: tuple[str, str] | None) -> list[tuple[str, str]]:
    """Each provider with a URL that it is to call."""
    base = (stage.variables.get(post_deploy.PUBLIC_BASE_URL) or (api[1] if api else "")).rstrip("/")
    return [
        ("SendGrid", f"{base}{path}") if path in _SENDGRID else ("Twilio", f"{base}{path}{RETRIES}")
        for path in webhooks()
    ]


def _stop_at(faults: Iterable[str]) -> None:
    for fault in faults:
        raise DeploymentError(fault)
