"""The echo AI of a trial, for a stage that runs no AI worker: answers the batches of the trial's own companies.

It reads the stage's AI queue. A batch of another company proves that a worker of somebody's reads that queue too: it is
put back at once, and the trial ends, because each receive counts as a failed delivery of that worker.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from chalicelib.ai_worker.answering import Answering, Question, echo
from chalicelib.ai_worker.prompts import NOTHING
from chalicelib.errors import EngineError
from ops.stage.account import Account
from ops.stage.dead_letters import SqsDeadLetters
from ops.stage.deployment import Deployment

_HOLD_SECONDS = 60
_PAUSE_SECONDS = 1.0


@dataclass
class Echo:
    """Answers until it is stopped."""

    account: Account
    queue: str
    answering: Answering
    companies: Collection[str]
    """By `company_id`."""
    stopped: threading.Event = field(default_factory=threading.Event)
    met_another: bool = False
    """Whether another company's batch was on the queue."""

    def run(self) -> None:
        """Answer what comes."""
        batches = SqsDeadLetters(self.account, self.queue, _HOLD_SECONDS)
        while not self.stopped.is_set():
            try:
                for one in batches.take():
                    if _company_of(one.body) not in self.companies:
                        self.met_another = True
                        batches.put_back(one)
                        return
                    self.answering.answer(one.body)
                    batches.delete(one)
            except EngineError:
                self.stopped.wait(_PAUSE_SECONDS)  # the batch comes again; a step that fails for it says so


def _company_of(body: str) -> str | None:
    """Whose batch it is; None: it is no batch."""
    try:
        return str(json.loads(body)["company"]["company_id"])
    except (KeyError, TypeError, ValueError):
        return None


@contextmanager
def answering(
    deployment: Deployment, companies: Collection[str], replying: Collection[str], *, is_needed: bool
) -> Iterator[Echo | None]:
    """The echo, for as long as the block lasts.

    Args:
        deployment: whose AI queue is read.
        companies: those of the trial.
        replying: the channels on which it answers; on the others it says that there is nothing to say.
        is_needed: whether there is to be one; else the stage's own AI answers.
    """
    if not is_needed:
        yield None
        return

    def model(question: Question) -> str:
        return echo(question) if question.context["meta"]["channel_type"] in replying else NOTHING

    worker = replace(deployment.engine().answering, model=model)
    one = Echo(deployment.account, deployment.settings.ai_queue, worker, companies)
    thread = threading.Thread(target=one.run, name="echo", daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.stopped.set()
        thread.join()
