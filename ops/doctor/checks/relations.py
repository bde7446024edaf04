"""The settings: whole, each within its bounds, and related as the protocol leans on: window < stall < retry horizon.

What the engine itself refuses to start with is told here before it is deployed; beyond that the settings are held
against what is deployed: the timeouts of the functions, and names that belong to another stage.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.settings import Settings, SettingsError
from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment

AREA = "settings"


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the settings; with faults of their own, nothing else can be looked at."""
    target = deployment.target
    mended_in = f"stages.{target.stage}.environment_variables of .chalice/config.json, then {target.deploy}"
    try:
        settings = Settings.from_environment(deployment.environment)
    except SettingsError as error:
        yield from (Finding(AREA, one, mended_in) for one in error.faults)
        return
    if settings.stage != target.stage:
        yield Finding(AREA, f"STAGE is {settings.stage}, and the stage is {target.stage}", mended_in)
    if settings.batch_max_wait_seconds >= settings.stall_timeout_seconds:
        what = "BATCH_MAX_WAIT_SECONDS must be less than STALL_TIMEOUT_SECONDS: window < stall < retry horizon"
        yield Finding(AREA, what, mended_in)
    if not settings.public_base_url and not target.is_on_this_machine:
        what = "PUBLIC_BASE_URL is empty: no status callback is requested of the provider"
        yield Finding(AREA, what, mended_in, Weight.WARNING)
    for variable, other in deployment.of_other_stages.items():
        what = f"{variable} is {deployment.environment[variable]}, which is of stage {other}"
        yield Finding(AREA, what, mended_in)
    yield from (Finding(AREA, what, mended_in) for what in _other_timeouts(deployment, settings))


def are_whole(deployment: Deployment) -> bool:
    """Whether the settings tell what else there is to look at."""
    try:
        Settings.from_environment(deployment.environment)
    except SettingsError:
        return False
    return True


def _other_timeouts(deployment: Deployment, settings: Settings) -> Iterator[str]:
    """Workers that are let run for another time than the protocol counts on."""
    for handler in deployment.functions:
        told = deployment.config.of_function(deployment.target.stage, handler, "lambda_timeout")
        is_worker = handler.startswith(("batch_", "send_"))
        if is_worker and told is not None and int(told) != settings.worker_timeout_seconds:
            yield f"WORKER_TIMEOUT_SECONDS is {settings.worker_timeout_seconds}, and {handler} is given {told} s"
