"""Every setting of a deployment in one frozen object, validated together.

Guarantee: a `Settings` that exists is complete, each value lies within its bounds, and the relations between them that
the protocol leans on hold. A missing or malformed one stops the function with one error that lists them all.

A setting is a field of one of the four classes from which `Settings` inherits. Only this folder reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from chalicelib.errors import Code, Misconfigured
from chalicelib.settings.limits import KEEPING_BESIDES_SECONDS, Limits
from chalicelib.settings.messages import Messages
from chalicelib.settings.parsing import value_of
from chalicelib.settings.resources import Resources
from chalicelib.settings.turns import CAP_MAX, Turns

SWEEP_STALLED_MINUTES = 5
"""How often stalled locks are looked for; the schedule in app.py."""

SWEEP_ORPHANS_MINUTES = 1
"""How often orphaned staged rows are looked for; the schedule in app.py."""

SWEEP_THREADS = 16
"""How many repairs a sweep makes at once."""

WEBHOOK_TIMEOUT_SECONDS = 15
"""The webhook's Lambda timeout, as in `.chalice/config.json`."""

_WORK_BESIDES_SECONDS = 6
"""What a worker needs beside its one long wait: five seconds to have its triggers come again, and its calls to AWS."""


class SettingsError(Misconfigured):
    """One or more settings are missing or malformed; the detail names every one."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(Code.CONFIGURATION_ERROR, f"{len(faults)} fault(s) in the settings: " + "; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Settings(Limits, Turns, Messages, Resources):
    """The settings of one deployment; each field's environment variable is its name in capitals."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings that `environment` (None: this process's) tells.

        Raises:
            SettingsError: naming every missing or malformed variable and every broken relation.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        faults: list[str] = []
        for one in fields(cls):
            try:
                values[one.name] = value_of(one, environment)
            except ValueError as fault:
                faults.append(f"{one.name.upper()} {fault}")
        if faults:
            raise SettingsError(faults)
        settings = cls(**values)
        if faults := _broken_relations(settings):
            raise SettingsError(faults)
        return settings


def _broken_relations(settings: Settings) -> list[str]:
    """The relations between settings that the protocol's timing premise needs, as far as they do not hold."""
    horizon = settings.requeue_horizon_seconds
    late_repair = settings.stall_timeout_seconds + SWEEP_STALLED_MINUTES * 60
    relations = {
        "BATCH_WINDOW_SECONDS must not exceed BATCH_MAX_WAIT_SECONDS": (
            settings.batch_window_seconds <= settings.batch_max_wait_seconds
        ),
        "WORKER_TIMEOUT_SECONDS must be less than VISIBILITY_TIMEOUT_SECONDS": (
            settings.worker_timeout_seconds < settings.visibility_timeout_seconds
        ),
        "VISIBILITY_TIMEOUT_SECONDS must be less than STALL_TIMEOUT_SECONDS": (
            settings.visibility_timeout_seconds < settings.stall_timeout_seconds
        ),
        f"REQUEUE_DELAY_SECONDS and REQUEUE_ATTEMPTS_MAX keep a trigger coming for {horizon} s, "
        f"which must exceed STALL_TIMEOUT_SECONDS and a sweep, {late_repair} s": horizon > late_repair,
        "RECONCILE_AFTER_SECONDS must exceed WORKER_TIMEOUT_SECONDS and be less than STALL_TIMEOUT_SECONDS": (
            settings.worker_timeout_seconds < settings.reconcile_after_seconds < settings.stall_timeout_seconds
        ),
        "PROVIDER_CONNECT_TIMEOUT_SECONDS and PROVIDER_READ_TIMEOUT_SECONDS must leave WORKER_TIMEOUT_SECONDS 6 s": (
            settings.provider_connect_timeout_seconds + settings.provider_read_timeout_seconds + _WORK_BESIDES_SECONDS
            <= settings.worker_timeout_seconds
        ),
        f"WEBHOOK_DEADLINE_SECONDS and twice BUCKET_READ_TIMEOUT_SECONDS must leave {KEEPING_BESIDES_SECONDS} s "
        f"of the webhook's {WEBHOOK_TIMEOUT_SECONDS} s": (
            settings.webhook_deadline_seconds + settings.keeping_seconds <= WEBHOOK_TIMEOUT_SECONDS
        ),
        "with MEDIA_COPYING, MEDIA_COPYING_SECONDS and twice BUCKET_READ_TIMEOUT_SECONDS must leave "
        "WORKER_TIMEOUT_SECONDS 9 s": (
            not settings.media_copying
            or settings.media_copying_seconds + settings.keeping_seconds + _WORK_BESIDES_SECONDS
            <= settings.worker_timeout_seconds
        ),
        "AI_WORKER bedrock needs AI_WORKER_MODEL": settings.ai_worker != "bedrock" or bool(settings.ai_worker_model),
        "STATUS_CALLBACKS may be false only while UNDELIVERED_ACTION is none": (
            settings.status_callbacks or settings.undelivered_action == "none"
        ),
        f"STAGE_TTL_HOURS must outlast the retries of a trigger and the longest BATCH_MAX_WAIT_SECONDS, {CAP_MAX} s": (
            settings.stage_ttl_hours * 3_600 > horizon + CAP_MAX
        ),
    }
    return [relation for relation, holds in relations.items() if not holds]
