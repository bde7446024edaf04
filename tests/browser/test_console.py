"""The console of `make run`, used by a person in a real browser, on a stack that runs for real."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.processes import environment, ports
from local.processes.environment import HOST, PROJECT

pytestmark = pytest.mark.browser

SETTINGS = {
    "BATCH_WINDOW_SECONDS": "2",
    "BATCH_MAX_WAIT_SECONDS": "6",
    "WORKER_TIMEOUT_SECONDS": "8",
    "VISIBILITY_TIMEOUT_SECONDS": "9",
    "RECONCILE_AFTER_SECONDS": "9",
    "PROVIDER_CONNECT_TIMEOUT_SECONDS": "0.5",
    "PROVIDER_READ_TIMEOUT_SECONDS": "1.5",
}
STARTED_SECONDS = 180.0
STOPPED_SECONDS = 90.0


@dataclass(frozen=True)
class Run:
    """A running `make run`."""

    address: str
    """Of the console, with its token."""
    aws_port: int

    @property
    def bare(self) -> str:
        return self.address.partition("?")[0]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    aws, http, twilio, sendgrid, console = ports.free(5)
    options = {"aws": aws, "http": http, "twilio": twilio, "sendgrid": sendgrid, "console": console}
    told = [part for name, port in options.items() for part in (f"--{name}-port", str(port))]
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "run", "--thinking-seconds", "1", *told],
        cwd=PROJECT,
        env=environment.clean(os.environ) | SETTINGS | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    said: list[str] = []
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        while (line := lines.get(timeout=STARTED_SECONDS)) is not None:
            said.append(line)
            if "?token=" in line:
                yield Run(line.strip(), aws)
                break
        else:
            pytest.fail("make run ended before it showed the console:\n" + "".join(said))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(STOPPED_SECONDS) == 0
        reader.join()
        process.stdout.close()


def _read(process: Any, lines: queue.Queue[str | None]) -> None:
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


@pytest.fixture
def console(page: Any, run: Run) -> Iterator[Any]:
    """The console's page at the width of a desk. A script's error fails the test."""
    errors: list[str] = []

    def heard(error: Any) -> None:
        errors.append(str(error))

    page.on("pageerror", heard)
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.goto(run.address)
    page.wait_for_selector(".phone")
    yield page
    page.remove_listener("pageerror", heard)
    assert errors == []


def phone(page: Any, conversation: str) -> Any:
    return page.locator(f'[data-conversation="{conversation}"]')


def write(page: Any, conversation: str, text: str) -> None:
    """As a person does: type, and press Enter."""
    box = phone(page, conversation).locator("textarea")
    box.fill(text)
    box.press("Enter")


def answers(page: Any, conversation: str, text: str) -> Any:
    return phone(page, conversation).locator(".bubbles li:not(.mine)", has_text=text)


def order(page: Any, fault: str, conversation: str) -> None:
    box = page.locator("#faults-box")
    if box.get_attribute("open") is None:
        box.locator("summary").click()
    page.select_option("#faults select", conversation)
    page.click(f'#faults button[value="{fault}"]')


def ledger(page: Any, name: str) -> int:
    return int(page.inner_text(f'#ledger [data-name="{name}"] dd'))


def test_a_message_typed_on_a_phone_is_answered_and_the_answer_is_read(console: Any):
    """And the timeline shows its way, from the webhook to the delivery."""
    write(console, "sunrise-anna", "Is breakfast included?")
    write(console, "nordic-hugo", "Do you repair bells?")

    answers(console, "sunrise-anna", "Is breakfast included?").wait_for()
    answers(console, "nordic-hugo", "Do you repair bells?").wait_for()
    story = console.locator("#stories > li", has=console.locator("strong", has_text="Anna"))
    story.locator(".end.answered").wait_for()
    story.locator(".track .reached", has_text="delivered").wait_for()
    phone(console, "sunrise-anna").locator('[data-mark="read"]').wait_for()


def test_a_forged_message_is_refused_and_answered_by_nobody(console: Any):
    refused = ledger(console, "refused")

    phone(console, "sunrise-anna").locator("[data-do=forge]").click()

    phone(console, "sunrise-anna").locator(".bubbles li.refused").first.wait_for()
    console.locator("#ledger [data-name=refused] dd", has_text=re.compile(f"^{refused + 1}$")).wait_for()
    assert answers(console, "sunrise-anna", "Send my money elsewhere").count() == 0


def test_the_same_request_again_is_answered_once(console: Any):
    write(console, "nordic-david", "Do you open on Sunday?")
    phone(console, "nordic-david").locator(".bubbles li.mine:not(.sending)").first.wait_for()

    phone(console, "nordic-david").locator("[data-do=retry]").click()

    answers(console, "nordic-david", "Do you open on Sunday?").wait_for()
    console.locator("#stories li", has_text="already known; ignored").first.wait_for(state="attached")
    assert answers(console, "nordic-david", "Do you open on Sunday?").count() == 1
    assert ledger(console, "doubled") == 0


def test_what_a_killed_worker_left_is_repaired(console: Any):
    """It dies after its lock and before its dispatch; the next worker resumes the batch."""
    order(console, "kill", "nordic-edith")
    console.locator("#orders li", has_text="dies first").wait_for()

    write(console, "nordic-edith", "Is my bike ready?")

    answers(console, "nordic-edith", "Is my bike ready?").wait_for()
    console.locator("#stories li", has_text="the worker had died").first.wait_for(state="attached")
    console.locator("#orders li", has_text="dies first").wait_for(state="detached")
    assert answers(console, "nordic-edith", "Is my bike ready?").count() == 1
    assert ledger(console, "lost") == 0


def test_a_reply_that_the_provider_took_and_called_a_failure_arrives_once(console: Any):
    order(console, "5xx-taken", "nordic-frida")

    write(console, "nordic-frida", "Do you sell helmets?")

    answers(console, "nordic-frida", "Do you sell helmets?").wait_for()
    ended = console.locator("#stories > li", has=console.locator("strong", has_text="Frida")).locator(".end")
    ended.filter(has_text="answered").wait_for()
    assert answers(console, "nordic-frida", "Do you sell helmets?").count() == 1
    assert ledger(console, "doubled") == 0


def test_a_persons_answer_from_the_inbox_arrives(console: Any):
    """What the person has typed survives what arrives meanwhile."""
    write(console, "sunrise-clara", "I want to speak to a person.")
    item = console.locator("#inbox .item", has_text="I want to speak to a person.")
    item.wait_for()
    item.locator("textarea").fill("Hello Clara, this is Tom.")
    write(console, "sunrise-clara", "Are you there?")
    console.locator("#inbox .item", has_text="Are you there?").wait_for()

    item.locator("button[type=submit]").click()

    answers(console, "sunrise-clara", "Hello Clara, this is Tom.").wait_for()
    item.locator("text=answered: Hello Clara, this is Tom.").wait_for()


def test_the_page_looks_well_at_a_desk_and_on_a_phone_in_light_and_dark(console: Any, screenshots: Path):
    """With something in every part of it; nothing is wider than the screen."""
    write(console, "sunrise-clara", "My booking is 4711. Can somebody call me?")
    phone(console, "sunrise-gina").locator(".subject").fill("A room by the sea")
    write(console, "sunrise-gina", "Have you a room for two, with breakfast?")
    write(console, "sunrise-ida", "We would like this room:")
    phone(console, "sunrise-ida").locator("[data-do=photo]").click()
    phone(console, "sunrise-ida").locator("[data-do=button]").click()
    write(console, "sunrise-jonas", "When does my train leave?")
    console.locator("#inbox .item", has_text="4711").wait_for()
    for name in ("gina", "ida", "jonas"):
        answers(console, f"sunrise-{name}", "This one answer").first.wait_for()
    phone(console, "sunrise-jonas").locator('[data-mark="read"]').wait_for()

    shoot(console, screenshots, "console")


def shoot(page: Any, folder: Path, name: str) -> None:
    """The page as a picture at both widths, in light and dark."""
    for width, height, where in ((1400, 1000, ""), (390, 844, "-phone")):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=folder / f"{name}{where}{'-dark' if scheme == 'dark' else ''}.png")
    page.emulate_media(color_scheme="light")


def test_a_customers_text_is_shown_and_never_run(console: Any):
    """Ben's project is inactive: his phone shows what he wrote, and the engine refuses it."""
    write(console, "sunrise-ben", "<img src=x onerror=\"document.title='run'\">")

    phone(console, "sunrise-ben").locator(".bubbles li.mine:not(.sending)", has_text="<img").wait_for()

    assert console.title() == "replies-engine: console"


