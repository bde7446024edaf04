"""Profiles, ports and the start of the console, as they are typed."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from local import run_file
from ops.__main__ import cli
from tests.ops.conftest import REGION, STAGE, Stage


def run(*words: str) -> Result:
    """One command as it is typed; it never ends with a traceback."""
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def file() -> Path:
    return Path(click.get_app_dir("replies-engine")) / "profiles.json"


@pytest.fixture(autouse=True)
def _a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_saved_profile_is_listed_with_its_options():
    """The default has a star."""
    run("profile", "save", "production", "--stage", "prod", "--region", REGION, "--default")
    run("profile", "save", "trial", "--stage", "dev")

    told = run("profile", "list").stdout
    document = json.loads(run("profile", "list", "--json").stdout)

    assert told == f"* production  --stage prod --region {REGION}\n  trial  --stage dev\n"
    assert document["profiles"] == [
        {"name": "production", "stage": "prod", "region": REGION, "default": True},
        {"name": "trial", "stage": "dev", "default": False},
    ]


def test_another_default_is_chosen_and_a_profile_removed():
    """A removed default leaves none."""
    run("profile", "save", "production", "--stage", "prod", "--default")
    run("profile", "save", "trial", "--stage", "dev")

    used = run("profile", "use", "trial")
    removed = run("profile", "remove", "trial")

    assert (used.exit_code, removed.exit_code) == (0, 0)
    assert run("profile", "list").stdout == "  production  --stage prod\n"


@pytest.mark.parametrize("chosen", [("--use", "mine"), ()], ids=["by its name", "as the default"])
def test_a_command_runs_on_the_stage_of_a_profile(stage: Stage, chosen: tuple[str, ...]):
    """Nothing else is typed."""
    run("profile", "save", "mine", "--stage", STAGE, "--region", REGION, "--default")

    told = run("dead-letters", "list", *chosen, "--json")

    assert json.loads(told.stdout) == {"dead_letters": []}


@pytest.mark.parametrize(
    "words",
    [
        ("profile", "use", "nowhere"),
        ("profile", "remove", "nowhere"),
        ("doctor", "--use", "nowhere"),
        ("doctor",),
        ("profile", "save", "nowhere"),
    ],
    ids=" ".join,
)
def test_a_profile_that_is_not_there_ends_with_what_to_type(words: tuple[str, ...]):
    result = run(*words)

    assert result.exit_code != 0
    assert "--stage" in result.stderr or "profile save" in result.stderr


@pytest.mark.parametrize("text", ["", "[]", '{"profiles": {"a": {}}}', '{"profiles": []}', "\x00"])
def test_a_file_that_is_none_of_ours_is_named(text: str):
    """The command says which file to delete."""
    file().parent.mkdir(parents=True)
    file().write_text(text)

    result = run("profile", "list")

    assert result.exit_code == 1
    assert f"delete {file()}" in result.stderr


def test_the_console_says_which_option_chooses_another_port(stage: Stage):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = run("console", "--stage", STAGE, "--region", REGION, "--port", str(port))

    assert result.exit_code != 0
    assert f"{port}" in result.stderr
    assert "--port" in result.stderr


def test_the_ports_of_each_run_on_this_machine_are_shown(monkeypatch: pytest.MonkeyPatch):
    """Without one: the command that starts one."""
    idle = run("ports").stdout
    monkeypatch.setattr(run_file, "running", lambda *_: [run_file.RunFile(7, 4566, 8000, None, 8011)])

    told, document = run("ports").stdout, json.loads(run("ports", "--json").stdout)

    assert idle == "nothing runs: make run\n"
    assert told == "local: app http://127.0.0.1:8000  local AWS http://127.0.0.1:4566  process 7\n"
    assert [one["http_port"] for one in document["runs"]] == [8000]
