"""`chalice-local`: the app served by Chalice's own local server beside `make aws`, with readable lines and on any port.

`chalice local` itself prints JSON lines and reads the local AWS's endpoint from `.chalice/config.json`. Here the server
is a child that is given both, as `make run` does it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from local import logs, run_file
from local.aws import credentials_file
from local.processes import environment, ports
from local.processes.children import start_own
from local.run_file import RunLog
from local.stack import STAGE
from local.terminal import Console

_LOOK_SECONDS = 0.3
_START_SECONDS = 30.0


def run(shell: Mapping[str, str], aws_port: int | None, http_port: int | None) -> None:
    """Serve until Ctrl-C.

    Raises:
        click.ClickException: no local AWS runs, the port is taken, or the server ended by itself.
    """
    there = run_file.at_port(aws_port) if aws_port else run_file.newest()
    if there is None:
        where = f" on port {aws_port}" if aws_port else ""
        raise click.ClickException(f"no local AWS runs{where}; fix: make aws, in another terminal")
    port, console = http_port or there.http_port, Console(highlight=False)
    ports.require_free(port, "HTTP_PORT")
    aws = credentials_file.read(there.aws_port)
    told = environment.for_app(STAGE, aws.endpoint, aws.access_key, shell=shell)
    told |= {
        "TWILIO_API_BASE_URL": there.twilio_url,
        "SENDGRID_API_BASE_URL": f"http://{environment.HOST}:{there.sendgrid_port}",
    }
    log = RunLog(run_file.log_path(there.aws_port))

    def on_line(child: str, line: str) -> None:
        logs.show(console, child, line)
        log.add(child, line)

    child = start_own("chalice", "serve", "--port", str(port), environment=told, on_line=on_line)
    try:
        if not ports.wait_until_answers(port, seconds=_START_SECONDS, gave_up=lambda: not child.is_running):
            raise click.ClickException("the app did not start:\n" + "\n".join(child.last_lines))
        console.print(f"webhooks at http://{environment.HOST}:{port}/webhooks/whatsapp, sms and email; Ctrl-C stops")
        while child.is_running:
            time.sleep(_LOOK_SECONDS)
        raise click.ClickException(f"the app ended with code {child.wait(1)}; its last lines are above")
    except KeyboardInterrupt:
        console.print("\nStopped.")
    finally:
        child.stop()
        log.close()
