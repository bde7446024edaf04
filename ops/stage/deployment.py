"""What is deployed: the functions of a stage with their settings, and an engine that works on them from here.

Where functions are deployed their own environment tells the settings, else `.chalice/config.json` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from chalicelib.aws.clients import Clients
from chalicelib.clock import Clock, SystemClock
from chalicelib.settings import Settings, SettingsError
from chalicelib.wiring import Engine
from infrastructure.stages import AI_FUNCTION, AI_READER, Stage, queue_readers
from infrastructure.stages import functions as app_functions
from ops.stage.account import NOT_FOUND, Account
from ops.stage.target import CommandError, Config, Target
from ops.terminal.step_texts import Notes

_RESOURCES = ("_TABLE", "_QUEUE", "_BUCKET")

_WEBHOOK_SECONDS = 60
"""How long one message may take when it is fed from here: a terminal is further away than a function."""


@dataclass(frozen=True)
class Function:
    """One Lambda function as it is deployed."""

    name: str
    environment: Mapping[str, str]
    timeout_seconds: int
    role_arn: str
    state: str


@dataclass(frozen=True)
class Deployment:
    """One stage as it is."""

    account: Account
    config: Config
    functions: Mapping[str, Function | None]
    """By the name of the handler in app.py; None: not deployed."""

    @classmethod
    def find(cls, account: Account, config: Config) -> Deployment:
        """What is deployed of the stage.

        Raises:
            CommandError: nothing is, and no settings tell what should be.
            EngineError: AWS cannot be asked.
        """
        stage = account.target.stage
        has_ai_worker = config.environment(stage).get("AI_WORKER", "off") != "off"
        further = [AI_FUNCTION] if has_ai_worker else []
        # A stage on this machine is never deployed: neither the app is loaded nor Lambda asked.
        names = [] if account.target.is_on_this_machine else [*app_functions(), *further]
        functions = {name: _function(account, full_name(config, stage, name)) for name in names}
        if stage not in config.stages and not any(functions.values()):
            known = ", ".join(config.stages)
            raise CommandError(f"stage {stage} is in no .chalice/config.json", f"one of its stages: --stage {known}")
        return cls(account, config, functions)

    @property
    def queue_readers(self) -> Mapping[str, str]:
        """The queue, as the local stage names it, of each function that reads one."""
        return {**queue_readers(), **(AI_READER if AI_FUNCTION in self.functions else {})}

    @property
    def target(self) -> Target:
        return self.account.target

    @property
    def is_deployed(self) -> bool:
        return any(self.functions.values())

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that tells the settings: of the first function there is, else of the stage."""
        deployed = (one.environment for one in self.functions.values() if one is not None)
        told = next(deployed, self.config.environment(self.target.stage))
        return {**told, **self.target.provider_urls}

    @property
    def of_other_stages(self) -> dict[str, str]:
        """The stages whose tables and queues the settings name, by the setting."""
        stage = self.target.stage
        owners = {
            value: other
            for other in self.config.stages
            if other != stage
            for name, value in self.config.environment(other).items()
            if name.endswith(_RESOURCES)
        }
        return {
            name: owners[value]
            for name, value in sorted(self.environment.items())
            if name.endswith(_RESOURCES) and value in owners
        }

    @cached_property
    def settings(self) -> Settings:
        """The stage's settings.

        Raises:
            CommandError: they are at fault.
        """
        try:
            return Settings.from_environment(self.environment)
        except SettingsError as error:
            what = f"the settings of stage {self.target.stage} are at fault: {error.faults[0]}"
            raise CommandError(what, self.target.ops("doctor")) from error

    def engine(self, clock: Clock | None = None) -> OperatorEngine:
        """The shipped use cases over this deployment."""
        return OperatorEngine(self.settings, self.account.clients, clock)


class OperatorEngine(Engine):
    """The engine's own wiring, told its settings and its clients, and noting its steps."""

    def __init__(self, settings: Settings, clients: Clients, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        told: dict[str, Any] = {
            "settings": replace(settings, webhook_deadline_seconds=_WEBHOOK_SECONDS),
            "clients": clients,
            "telemetry": Notes(),
        }
        vars(self).update(told)

    @property
    def notes(self) -> Notes:
        """The steps that the use cases told."""
        telemetry = self.telemetry
        assert isinstance(telemetry, Notes), "set by the constructor"
        return telemetry


def full_name(config: Config, stage: str, function: str) -> str:
    """The name under which Chalice deploys a function."""
    return Stage(stage, config.app_name, {}, "").function_name(function)


def _function(account: Account, name: str) -> Function | None:
    request = {"FunctionName": name}
    found = account.call("lambda", "GetFunctionConfiguration", name, request, absent=NOT_FOUND)
    if found is None:
        return None
    return Function(
        name=name,
        environment=found.get("Environment", {}).get("Variables", {}),
        timeout_seconds=int(found["Timeout"]),
        role_arn=str(found.get("Role", "")),
        state=str(found.get("State", "Active")),
    )
