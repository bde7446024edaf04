"""The queues: present, each with its dead-letter queue, and invisible for longer than the function that reads works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ops.doctor.checks.functions import variable_of
from ops.doctor.findings import Finding, Weight
from ops.repairs.redriving import is_readable, sources
from ops.repairs.restoring import queue_attributes, redrives_to
from ops.stage import blueprint
from ops.stage.blueprint import QueuePlan
from ops.stage.dead_letters import SqsDeadLetters, leave
from ops.stage.deployment import Deployment

AREA = "queues"


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the queues."""
    target = deployment.target
    readers = {variable_of(queue): function for function, queue in deployment.queue_readers.items()}
    for setting, plan in blueprint.queues(deployment.settings).items():
        variable = setting.upper()
        if variable in deployment.of_other_stages:
            continue  # a finding of the settings
        restore = target.ops(f"restore {plan.name}")
        queue, dead = (queue_attributes(deployment.account, name) for name in (plan.name, plan.dead_name))
        if queue is None:
            yield Finding(AREA, f"{plan.name} is missing ({variable})", restore)
        if dead is None:
            yield Finding(AREA, f"{plan.dead_name}, the dead-letter queue of {plan.name}, is missing", restore)
        else:
            yield from _letters(deployment, plan, dead)
        if queue is not None:
            redrive = redrives_to(queue)
            if redrive != plan.dead_name:
                what = f"{plan.name} sends what fails to {redrive}" if redrive else f"{plan.name} has no redrive"
                yield Finding(AREA, f"{what}, and should to {plan.dead_name}", restore)
            yield from _visibility(deployment, plan, int(queue["VisibilityTimeout"]), readers.get(variable), restore)


def _visibility(
    deployment: Deployment, plan: QueuePlan, seconds: int, reader: str | None, restore: str
) -> Iterator[Finding]:
    """Whether a message stays invisible for as long as the protocol counts on."""
    if reader is None:
        return
    settings = deployment.settings
    function = deployment.functions.get(reader)
    works = function.timeout_seconds if function is not None else settings.worker_timeout_seconds
    if seconds <= works:
        what = f"{plan.name} delivers again after {seconds} s, while {reader} may work for {works} s"
        yield Finding(AREA, what, restore)
    elif seconds != (told := int(plan.attributes["VisibilityTimeout"])):
        is_ours = told == settings.visibility_timeout_seconds
        word = "VISIBILITY_TIMEOUT_SECONDS is" if is_ours else "the template has"
        yield Finding(AREA, f"{plan.name} delivers again after {seconds} s, and {word} {told}", restore)


def _letters(deployment: Deployment, plan: QueuePlan, dead: Mapping[str, str]) -> Iterator[Finding]:
    """Dead letters: those that can be redriven, and those that only somebody's decision removes."""
    count = int(dead.get("ApproximateNumberOfMessages", 0))
    if not count:
        return
    source = next(one for one in sources(deployment.settings).values() if one.dead_name == plan.dead_name)
    letters = SqsDeadLetters(deployment.account, plan.dead_name)
    some = letters.take()
    leave(letters, some)
    command = f"redrive {source.role}" if any(is_readable(one, source.read) for one in some) else ""
    fix = command or f"dead-letters drop {source.role} --unreadable --reason TEXT"
    what = f"{plan.dead_name} holds {count} message(s)"
    yield Finding(AREA, what if command else f"{what} that are unreadable", deployment.target.ops(fix), Weight.WARNING)
