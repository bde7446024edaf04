"""Nothing that a stranger wrote does anything to a terminal, and nothing private is shown on one."""

from __future__ import annotations

import ast
import io
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.table import Table
from rich.text import Text

from local.logs import show
from local.terminal import Console
from local.visible import visible, visible_line
from ops.stage.target import CommandError
from ops.terminal import confirmation, masking

ROOT = Path(__file__).parents[2]

HOSTILE = {
    "a colour": "\x1b[31mred",
    "a title": "\x1b]0;owned\x07",
    "a link": "\x1b]8;;https://evil.example\x1b\\here",
    "a cursor": "\x1b[2Jgone",
    "CSI in one byte": "\x9b31m",
    "another of C1": "\x85\x90\x9d",
    "back to the line's beginning": "all is well\rall is lost",
    "backspaces": "acme\x08\x08\x08\x08evil",
    "a bell": "\x07",
    "DEL": "\x7f",
    "NUL": "\x00",
    "an override of direction": "exe.\u202efdp",
    "an isolate": "\u2067abc\u2069",
    "a mark of direction": "\u200fabc\u061c",
    "an unseen space": "ac\u200bme\ufeff",
    "a tag": "acme\U000e0041",
    "half a character": "\ud83d",
    "a line separator": "one\u2028two",
}
ALLOWED = set("\t\n")


def is_clean(text: str) -> bool:
    return not any((not one.isprintable() and one not in ALLOWED) or one in "\u200b\u200f" for one in text)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
class TestConsole:
    def test_no_control_character_is_printed(self, hostile: str):
        """As text, within a table, styled, in a colour terminal."""
        table = Table("name")
        table.add_row(Text(hostile))
        for one in (hostile, Text(hostile, "bold"), table):
            out = io.StringIO()

            Console(file=out, markup=False, highlight=False, soft_wrap=True).print(one)

            assert is_clean(out.getvalue())

    def test_the_console_s_own_colours_stay(self, hostile: str):
        """Only texts are cleaned."""
        out = io.StringIO()

        console = Console(file=out, force_terminal=True, color_system="standard", markup=False, highlight=False)
        console.print(f"all is well {hostile}", style="red")

        assert out.getvalue().startswith("\x1b[31mall is well")
        assert out.getvalue().count("\x1b") == 2

    def test_no_line_of_a_child_process_does_anything(self, hostile: str):
        """What is no JSON is shown as it came."""
        out = io.StringIO()

        show(Console(file=out), "app", f"Traceback: {hostile}")

        assert is_clean(out.getvalue())

    def test_neither_a_question_nor_an_error_does(self, hostile: str):
        """A row of a company may be named in both."""
        error = CommandError(f"conversation {hostile} is locked", "unlock it").format_message()

        assert is_clean(error)
        assert "\n" not in error

    def test_a_masked_line_is_one_line(self, hostile: str):
        """Nobody adds a line to a timeline."""
        assert masking.text(f"{hostile}\n=> answered").count("\n") == 0
        assert is_clean(masking.text(hostile))
        assert is_clean(masking.address(hostile))


def test_what_people_write_stays():
    """Letters of any script, emoji, tabs and lines."""
    text = "Grüße, שלום, 你好, 👩\u200d👩\u200d👧 a\tb\nc"

    assert visible(text) == text
    assert visible_line("a\nb\tc") == "a b c"


def test_a_question_is_asked_without_control_characters():
    """On the terminal's error output."""
    import click  # noqa: PLC0415

    command = click.command()(lambda: confirmation.ask("Erase \x1b[2J?", yes=False))

    result = CliRunner().invoke(command, input="y\n")

    assert "\x1b" not in result.output


@pytest.mark.parametrize("folder", ["ops", "local"])
def test_every_terminal_is_this_one(folder: str):
    """A console of rich's own would show whatever it is given."""
    makers = []
    for path in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(path.read_text())
        imports = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console"
            for alias in node.names
        }
        calls = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        if imports & calls & {"Console"}:
            makers.append(str(path.relative_to(ROOT)))
    assert makers == []


class TestMasking:
    def test_a_known_address_is_masked_as_a_word_of_its_own(self):
        """A short code is part of many ids, and of instants."""
        line = "SM12345abc at 12:34:12345, to 12345 from batch-12345"

        assert masking.text(line, ["12345"]) == "SM12345abc at 12:34:…, to … from batch-12345"

    @pytest.mark.parametrize("known", ["a", "b", ".", "+", "(", "[a-z]", ""])
    def test_a_strange_address_destroys_no_line(self, known: str):
        """A row holds what a company wrote."""
        assert masking.text("released batch b-1, code none", [known]) == "released batch b-1, code none"

    @pytest.mark.parametrize(
        "number",
        [
            "+4915112345678",
            "4915112345678",
            "0049 151 12345678",
            "(555) 123-4567",
            "+49/151/12345678",
            "+49 151 / 12345678",
            "+49\u00a0151\u00a012345678",
            "0151\u202f12345678",
            "+49\u2011151\u201312345678",
            "\uff0b49 151 12345678",
        ],
    )
    def test_a_number_is_masked_however_it_is_written(self, number: str):
        """With a plus sign or without, whichever blanks and dashes a program put between its digits."""
        masked = masking.text(f"no conversation of {number} is active")

        assert not any(len(run) > 3 for run in re.findall(r"\d+", masked))

    @pytest.mark.parametrize(
        "address", ['"ann b"@customer.example', "ann\uff20customer.example", "1+4915112345678@x.example"]
    )
    def test_an_address_is_masked_however_it_is_written(self, address: str):
        """Quoted, and with the wide at sign of East Asian keyboards."""
        assert address not in masking.text(f"no conversation of {address} is active")

    @pytest.mark.parametrize("between", [",", ";", "/"])
    @pytest.mark.parametrize("number", ["+49 151 12345678", "0151 2345 6789", "12345"])
    def test_an_address_beside_a_number_is_masked_too(self, number: str, between: str):
        """A vCard or a list of both has no blank between them."""
        masked = masking.text(f"{number}{between}anna@customer.example wrote")

        assert "anna" not in masked
        assert not any(len(run) > 3 for run in re.findall(r"\d+", masked))

    @pytest.mark.parametrize("word", ["x", "+1", "1 ", '"', "@", "+1-", "(1", "1/", "(1-", "/1-", "1:", "1;a@"])
    def test_no_text_makes_masking_long(self, word: str):
        """The time is in proportion to the length: a company's row may hold any name."""
        began = time.process_time()
        masking.text(word * 40_000)

        assert time.process_time() - began < 1
