"""The environment variables of a child process.

Guarantee: a child's environment is built from a short list of harmless variables, never copied from the user's shell.
No `AWS_*` variable, profile, proxy or certificate of the shell survives, so nothing started here can reach a real
account: the only endpoint that a child knows is the local AWS, and the only access key is that of its start.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import fields
from pathlib import Path

from chalicelib.settings import Settings

PROJECT = Path(__file__).parents[2]
REGION = "eu-west-1"
HOST = "127.0.0.1"
NO_KEY = "none"
"""An access key that no local AWS takes."""

STUB_URL = f"http://{HOST}:8010"
"""Where the stub for Twilio's API is, unless it is told another port; the operator's commands expect it there."""

SENDGRID_STUB_URL = f"http://{HOST}:8011"
"""The same for SendGrid's."""

_HARMLESS = frozenset(
    {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "TERM",
        "COLORTERM",
        "COLUMNS",
        "NO_COLOR",
        # Where some builds of Python find their own libraries.
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
    }
)

NOWHERE = f"http://{HOST}:9"
"""An endpoint that nothing answers at: the port of the discard protocol."""

_SETTINGS = frozenset(one.name.upper() for one in fields(Settings))


def clean(shell: Mapping[str, str]) -> dict[str, str]:
    """What of the user's shell any child may see."""
    return {name: value for name, value in shell.items() if name in _HARMLESS}


def new_access_key() -> str:
    """The access key, and the secret, of one start of a local AWS."""
    return f"local{secrets.token_hex(16)}"


def for_app(
    stage: str,
    endpoint: str,
    access_key: str,
    *,
    shell: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment of a child that runs the app.

    Args:
        stage: whose `environment_variables` in `.chalice/config.json` the child gets.
        endpoint: the URL of the local AWS.
        access_key: of its start.
        shell: the user's environment.
        settings: what the child's settings are in place of the stage's; None: what the shell says of settings that the
            stage leaves open, so that `BATCH_WINDOW_SECONDS=3 make run` does what it says.
    """
    left_open = {} if settings is not None else settings_of(shell)
    told = left_open | of_stage(stage) | dict(settings or {})
    return clean(shell) | told | local_aws(endpoint, access_key) | {"PYTHONUNBUFFERED": "1"}


def settings_of(shell: Mapping[str, str]) -> dict[str, str]:
    """What the shell says of the app's settings."""
    return {name: value for name, value in shell.items() if name in _SETTINGS}


def of_stage(stage: str) -> dict[str, str]:
    """The environment variables of a stage, as Chalice gives them to its functions."""
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    return dict(config["stages"][stage]["environment_variables"])


def local_aws(endpoint: str, access_key: str) -> dict[str, str]:
    """All that a process needs to know of the local AWS, and to never look for another one."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": access_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
    }


def drop_shell_variables(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Leave in `environment` only what is harmless, and return what it was.

    The parent does this to itself before it makes its first client. A client that is told no endpoint goes nowhere.
    """
    shell = dict(environment)
    environment.clear()
    environment.update(clean(shell) | local_aws(NOWHERE, NO_KEY))
    return shell
