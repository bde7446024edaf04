"""The queues: there, each with its dead-letter queue, and invisible for longer than the function that reads works."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from chalicelib.settings import Settings
from infrastructure.stages import queue_readers
from infrastructure.template import load
from ops.doctor.checks.functions import variable_of
from ops.doctor.findings import Finding, Weight
from ops.stage.account import NO_QUEUE
from ops.stage.deployment import Deployment

AREA = "queues"


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the queues."""
    settings, target = deployment.settings, deployment.target
    readers = {variable_of(queue): function for function, queue in queue_readers().items()}
    for variable, name in names(settings).items():
        if variable in deployment.of_other_stages:
            continue  # told of the settings
        queue = _attributes(deployment, name)
        dead_name = name + settings.dead_letter_suffix
        dead = _attributes(deployment, dead_name)
        if queue is None:
            yield Finding(AREA, f"{name} is missing ({variable})", target.deploy)
        if dead is None:
            yield Finding(AREA, f"{dead_name}, where {name} puts what fails, is missing", target.deploy)
        else:
            yield from _letters(deployment, variable, dead_name, dead)
        if queue is not None:
            found = _Queue(deployment, name, queue)
            yield from found.redrive(dead)
            yield from found.visibility(readers.get(variable))


@dataclass(frozen=True)
class _Queue:
    """One queue as it is."""

    deployment: Deployment
    name: str
    attributes: Mapping[str, str]

    def redrive(self, dead: Mapping[str, str] | None) -> Iterator[Finding]:
        """Whether what fails again and again goes to the queue's own dead-letter queue."""
        settings, target = self.deployment.settings, self.deployment.target
        policy = json.loads(self.attributes.get("RedrivePolicy") or "{}")
        dead_name = self.name + settings.dead_letter_suffix
        arn_set = str(policy.get("deadLetterTargetArn", ""))
        if arn_set.rpartition(":")[2] == dead_name:
            return
        arn = (dead or {}).get("QueueArn", "")
        told = {"deadLetterTargetArn": arn, "maxReceiveCount": _receives_max()}
        mend = self._set({"RedrivePolicy": json.dumps(told)}) if arn else target.deploy
        what = (
            f"{self.name} sends what fails to {arn_set.rpartition(':')[2]}"
            if arn_set
            else f"{self.name} has no redrive"
        )
        yield Finding(AREA, f"{what}, and should to {dead_name}", mend)

    def visibility(self, reader: str | None) -> Iterator[Finding]:
        """Whether a message stays invisible for as long as the protocol counts on."""
        if reader is None:
            return
        settings = self.deployment.settings
        seconds = int(self.attributes["VisibilityTimeout"])
        function = self.deployment.functions.get(reader)
        works = function.timeout_seconds if function is not None else settings.worker_timeout_seconds
        mend = self._set({"VisibilityTimeout": str(settings.visibility_timeout_seconds)})
        if seconds <= works:
            what = f"{self.name} delivers again after {seconds} s, while {reader} may work for {works} s"
            yield Finding(AREA, what, mend)
        elif seconds != settings.visibility_timeout_seconds:
            told = settings.visibility_timeout_seconds
            what = f"{self.name} delivers again after {seconds} s, and VISIBILITY_TIMEOUT_SECONDS is {told}"
            yield Finding(AREA, what, mend)

    def _set(self, attributes: Mapping[str, str]) -> str:
        target = self.deployment.target
        url = f'"$({target.aws(f"sqs get-queue-url --queue-name {self.name} --query QueueUrl --output text")})"'
        told = shlex.quote(json.dumps(attributes))
        return target.aws(f"sqs set-queue-attributes --queue-url {url} --attributes {told}")


def names(settings: Settings) -> dict[str, str]:
    """The queues of a stage by the settings that name them."""
    return {one.name.upper(): getattr(settings, one.name) for one in fields(Settings) if one.name.endswith("_queue")}


def _attributes(deployment: Deployment, name: str) -> Mapping[str, str] | None:
    """What a queue is like; None: there is none of that name."""
    account = deployment.account
    found = account.call("sqs", "GetQueueUrl", name, {"QueueName": name}, absent=NO_QUEUE)
    if found is None:
        return None
    request = {"QueueUrl": found["QueueUrl"], "AttributeNames": ["All"]}
    answer = account.call("sqs", "GetQueueAttributes", name, request) or {}
    attributes: Mapping[str, str] = answer.get("Attributes", {})
    return attributes


def _letters(deployment: Deployment, variable: str, name: str, dead: Mapping[str, str]) -> Iterator[Finding]:
    """Messages that wait in a dead-letter queue for somebody to look at them."""
    count = int(dead.get("ApproximateNumberOfMessages", 0))
    if count:
        role = variable.removesuffix("_QUEUE").lower().replace("_", "-")
        mend = deployment.target.ops(f"redrive {role} --dry-run")
        yield Finding(AREA, f"{name} holds {count} message(s)", mend, Weight.WARNING)


def _receives_max() -> int:
    """How often the template lets a message fail before it goes to the dead-letter queue."""
    return next(one.receives_max for one in load("local").queues.values() if one.receives_max is not None)
