"""What the console repairs, by the operator's own commands: each first as a dry run."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.telemetry import Trail
from local.console.web import Document, Unfit, text
from ops.console.stage_view import StageView
from ops.repairs import redriving, single_letters, unlocking
from ops.stage import search
from ops.stage.dead_letters import SqsDeadLetters


@dataclass(frozen=True)
class Repairs:
    """Unlocks and redrives; a dry run changes nothing."""

    view: StageView

    def unlock(self, told: Document) -> object:
        """Reset the lock of a conversation, as `replies-engine unlock` does."""

        def unlocked() -> object:
            deployment = self.view.deployment
            engine = deployment.engine()
            key = search.the_one(engine.tables, engine.channels, text(told, "conversation"), None, deployment.target)
            conversation, verdict = unlocking.look(engine, key, at_once=bool(told.get("now")))
            if not verdict.may_unlock or told.get("dry_run", True):
                return {"would": verdict.why, "may": verdict.may_unlock, "done": False}
            trail = Trail(engine.telemetry, engine.clock, request_id="console-unlock")
            is_done = unlocking.unlock(engine, conversation, trail)
            self.view.look()
            return {"would": verdict.why, "may": True, "done": is_done}

        return self.view.asked(unlocked)

    def redrive(self, told: Document) -> object:
        """Send the dead letters of a queue back to it, as `replies-engine redrive` does."""

        def redriven() -> object:
            deployment = self.view.deployment
            source = redriving.source(deployment.settings, text(told, "queue"))
            is_dry_run = bool(told.get("dry_run", True))
            counts: dict[str, int] = {}
            for one in redriving.redrive(
                SqsDeadLetters(deployment.account, source.dead_name),
                deployment.account.queue(source.name),
                source.read,
                conversation_id=None,
                is_dry_run=is_dry_run,
            ):
                counts[str(one.result)] = counts.get(str(one.result), 0) + 1
            self.view.look()
            return {"counts": counts, "done": not is_dry_run}

        return self.view.asked(redriven)

    def redrive_one(self, told: Document) -> object:
        """Send one dead letter back."""

        def redriven() -> object:
            deployment = self.view.deployment
            with single_letters.held(deployment.account, deployment.settings, text(told, "id")) as one:
                if not one.is_readable:
                    raise Unfit("nobody could read it, and it would only come back; drop it by the command line")
                if told.get("dry_run", True):
                    return {"counts": {f"would go to {one.source.name}": 1}, "done": False}
                redriving.redrive_one(one.letters, deployment.account.queue(one.source.name), one.letter)
            self.view.look()
            return {"counts": {f"went to {one.source.name}": 1}, "done": True}

        return self.view.asked(redriven)
