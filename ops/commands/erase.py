"""A person who is forgotten: what there is of them is counted, and erased once somebody agrees."""

from __future__ import annotations

from rich.console import Console

from ops.repairs import erasure
from ops.repairs.erasure import PLACES, Reach
from ops.repairs.redriving import sources
from ops.stage import blueprint
from ops.stage.bucket import S3Objects
from ops.stage.dead_letters import LIVE_HOLD_SECONDS, SqsDeadLetters
from ops.stage.deployment import Deployment
from ops.terminal import masking
from ops.terminal.confirmation import ask

_REMAINS = (
    "Not reached from here: the provider's own log, backups (point-in-time recovery keeps 35 days), "
    "and contexts that wait in the queues of the company's AI and people."
)


def erase(deployment: Deployment, console: Console, told: str, *, is_dry_run: bool, yes: bool) -> None:
    """Erase a person, or tell what would be erased."""
    engine, account = deployment.engine(), deployment.account
    schemas = blueprint.tables(deployment.settings)
    queues = sources(deployment.settings)
    dead_letters = [SqsDeadLetters(account, one.dead_name) for one in queues.values()]
    replies = [SqsDeadLetters(account, queues[one].name, LIVE_HOLD_SECONDS) for one in ("ai-replies", "human-replies")]
    reach = Reach(
        engine=engine,
        tables={one.setting: (account.table(schemas[one.setting].name), schemas[one.setting]) for one in PLACES},
        dead_letters=[one for one in dead_letters if one.holds_any],
        replies=replies,
        objects=S3Objects.of(account, deployment.settings.attachments_bucket),
    )
    address = erasure.normal(told, [one.address_prefix for one in engine.channels.values()])
    person = erasure.find(reach, address)
    found = erasure.count(reach, person)
    console.print(f"Found for {masking.address(address)}:")
    for name, number in found.items():
        console.print(f"  {number:>6}  {schemas[name].name if name in schemas else name}")
    for key in person.conversations:
        console.print(f"  conversation {masking.text(key.conversation_id, [address])}")
    if is_dry_run or not any(found.values()):
        console.print("Nothing was erased.")
        return
    ask("Erase all of it, records included? Only a backup can undo it.", yes=yes)
    erased = erasure.erase(reach, person)
    console.print(f"Erased {sum(erased.values())} row(s), message(s) and file(s). {_REMAINS}")
    hidden = sum(one.hidden_count for one in replies)
    if hidden:
        console.print(
            f"{hidden} reply(ies), of anybody, are delayed or being sent and could not be looked at. "
            "Run the command again in 10 minutes: by then each of them is sent or a dead letter."
        )
