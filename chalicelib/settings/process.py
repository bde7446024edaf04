"""What the environment says of this process: where it runs, and what Chalice's decorators need at import.

Nothing here needs the settings as a whole, so `import app` works without them.
"""

from __future__ import annotations

import os

from chalicelib.settings import Settings, SettingsError
from chalicelib.settings.parsing import value_of


def queue_name(variable: str) -> str:
    """The name of a queue for a decorator: what the environment says, or the local stage's name for it.

    Args:
        variable: the setting's variable, such as `WHATSAPP_QUEUE`.
    """
    role = variable.removesuffix("_QUEUE").lower().replace("_", "-")
    return os.environ.get(variable, f"replies-engine-local-{role}")


def workers_setting(variable: str) -> str:
    """The setting for the maximum concurrency of the function that reads a queue, by the queue's own setting."""
    return f"{variable.removesuffix('_QUEUE')}_WORKERS_MAX"


def workers_max(variable: str) -> int:
    """The maximum concurrency of the function that reads a queue, for a decorator.

    Args:
        variable: the queue's own setting, such as `WHATSAPP_QUEUE`.

    Raises:
        SettingsError: it is malformed.
    """
    one = Settings.__dataclass_fields__[workers_setting(variable).lower()]
    try:
        return int(value_of(one, os.environ))
    except ValueError as fault:
        raise SettingsError([f"{one.name.upper()} {fault}"]) from None


def ai_worker_is_on() -> bool:
    """Whether app.py registers the AI worker as a function, as the environment says at import."""
    return os.environ.get("AI_WORKER", "off") != "off"


def is_on_lambda() -> bool:
    """Whether this process is a function's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def lambda_handler() -> str | None:
    """Which function of the app this process serves, as Lambda names its handler; None elsewhere."""
    return os.environ.get("_HANDLER") if is_on_lambda() else None


def trace_header() -> str:
    """The header of this invocation's trace, as Lambda gives it; empty: there is none."""
    return os.environ.get("_X_AMZN_TRACE_ID", "")


def names_aws_endpoint() -> bool:
    """Whether the environment names an endpoint for any of AWS's services, which then need not be AWS's own."""
    return any(name.startswith("AWS_ENDPOINT_URL") for name in os.environ)
