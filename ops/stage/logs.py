"""The log lines of a stage's functions, as they were written: from CloudWatch Logs, or from the log of `make run`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.clock import epoch
from infrastructure.stages import AI_FUNCTION, HTTP_FUNCTION
from local import logs, run_file
from local.logs import LogLine
from ops.stage.account import Account
from ops.stage.deployment import Deployment, full_name


@dataclass(frozen=True)
class LogEvent:
    """One line of one function."""

    at: datetime
    function: str
    """The handler's name."""
    text: str
    event_id: str

    @property
    def line(self) -> LogLine | None:
        """The line as our own logger wrote it; None: it is Lambda's, or a metric."""
        parsed = logs.parse(self.text)
        return parsed if isinstance(parsed, LogLine) and parsed.step else None


@dataclass(frozen=True)
class Logs:
    """The log groups of one stage."""

    account: Account
    groups: dict[str, str]
    """By the handler's name; those that are there. On this machine there are none: processes tell a terminal."""

    @property
    def are_there(self) -> bool:
        return bool(self.groups)

    @classmethod
    def of(cls, deployment: Deployment) -> Logs:
        """The log groups that Lambda made for the stage's functions."""
        account, stage = deployment.account, deployment.target.stage
        names = dict.fromkeys([*deployment.functions, AI_FUNCTION])  # a rehearsal deploys an AI worker of its own
        wanted = {f"/aws/lambda/{full_name(deployment.config, stage, name)}": name for name in names}
        prefix = f"/aws/lambda/{deployment.config.app_name}-{stage}"
        pages = account.pages(
            "logs", "DescribeLogGroups", prefix, {"logGroupNamePrefix": prefix}, token=("nextToken", "nextToken")
        )
        there = {one["logGroupName"] for page in pages for one in page["logGroups"]}
        return cls(account, {name: group for group, name in wanted.items() if group in there})

    def lines(self, since: datetime, *, words: str | None = None) -> Iterator[LogEvent]:
        """What the functions wrote since an instant, function by function; with `words`, only lines that hold them."""
        for name, group in self.groups.items():
            request = {"logGroupName": group, "startTime": epoch(since) * 1_000}
            if words is not None:
                request["filterPattern"] = f'"{words}"'
            pages = self.account.pages("logs", "FilterLogEvents", group, request, token=("nextToken", "nextToken"))
            for one in (event for page in pages for event in page["events"]):
                if words is None or words in one["message"]:
                    at = datetime.fromtimestamp(one["timestamp"] / 1_000, UTC)
                    yield LogEvent(at, name, one["message"], one["eventId"])


@dataclass(frozen=True)
class LocalLogs:
    """What the app and its workers on this machine printed; see `Logs`."""

    aws_port: int | None
    """Of the run; None: none is known."""

    @property
    def are_there(self) -> bool:
        return self.aws_port is not None

    def lines(self, since: datetime, *, words: str | None = None) -> Iterator[LogEvent]:
        """What was printed since an instant; with `words`, only lines that hold them."""
        for one in run_file.lines(self.aws_port) if self.aws_port is not None else ():
            if one.at >= since and (words is None or words in one.text):
                yield LogEvent(one.at, _FUNCTIONS.get(one.child, one.child), one.text, str(one.number))


_FUNCTIONS = {"app": HTTP_FUNCTION, "chalice": HTTP_FUNCTION, "work": "worker"}
"""What a child of `make run` does of the functions."""


def logs_of(deployment: Deployment) -> Logs | LocalLogs:
    """Where the lines of a stage are."""
    target = deployment.target
    if target.is_on_this_machine and not deployment.is_deployed:
        return LocalLogs(target.run.aws_port if target.run is not None else None)
    return Logs.of(deployment)
