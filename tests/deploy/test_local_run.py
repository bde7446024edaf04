"""`make run` with the worker kit, as a user starts it: processes, the local AWS, and a model on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import pytest

from local import tenants
from local.processes import ports
from local.processes.environment import HOST, PROJECT, clean
from local.requests import messages
from local.stubs.phones import Phones
from tests.deploy.deployment import eventually
from tests.examples.completions import Completions

pytestmark = pytest.mark.deployed

SECONDS = 120


@contextmanager
def running(*arguments: str, **variables: str) -> Iterator[tuple[str, Phones]]:
    """`make run ARGS=...` on free ports: the app's URL and the customers' phones."""
    aws, http, twilio, sendgrid, console = ports.free(5)
    told = {"--aws-port": aws, "--http-port": http, "--twilio-port": twilio, "--sendgrid-port": sendgrid}
    told |= {"--console-port": console}
    options = [str(part) for pair in told.items() for part in pair]
    settings = {"BATCH_WINDOW_SECONDS": "1", "BATCH_MAX_WAIT_SECONDS": "2", **variables}
    child = subprocess.Popen(
        [sys.executable, "-m", "local", "run", *options, *arguments],
        cwd=PROJECT,
        env={**clean(os.environ), **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert ports.wait_until_answers(http, seconds=SECONDS, gave_up=lambda: child.poll() is not None)
        yield f"http://{HOST}:{http}", Phones(f"http://{HOST}:{twilio}")
    finally:
        os.kill(child.pid, signal.SIGINT)
        child.wait(SECONDS)


def answered(url: str, phones: Phones, body: str) -> list[str]:
    """What a customer's phone shows once their message was answered."""
    company, who = tenants.SUNRISE, tenants.SUNRISE.customer("anna")
    message = messages.Message(
        channel="whatsapp",
        sender=who.address,
        recipient=company.addresses["whatsapp"],
        account_sid=company.account_sid,
        body=body,
    )
    assert messages.send(f"{url}/webhooks/whatsapp", message, company.auth_token).status == 200
    return eventually(lambda: [str(one["body"]) for one in phones.deliveries()] or None, seconds=SECONDS) or []


def test_the_worker_kit_answers_by_a_model_of_the_user_s_own():
    """`--ai openai --base-url URL` is all that it takes; the server says which model it has."""
    handler = type("Handler", (Completions,), {"asked": [], "status": 200})
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with running("--ai", "openai", "--base-url", f"http://{HOST}:{server.server_port}/v1") as (url, phones):
                shown = answered(url, phones, "What colour is it?")
        finally:
            server.shutdown()
            thread.join()

    assert shown == ["Blue."]
    assert [one["model"] for one in handler.asked if "model" in one] == ["its-model"]
    assert "What colour is it?" in handler.asked[-1]["messages"][-1]["content"]


def test_the_echo_answers_as_a_function_of_the_stage():
    """`AI_WORKER=echo` registers it with the other functions, and `--no-ai` leaves the queue to it."""
    with running("--no-ai", AI_WORKER="echo") as (url, phones):
        shown = answered(url, phones, "hello")

    assert shown == ["You wrote: hello"]
