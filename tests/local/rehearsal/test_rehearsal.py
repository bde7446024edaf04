"""A rehearsal deploys a copy of the project, with the providers' stubs, before a domain of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click
import pytest
import requests
from chalice.app import Response

from local.aws.clients import LocalAws
from local.processes import environment, ports
from local.processes.environment import PROJECT
from local.rehearsal import clone as cloning
from local.rehearsal.clone import Clone, without_aws
from local.rehearsal.domain import domain
from local.rehearsal.rehearsing import rehearse, run_of, settings_told
from local.run_file import RunFile
from local.terminal import Console
from tests.ops.serving import answering

RUN = RunFile(1, 4576, 8020, 8030, 8031, "dev")
STAGE = {"STAGE": "dev", "LOG_LEVEL": "DEBUG"}


class TestSettings:
    def test_the_functions_reach_the_stubs_and_an_echo_answers(self):
        """Whatever the shell says of the providers' APIs."""
        told = settings_told(STAGE, RUN, "http://127.0.0.1:8020", {"TWILIO_API_BASE_URL": "https://api.twilio.com"})

        assert told["PUBLIC_BASE_URL"] == "http://127.0.0.1:8020"
        assert told["TWILIO_API_BASE_URL"] == "http://127.0.0.1:8030"
        assert told["SENDGRID_API_BASE_URL"] == "http://127.0.0.1:8031"
        assert told["AI_WORKER"] == "echo"

    def test_the_shell_says_what_the_stage_leaves_open(self):
        """A variable of make, such as STAGE, is no setting of the functions."""
        shell = {"BATCH_WINDOW_SECONDS": "3", "STAGE": "prod", "AI_WORKER": "off", "PATH": "/bin"}

        told = settings_told(STAGE, RUN, "", shell)

        assert (told["BATCH_WINDOW_SECONDS"], told["AI_WORKER"]) == ("3", "off")
        assert not {"STAGE", "PATH", "LOG_LEVEL"} & told.keys()

    def test_the_stage_s_own_settings_stay(self):
        """What is rehearsed is the stage as it is configured."""
        told = settings_told({"AI_WORKER": "bedrock", "AWS_READ_TIMEOUT_SECONDS": "3"}, RUN, "", {})

        assert not {"AI_WORKER", "AWS_READ_TIMEOUT_SECONDS"} & told.keys()


class TestClone:
    AWS = LocalAws("http://127.0.0.1:4576", "key")

    def test_a_copy_has_what_git_knows_and_nothing_that_it_ignores(self, tmp_path: Path):
        """Neither an environment nor a package."""
        made = Clone.of_project(tmp_path, self.AWS, {})

        assert (made.project / "app.py").read_bytes() == (PROJECT / "app.py").read_bytes()
        assert not any((made.project / name).exists() for name in (".venv", ".aws-local", ".chalice/deployments"))

    def test_its_commands_reach_the_local_aws_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """No credentials, profile or endpoint of the shell."""
        seen: dict[str, str] = {}
        monkeypatch.setattr(cloning.subprocess, "run", lambda *_, env, **__: seen.update(env))
        shell = {"AWS_PROFILE": "acme", "AWS_SESSION_TOKEN": "real", "PYTHONPATH": "x", "PIP_INDEX_URL": "https://i"}

        Clone(tmp_path, self.AWS, without_aws(shell)).deploy("dev")

        assert seen.items() >= {
            *environment.local_aws(self.AWS.endpoint, "key").items(),
            ("PIP_INDEX_URL", "https://i"),
        }
        assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH"} & seen.keys()

    def test_a_change_of_the_settings_is_the_copy_s_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """With the policies that fit."""
        (tmp_path / ".chalice").mkdir()
        file = tmp_path / ".chalice" / "config.json"
        file.write_text(json.dumps({"stages": {"dev": {"environment_variables": {"STAGE": "dev"}}}}))
        commands: list[tuple[str, ...]] = []
        done = subprocess.CompletedProcess((), 0)
        monkeypatch.setattr(Clone, "run", lambda _, *command, **__: commands.append(command) or done)

        Clone(tmp_path, self.AWS, {}).configure("dev", "arm64", AI_WORKER="echo")

        stage = json.loads(file.read_text())["stages"]["dev"]
        assert stage == {"environment_variables": {"STAGE": "dev", "AI_WORKER": "echo"}, "lambda_architecture": "arm64"}
        assert [one[-1] for one in commands] == ["policies"]

    def test_the_packages_of_the_project_are_shared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """They are named by their content."""
        project, copy = tmp_path / "project", tmp_path / "copy"
        for one in (project, copy):
            (one / ".chalice").mkdir(parents=True)
        monkeypatch.setattr(cloning, "PROJECT", project)

        Clone(copy, self.AWS, {}).share_packages()

        (copy / ".chalice" / "deployments" / "a.zip").write_text("")
        assert (project / ".chalice" / "deployments" / "a.zip").exists()

    def test_a_project_without_git_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The files cannot be listed."""
        monkeypatch.setattr(cloning, "PROJECT", tmp_path)

        with pytest.raises(click.ClickException, match="cannot be listed"):
            Clone.of_project(tmp_path / "copy", self.AWS, {})


class TestRehearse:
    @pytest.mark.parametrize("stage", ["local", "staging", ""])
    def test_a_stage_that_cannot_be_deployed_is_refused(self, stage: str):
        """With those that can."""
        with pytest.raises(click.ClickException, match="make deploy STAGE=dev or prod"):
            rehearse(Console(), run_of(stage, *ports.free(4)), shell={})

    def test_a_port_that_is_taken_is_named(self):
        """Before anything is started."""
        free = ports.free(3)
        with domain({}) as url, pytest.raises(click.ClickException, match="HTTP_PORT="):
            rehearse(Console(), run_of("dev", free[0], int(url.rpartition(":")[2]), *free[1:]), shell={})


class TestDomain:
    def exchange(self, url: str, **headers: str) -> tuple[int, str]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(url, data=b"a=1", headers=headers, timeout=10)
        return answer.status_code, answer.text

    def test_a_request_is_handed_on_with_its_path_and_body(self):
        """And its answer is handed back, an error's too."""
        (port,) = ports.free(1)

        def answer(handler):
            body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
            return Response(f"{handler.path} {body} {handler.headers['X-Proof']}", status_code=403)

        with answering(port, answer), domain({"": f"http://127.0.0.1:{port}/dev"}) as url:
            assert self.exchange(f"{url}/webhooks/sms", **{"X-Proof": "p"}) == (403, "/dev/webhooks/sms a=1 p")

    def test_before_a_deployment_it_is_unavailable(self):
        """A provider would come again."""
        with domain({}) as url:
            assert self.exchange(url)[0] == 503

    def test_without_the_local_aws_it_is_a_bad_gateway(self):
        """Nothing answers there."""
        with domain({"": "http://127.0.0.1:9"}) as url:
            assert self.exchange(url)[0] == 502

    def test_a_browser_is_refused(self):
        """Like on every local port."""
        with domain({"": "http://127.0.0.1:9"}) as url:
            assert self.exchange(url, Origin="https://evil.example")[0] == 403