def test_the_phone_shows_that_an_answer_is_being_written(console: Any):
    write(console, "sunrise-kira", "Are you there?")

    phone(console, "sunrise-kira").locator(".bubbles .typing").wait_for()
    answers(console, "sunrise-kira", "Are you there?").wait_for()
    phone(console, "sunrise-kira").locator(".bubbles .typing").wait_for(state="detached")


def test_the_page_works_by_keyboard(console: Any):
    console.set_viewport_size({"width": 390, "height": 844})

    console.keyboard.press("Tab")
    for _ in range(40):
        if console.evaluate("document.activeElement.name") == "body":
            break
        console.keyboard.press("Tab")
    console.keyboard.type("By keyboard")
    console.keyboard.press("Enter")
    console.locator(".bubbles li.mine", has_text="By keyboard").first.wait_for()


ASK = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options)
    return `${answer.status} ${await answer.text()}`
  } catch (error) { return String(error) }
}"""


@contextmanager
def served_by_others() -> Iterator[int]:
    """The port of a page of somebody else's."""
    server = ThreadingHTTPServer((HOST, 0), SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("path", ["", "events", "do/send"])
def test_without_the_token_nothing_is_shown_and_nothing_is_done(page: Any, run: Run, path: str):
    """In a browser that has never opened the address of this start."""
    stranger = page.context.browser.new_context()
    try:
        answer = stranger.new_page().goto(run.bare + path)
        assert answer.status == 401
        assert "Open the address that the terminal shows" in answer.text()
    finally:
        stranger.close()


def test_a_page_of_another_origin_can_do_nothing_with_the_cookie(console: Any, run: Run):
    """The browser has the cookie; the foreign page shares even the host."""
    with served_by_others() as port:
        console.goto(f"http://{HOST}:{port}/")  # another port is another origin
        body = '{"conversation": "sunrise-anna", "body": "written by a foreign page"}'
        told = console.evaluate(ASK, [f"{run.bare}do/send", {"method": "POST", "body": body, "credentials": "include"}])
        read = console.evaluate(ASK, [run.bare, {"credentials": "include"}])
    console.goto(run.bare)  # the cookie still holds
    write(console, "sunrise-anna", "written by Anna herself")
    phone(console, "sunrise-anna").locator(".bubbles li.mine", has_text="by Anna herself").first.wait_for()

    assert "TypeError" in told
    assert "TypeError" in read
    assert phone(console, "sunrise-anna").locator(".bubbles li", has_text="foreign page").count() == 0


@pytest.fixture
def stage(page: Any, run: Run) -> Iterator[Any]:
    """The operator's console of the same stage."""
    (port,) = ports.free(1)
    place = ["--stage", "local", "--endpoint-url", f"http://{HOST}:{run.aws_port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "console", *place, "--port", str(port)],
        cwd=PROJECT,
        env=environment.clean(os.environ) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address = next((line.strip() for line in process.stdout if "?token=" in line), None)
        assert address is not None, "the console of the stage ended before it showed its address"
        page.set_viewport_size({"width": 1400, "height": 1000})
        page.goto(address)
        page.wait_for_selector("#states button")
        yield page
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(STOPPED_SECONDS) == 0
        process.stdout.close()


def test_an_operator_sees_conversations_by_state_and_one_story(stage: Any, run: Run, screenshots: Path):
    """Texts and addresses are masked."""
    stage.fill("#ask input", "sunrise-anna")
    stage.press("#ask input", "Enter")

    stage.locator("#story [data-verdict]").first.wait_for()
    told = stage.locator("body").inner_text()
    assert "+447700900111" not in told
    assert "Is breakfast included?" not in told
    stage.click("#doctor-run")
    stage.locator("#doctor .item, #doctor .good").first.wait_for()
    shoot(stage, screenshots, "console-stage")


def test_an_operator_unlocks_a_conversation_after_a_dry_run(stage: Any, page: Any, run: Run):
    """The AI is silent, so the conversation stays locked until a hand opens it."""
    address = page.url
    page.goto(run.address)
    order(page, "silent", "sunrise-gina")
    write(page, "nordic-hugo", "Are you there?")
    page.wait_for_selector('[data-conversation="nordic-hugo"].locked')
    page.goto(address)
    page.click('#states [data-state="locked"]')

    page.click('[data-unlock="nordic-hugo"]')
    page.locator("#confirm p", has_text="1 message(s) of its batch").wait_for()
    page.click('#confirm button[value="yes"]')

    page.locator("#toast", has_text="is unlocked").wait_for()
    page.goto(run.address)
    order(page, "well", "sunrise-gina")
    answers(page, "nordic-hugo", "Are you there?").wait_for()
