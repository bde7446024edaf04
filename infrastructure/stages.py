"""The stages that `.chalice/config.json` tells, and the functions that `app.py` registers.

Chalice names things after the app, the stage and the function; these are the rules by which it does, in one place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chalice.app import Chalice, SQSEventConfig

from chalicelib.settings import Settings

PROJECT = Path(__file__).parent.parent
CHALICE = PROJECT / ".chalice"

HTTP_FUNCTION = "api_handler"
"""What Chalice calls the function behind the routes."""

AI_FUNCTION = "answer_batches"
"""The AI worker, which only the stages have that switch it on."""

AI_READER: Mapping[str, str] = {AI_FUNCTION: "replies-engine-local-ai"}
"""The queue that it reads, as `queue_readers` tells it."""

_DEFAULTS = {one.name.upper(): one.metadata["default"] for one in fields(Settings)}

_NAMED = {
    "ConversationsTableName": "CONVERSATIONS_TABLE",
    "WhatsappIndexName": "WHATSAPP_INDEX",
    "SmsIndexName": "SMS_INDEX",
    "EmailIndexName": "EMAIL_INDEX",
    "LockIndexName": "LOCK_INDEX",
}


@dataclass(frozen=True)
class Stage:
    """One stage of the app as it is configured."""

    name: str
    app_name: str
    variables: Mapping[str, str]
    """The environment of its functions."""
    api_stage: str
    """The stage of the API, the first part of each URL's path."""
    closes_execute_api: bool | None = None
    """Whether the API answers on the stage's own domain alone; None: nothing is said, and nothing is changed."""

    @property
    def is_deployable(self) -> bool:
        """Whether its functions would find AWS; those of the stage for `chalice local` look for one on this machine."""
        return "AWS_ENDPOINT_URL" not in self.variables

    @property
    def stack_name(self) -> str:
        """The name of its CloudFormation stack."""
        return f"{self.app_name}-{self.name}"

    @property
    def monitoring_stack_name(self) -> str:
        """The name of the stack of its alarms and its dashboard."""
        return f"{self.stack_name}-monitoring"

    @property
    def resource_names(self) -> dict[str, str]:
        """The template's parameters that name the conversations table and its indexes, as the stage's settings do."""
        return {parameter: self.setting(variable) for parameter, variable in _NAMED.items() if self.setting(variable)}

    def function_name(self, function: str) -> str:
        """The name of a function as Lambda knows it."""
        short = f"{self.app_name}-{self.name}"
        return short if function == HTTP_FUNCTION else f"{short}-{function}"

    @property
    def has_ai_worker(self) -> bool:
        """Whether the AI worker is a function of it."""
        return self.setting("AI_WORKER") != "off"

    def setting(self, variable: str) -> str:
        """The text of a setting: the stage's own, or the default."""
        return self.variables.get(variable, _DEFAULTS[variable] or "")


def stages() -> dict[str, Stage]:
    """Every stage of `.chalice/config.json` by name."""
    config = json.loads((CHALICE / "config.json").read_text())
    return {
        name: Stage(
            name=name,
            app_name=config["app_name"],
            variables=one.get("environment_variables", {}),
            api_stage=one["api_gateway_stage"],
            closes_execute_api=one.get("close_execute_api_endpoint"),
        )
        for name, one in config["stages"].items()
    }


def queue_readers(stage: Stage | None = None) -> dict[str, str]:
    """The queue, as the local stage names it, of each function of a stage that an event source mapping feeds."""
    readers = {one.name: str(one.queue) for one in _event_sources() if isinstance(one, SQSEventConfig)}
    return {**readers, **(AI_READER if stage is not None and stage.has_ai_worker else {})}


def functions(stage: Stage | None = None) -> list[str]:
    """Every function of a stage, or of all stages, the one behind the routes first."""
    ours = [HTTP_FUNCTION, *(one.name for one in _event_sources())]
    return list(dict.fromkeys([*ours, *([AI_FUNCTION] if stage is not None and stage.has_ai_worker else [])]))


def handlers() -> tuple[str, ...]:
    """The handlers of the functions, as Lambda calls them."""
    return ("app.app", *(f"app.{name}" for name in functions()[1:]))


def webhooks() -> list[str]:
    """The paths that a provider's console is given: each webhook but those with a part that varies."""
    return [path for path in _app().routes if path.startswith("/webhooks/") and "{" not in path]


def _event_sources() -> list[Any]:
    return list(_app().event_sources)


def _app() -> Chalice:
    from app import app  # noqa: PLC0415  # its decorators read the environment, which Chalice sets before it imports it

    return app
