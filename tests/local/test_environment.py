"""Nothing of the user's shell that could lead to a real account reaches a child."""

from __future__ import annotations

import pytest

from chalicelib.settings import Settings
from local.processes import environment

ENDPOINT = "http://127.0.0.1:4999"
SHELL = {
    "PATH": "/usr/bin",
    "HOME": "/home/someone",
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "real",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ENDPOINT_URL_SQS": "https://sqs.example.com",
    "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example.com",
    "AWS_CA_BUNDLE": "/etc/real.pem",
    "AWS_REGION": "us-east-1",
    "aws_profile": "production",
    "BOTO_CONFIG": "/etc/boto.cfg",
    "HTTPS_PROXY": "http://proxy.example.com:3128",
    "http_proxy": "http://proxy.example.com:3128",
    "ALL_PROXY": "http://proxy.example.com:3128",
    "PYTHONPATH": "/somewhere",
    "CONVERSATIONS_TABLE": "conversations-prod",
    "STAGE": "prod",
    "BATCH_WINDOW_SECONDS": "3",
}


def of_aws(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.upper().startswith("AWS_")}


def test_of_aws_a_child_knows_the_local_one_only():
    """Each AWS_* variable of a child is one that we set, to a value that leads nowhere else."""
    child = environment.for_app("local", ENDPOINT, "key", shell=SHELL)

    known = of_aws(child)

    assert known == of_aws(environment.local_aws(ENDPOINT, "key"))
    assert known["AWS_ENDPOINT_URL"] == ENDPOINT
    assert known["AWS_ACCESS_KEY_ID"] == known["AWS_SECRET_ACCESS_KEY"] == "key"


def test_the_engine_of_the_local_aws_sees_no_variable_of_aws_at_all():
    """The engine gets what is harmless, and nothing that names an account or an endpoint."""
    engine = environment.clean(SHELL)

    assert engine == {"PATH": "/usr/bin", "HOME": "/home/someone"}


def test_no_proxy_and_no_search_path_of_the_shell_survives():
    """Neither a proxy nor foreign code comes between a child and the local AWS."""
    child = environment.for_app("local", ENDPOINT, "key", shell=SHELL)

    strangers = {name for name in child if "PROXY" in name.upper() or name in {"PYTHONPATH", "BOTO_CONFIG"}}

    assert strangers == {"NO_PROXY"}


def test_the_stage_wins_over_the_shell_and_the_shell_over_the_defaults():
    """A stage's tables are its own whatever the shell says; a setting that it leaves open is the user's to try."""
    child = environment.for_app("local", ENDPOINT, "key", shell=SHELL)

    settings = Settings.from_environment(child)

    assert settings.stage == "local"
    assert settings.conversations_table == "conversations-local"
    assert settings.batch_window_seconds == 3


def test_settings_that_are_told_leave_no_room_for_the_shell():
    """What is played from a script plays the same in every shell."""
    child = environment.for_app("local", ENDPOINT, "key", shell=SHELL, settings={"REQUEUE_DELAY_SECONDS": "20"})

    settings = Settings.from_environment(child)

    assert settings.requeue_delay_seconds == 20
    assert settings.batch_window_seconds == 10


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_SQS", "HTTPS_PROXY"])
def test_the_parent_forgets_its_own_shell(name):
    """Once it has begun, the parent itself has nothing left that could lead to an account."""
    own = dict(SHELL)

    told = environment.drop_shell_variables(own)

    assert name not in own
    assert told[name] == SHELL[name]
    assert own["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
