"""What is new in an e-mail: history is left out on evidence, and where there is none all of it is new."""

from __future__ import annotations

import time

import pytest

from chalicelib.channels.email.earlier import Earlier
from chalicelib.channels.email.quotations import LINES_MAX, TEXT_LENGTH_MAX, new_text
from chalicelib.channels.email.relations import Relation, relation_of
from tests.unit.channels.email.replies import BLOCKS, INTRODUCTIONS, LABELS, SHORT_INTRODUCTIONS

NEW = "Thanks, that works. Where is my invoice?"
OLD = """\
Dear Ann,

your order 4711 was shipped yesterday. Please tell us whether it has arrived.

Which colour do you want for the second one, blue or green?

Best regards
Help desk"""
INTRODUCTION = "On Mon, Jan 5, 2026 at 10:00 AM Help Desk <help@acme.example> wrote:"
HEADER_BLOCK = BLOCKS["notes"]
LIST_FOOTER = f"""\
{"_" * 47}
orders mailing list -- orders@lists.acme.example
To unsubscribe send an email to orders-leave@lists.acme.example"""
_LINE_LENGTH = 20
"""Of an introduction that is long enough to be broken."""
FOREVER_SECONDS = 60
"""Of CPU time: more than anything takes on a slow machine under a tracer; speed is the business of bench/email.py."""


def marked(text: str = OLD) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def wrapped(line: str) -> str:
    """Broken by a mail program within the address's brackets, or else two thirds on."""
    if "<" in line:
        return line.replace("<", "<\n", 1)
    words = line.split(" ")
    place = len(words) * 2 // 3
    return f"{' '.join(words[:place])}\n{' '.join(words[place:])}"


class TestIntroductions:
    @pytest.mark.parametrize("introduction", [*INTRODUCTIONS, *SHORT_INTRODUCTIONS])
    @pytest.mark.parametrize("break_it", [str, wrapped], ids=["whole", "wrapped"])
    def test_an_introduction_above_quote_marks_is_history(self, introduction: str, break_it):
        """In any language, on one line or several."""
        text = f"{NEW}\n\n{break_it(introduction) if len(introduction) > _LINE_LENGTH else introduction}\n\n{marked()}"

        new = new_text(text, relation=Relation.REPLY)

        assert (new.text, new.is_certain) == (NEW, True)

    @pytest.mark.parametrize("introduction", INTRODUCTIONS)
    def test_a_date_and_an_address_are_evidence_without_quote_marks(self, introduction: str):
        """Programs that mark nothing quote to the end."""
        assert new_text(f"{NEW}\n\n{introduction}\n\n{OLD}", relation=Relation.REPLY).text == NEW

    @pytest.mark.parametrize("labels", LABELS, ids=lambda line: line.partition("|")[0])
    @pytest.mark.parametrize("above", ["", "________________________________\n", "-----Original Message-----\n"])
    def test_a_header_block_is_history(self, labels: str, above: str):
        """In Outlook's languages, with or without a line above it."""
        who, when, recipient, what = labels.split("|")[1:]
        block = (
            f"{who}: Help Desk <help@acme.example>\n{when}: 5 January 2026 10:00\n"
            f"{recipient}: Ann <ann@customer.example>\n{what}: Your order"
        )

        assert new_text(f"{NEW}\n\n{above}{block}\n\n{OLD}", relation=Relation.REPLY).text == NEW

    @pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
    @pytest.mark.parametrize("between", ["\n", "\n\n"])
    def test_what_programs_draw_above_a_quotation_is_history(self, block: str, between: str):
        """However they spell it."""
        assert new_text(f"{NEW}{between}{block}\n\n{OLD}", relation=Relation.REPLY).text == NEW

    def test_an_introduction_may_be_quoted_itself(self):
        """As Apple's program does."""
        assert new_text(f"{NEW}\n\n{marked(f'{INTRODUCTION}{chr(10)}{OLD}')}").text == NEW

    @pytest.mark.parametrize("quoted", [OLD, marked()])
    def test_an_address_that_was_broken_within_itself_is_read_as_one(self, quoted: str):
        """A long one takes a line of its own."""
        introduction = f"On Jan 5, 2026, at 10:00 AM, Help Desk <\n{'5f3a' * 14}\n@mail.acme.example> wrote:"

        assert new_text(f"{NEW}\n\n{introduction}\n\n{quoted}", relation=Relation.REPLY).text == NEW

    @pytest.mark.parametrize(
        "introduction",
        [
            "On Mon, Jan 5, 2026 at 10:00 AM Help Desk\n\n<\nmailto:Help Desk <help@acme.example>\n> wrote:",
            "On Mon, Jan 5, 2026 at 10:00 AM Help Desk\n\n<mailto:Help Desk <help@acme.example>> wrote:",
            "On Mon, Jan 5, 2026 at 10:00 AM Help Desk\n\n<help@acme.example> wrote:",
        ],
    )
    def test_an_address_may_stand_below_an_empty_line(self, introduction: str):
        """And be broken over three lines, of which the last looks quoted."""
        assert new_text(f"{NEW}\n\n{introduction}\nold words", relation=Relation.REPLY).text == NEW

    @pytest.mark.parametrize("line", ["Bob wrote:", "I paid on 5 January 2026."])
    def test_words_above_an_address_of_the_customer_s_are_kept(self, line: str):
        """An address below an empty line makes no introduction of what is none."""
        text = f"{line}\n\n<https://shop.example/order/1>:\nWhere is it?"

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        "broken", ["> See <\nhttps://acme.example/order\n> >", "> See\n<https://acme.example/a\n> b>"]
    )
    def test_a_link_that_was_broken_in_its_brackets_is_quoted(self, broken: str):
        """A program that wraps lines leaves it without a mark."""
        text = f"{NEW}\n\n{INTRODUCTION}\n> Hello\n{broken}\n> Bye"

        assert new_text(text, relation=Relation.REPLY).text == NEW

    def test_a_link_between_quotations_is_an_answer(self):
        """In brackets that close again."""
        text = "> Which shop?\n<https://shop.example>\n> Which order?\n4711"

        told = new_text(f"{INTRODUCTION}\n{text}", relation=Relation.REPLY).text

        assert told.split() == text.split()

    def test_an_introduction_may_have_its_quotation_on_the_same_line(self):
        """As Yahoo's programs for phones write it."""
        introduction = "On Mon, Jan 5, 2026 at 10:00, Help Desk<help@acme.example> wrote:"

        assert new_text(f"{NEW}\n\n {introduction}   {OLD}", relation=Relation.REPLY).text == NEW

    def test_an_address_that_was_broken_before_its_bracket_is_no_quotation(self):
        """The second line begins with `>`."""
        introduction = 'Am 21.04.2026 17:48 schrieb "Eins Zwei" <eins.zwei@a-rather-long-name.example\n>:'

        assert new_text(f"{NEW}\n\n{introduction}\n\n{marked()}").text == NEW


class TestEvidence:
    @pytest.mark.parametrize(
        "line",
        [
            "On Monday your colleague Bob wrote:",
            "On 5 May your colleague wrote:",
            "On 05/01/2026 at 10:00 your colleague wrote:",
            "Am Montag schrieb Ihr Kollege:",
            "Em 3 de maio o seu colega escreveu:",
            "El lunes su compañero escribió:",
            "Hier ist, was ich am 5. Januar 2026 geschrieben habe:",
            "Bob <bob@acme.example> wrote:",
            "On 5 January 2026 I sent this to help@acme.example:",
            "My new address since 5 January 2026 is ann@new.example:",
            "I moved on 5 January 2026 (ann@new.example):",
            "From: Berlin\nTo: Munich\nDate: 5 May 2026",
            "-----\nFrom: Berlin\nTo: Munich\nDate: 5 May 2026",
            "Order: 4711\nDate: 5 May 2026\nContact: ann@customer.example",
            "Original message:",
            "At 10:00 I wrote to Bob <bob@acme.example>:  We need it on Tuesday.",
            "--- as I wrote to you before ---",
            "2026-01-05 10:00 I called you:",
            "The original message - sent on 5 May - said this:",
            "____________\nform: filled",
            "- one\n- two\n- three",
            "Thanks,\nAnn",
            "Best regards to your team!",
        ],
    )
    def test_a_sentence_that_looks_like_an_introduction_cuts_nothing(self, line: str):
        """The customer wrote what stands below it."""
        text = f'Hello,\n\n{line}\n"We ship it on Tuesday."\n\nNothing has come. Where is my parcel?'

        new = new_text(text, relation=Relation.REPLY)

        assert (new.text, new.is_certain) == (text, True)

    @pytest.mark.parametrize("words", ["Please see below.", "Meine Antworten unten, in rot.", "Voir ci-dessous"])
    def test_words_that_point_below_keep_what_nothing_marks(self, words: str):
        """Answers may stand between the lines."""
        text = f"{words}\n\n{HEADER_BLOCK}\n\n{OLD}\n[Ann] Blue."

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        "text", ["> one\n> two", f"{INTRODUCTION}\n{marked()}", f"{HEADER_BLOCK}\n\n{OLD}", "-- \nAnn"]
    )
    def test_a_body_is_never_empty(self, text: str):
        """Where all would be history, all of it is new."""
        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        "text", [f"{NEW}\n\n{INTRODUCTION}\n{'x' * TEXT_LENGTH_MAX}", f"{NEW}\n\n{INTRODUCTION}\n" + "x\n" * LINES_MAX]
    )
    def test_beyond_a_limit_all_of_it_is_new(self, text: str):
        """What was not looked at cannot be judged."""
        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize("length", [10, 200, 5_000, 100_000])
    def test_a_quoted_line_is_quoted_however_long_it_is(self, length: int):
        """Some programs break no lines."""
        assert new_text(f"{NEW}\n\n{INTRODUCTION}\n> {'x' * length}\n> y").text == NEW

    @pytest.mark.parametrize("ending", ["d ignissim odio?", "_nonce=3dd518)"])
    def test_a_quoted_line_that_was_broken_is_left_out_and_that_is_told(self, ending: str):
        """Its second half bears no mark; a person may have written it all the same."""
        start = (
            "https://acme.example/action?a"
            if "=" in ending
            else "lorem ipsum dolor sit amet, consectetur adipiscing elit. Nullam"
        )

        new = new_text(f"{NEW}\n\n{INTRODUCTION}\n> Dear Ann\n> {start}\n{ending}\n> regards")

        assert (new.text, new.is_certain) == (NEW, False)


class TestAnswers:
    @pytest.mark.parametrize(
        ("text", "new"),
        [
            ("{i}\n> Which colour?\n\nBlue.", "> Which colour?\n\nBlue."),
            (
                "Hi\n{i}\n> Which colour?\nBlue.\n> Which size?\nLarge.\n> Bye\n> Help",
                "Hi\n\n> Which colour?\nBlue.\n\n> Which size?\nLarge.",
            ),
            ("> This is a quotation.\n\nAnd this is an answer.", "> This is a quotation.\n\nAnd this is an answer."),
            ("{b}\n\n> Which colour?\n\nBlue.", "> Which colour?\n\nBlue."),
            ("Yes\n\n{i}\n> Which colour?\n\nRegards, Ann", "Yes\n\nRegards, Ann"),
            ("Yes\n\n{i}\n> Which colour?\n\nSent from my iPhone", "Yes\n\nSent from my iPhone"),
            ("Richard> Which colour?\n\nBlue.", "> Which colour?\n\nBlue."),
            ("Hi\n\n-----Original Message-----\n{b}\n\n> Colour?\n\nBlue.", "Hi\n\n> Colour?\n\nBlue."),
            ("Yes\n\n{i}\n> Which colour?\n" + LIST_FOOTER, "Yes"),
        ],
    )
    def test_answers_are_kept_with_the_lines_that_they_answer(self, text: str, new: str):
        """Between quotations and below them; what ends a message answers nothing."""
        told = new_text(text.format(i=INTRODUCTION, b=HEADER_BLOCK), relation=Relation.REPLY).text

        assert told == new or told.replace("Richard> ", "> ") == new

    def test_of_a_long_quotation_its_end_is_kept(self):
        """Right above the answer."""
        quoted = "\n".join(f"> line {number}" for number in range(100))

        told = new_text(f"{INTRODUCTION}\n{quoted}\n\nBlue.", relation=Relation.REPLY).text

        assert told == "\n".join([*(f"> line {number}" for number in range(92, 100)), "", "Blue."])

    def test_an_introduction_that_a_customer_wrote_is_kept_with_its_quotation(self):
        """It names neither a date nor an address."""
        text = "On Monday Bob wrote:\n> We ship it on Tuesday.\n\nNothing has come."

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize("history", [f"{INTRODUCTION}\n{marked()}", f"{HEADER_BLOCK}\n\n{OLD}"])
    def test_a_quotation_that_the_customer_chose_is_kept_above_the_history(self, history: str):
        """Nothing introduces it, and the history is introduced below it."""
        told = new_text(f"{NEW}\n\n> Delivery is free.\n> Always.\n\n{history}", relation=Relation.REPLY)

        assert told.text == f"{NEW}\n\n> Delivery is free.\n> Always."

    @pytest.mark.parametrize(
        "quoted",
        [f"{INTRODUCTION}\n> old words", f"> {INTRODUCTION}\n>> old words", f"> On 5 January 2026\n> {INTRODUCTION}"],
    )
    def test_an_introduced_quotation_is_history_above_older_history(self, quoted: str):
        """Whether its introduction is quoted too or not."""
        text = f"{NEW}\n\n{quoted}\n\n{HEADER_BLOCK}\n\n{OLD}"

        assert new_text(text, relation=Relation.REPLY).text == NEW

    def test_our_own_text_is_history_above_older_history(self):
        """Though nothing introduces it."""
        text = f"{NEW}\n\n{marked()}\n\n{INTRODUCTION}\n> older words"

        assert new_text(text, relation=Relation.REPLY, earlier=Earlier([OLD])).text == NEW

    @pytest.mark.parametrize("name", ["[Ann]", "[Ann Example]", "[Example, Ann]", "Ann:", "Ann Example:"])
    @pytest.mark.parametrize("divider", ["", "-----Original Message-----\n", f"{'_' * 32}\n"])
    def test_answers_that_a_program_prefaces_with_the_name_of_their_writer_keep_all(self, name: str, divider: str):
        """Outlook writes them into the quotation, which nothing marks; the name is the recipient's there."""
        block = HEADER_BLOCK.replace("ann@customer.example", "Ann Example <ann@customer.example>")
        text = f"Hi\n\n{divider}{block}\n\nWhich colour?\n{name} Blue.\nWhich size?\n{name} Large."

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        "line", ["[External] Which colour?", "[cid:image001.png] Help", "[Help Desk] Blue?", "[1] x"]
    )
    def test_other_brackets_below_a_header_block_are_history(self, line: str):
        """What stands in them is no name of a recipient of the quoted e-mail."""
        block = HEADER_BLOCK.replace("ann@customer.example", "Ann Example <ann@customer.example>")

        assert new_text(f"{NEW}\n\n{block}\n\n{line}", relation=Relation.REPLY).text == NEW

    @pytest.mark.parametrize("greeting", ["Hi,", "Hello Ann,", "Guten Tag,", "Bonjour,"])
    @pytest.mark.parametrize("mark", ["## ", "--> ", "->", "=> "])
    def test_below_a_greeting_alone_answers_with_marks_of_people_keep_all(self, greeting: str, mark: str):
        """Nobody writes only the greeting."""
        text = f"{greeting}\n\n{HEADER_BLOCK}\n\nWhich colour?\n{mark}Blue.\nWhich size?\n{mark}Large."

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        "words", ["Hi", "Hi, it works.", "Thanks", "Hi Bob,\n\nthat works.", "Hello, where is it?"]
    )
    @pytest.mark.parametrize(
        "line", ["Which colour?", "##- Please type your reply above this line -##", "Ann:", "a -> b"]
    )
    def test_without_such_marks_history_is_left_out(self, words: str, line: str):
        """A greeting may be all that the customer wrote."""
        text = f"{words}\n\n{HEADER_BLOCK}\n\nHello Ann,\n{line}\nBye"

        assert new_text(text, relation=Relation.REPLY).text == words

    @pytest.mark.parametrize("lines", [300, 3_000])
    def test_a_long_answer_below_a_quotation_is_whole(self, lines: int):
        """Its last line too."""
        answer = "\n".join(f"line {number}" for number in range(lines))

        assert new_text(f"> q\n\n{answer}").text == f"> q\n\n{answer}"


class TestForwards:
    @pytest.mark.parametrize("relation", [Relation.FORWARD, Relation.NEW])
    @pytest.mark.parametrize("quoted", [f"{HEADER_BLOCK}\n\n{OLD}", f"{INTRODUCTION}\n\n{marked()}", marked()])
    def test_all_of_a_forward_is_new(self, relation: Relation, quoted: str):
        """By its subject, or because it answers nothing."""
        text = f"Please pay this for me.\n\n{quoted}"

        assert new_text(text, relation=relation).text == text

    @pytest.mark.parametrize(
        "marker",
        [
            "---------- Forwarded message ---------",
            "Begin forwarded message:",
            "-------- Weitergeleitete Nachricht --------",
            "Anfang der weitergeleiteten Nachricht:",
            "---------- Message transféré ---------",
            "Début du message réexpédié :",
            "---------- Mensaje reenviado ---------",
            "Inizio messaggio inoltrato:",
            "---------- Doorgestuurd bericht ----------",
            "---------- Пересылаемое сообщение ----------",
            "---------- 转发的邮件 ---------",
            "----- Forwarded by Ann/ACME on 05.01.2026 10:00 -----",
        ],
    )
    def test_a_marker_says_so_too(self, marker: str):
        """Even where the headers name an e-mail that is answered, as many programs' forwards do."""
        text = f"FYI\n\n{marker}\n{HEADER_BLOCK}\n\n{OLD}"

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        "line",
        ["Sent from my iPhone", "Get Outlook for iOS<https://aka.ms/o0ukef>", "Von meinem iPhone gesendet", "-- \nAnn"],
    )
    def test_a_program_s_line_never_stands_for_a_forward(self, line: str):
        """Somebody forwards without a word of their own."""
        text = f"{line}\n\n{HEADER_BLOCK}\n\n{OLD}"

        assert new_text(text, relation=Relation.REPLY).text == text

    @pytest.mark.parametrize(
        ("subject", "has_answered", "relation"),
        [
            ("Your order", False, Relation.NEW),
            ("Your order", True, Relation.REPLY),
            ("Re: Your order", False, Relation.REPLY),
            ("AW: Your order", False, Relation.REPLY),
            ("Re[2]: Your order", False, Relation.REPLY),
            ("RE : Your order", False, Relation.REPLY),
            ("回复\uff1aYour order", False, Relation.REPLY),
            ("Re: Fwd: Your order", False, Relation.REPLY),
            ("Fwd: Your order", True, Relation.FORWARD),
            ("WG: AW: Your order", True, Relation.FORWARD),
            ("TR : Your order", False, Relation.FORWARD),
            ("I: Your order", True, Relation.FORWARD),
            ("转发: Your order", False, Relation.FORWARD),
            ("VS: Your order", True, Relation.REPLY),
            ("Question: where is it?", False, Relation.NEW),
            ("", False, Relation.NEW),
        ],
    )
    def test_the_headers_tell_answers_from_forwards(self, subject: str, has_answered: bool, relation: Relation):
        """The subject's first prefix decides."""
        assert relation_of(subject, has_answered=has_answered) is relation


class TestEarlier:
    """We know what we sent."""

    EARLIER = Earlier(["Thanks!", OLD])
    BROKEN = OLD.replace("Please tell", "Please\ntell").replace("colour do", "colour\ndo")

    @pytest.mark.parametrize(
        "introduction",
        [
            "Xxx yyy zzz:",
            "Xxx Help Desk, 5-1-26",
            "Help Desk xxx yyy help@acme.example",
            "_____",
            "Xxx 5-1-26\nyyy <help@acme.example>",
        ],
    )
    @pytest.mark.parametrize("relation", list(Relation))
    def test_what_repeats_our_text_below_any_introduction_is_history(self, introduction: str, relation: Relation):
        """In any language, from any program, wherever that broke the lines."""
        text = f"{NEW}\n\n{introduction}\n\n{self.BROKEN}"
        expected = text if relation is Relation.FORWARD else NEW

        assert new_text(text, relation=relation, earlier=self.EARLIER).text == expected

    def test_answers_between_the_lines_of_our_text_are_found_without_marks(self):
        """And kept with the lines that they answer; our own regards answer nothing."""
        answered = self.BROKEN.replace("arrived.", "arrived.\nIt has not.").replace("green?", "green?\nBlue.")

        told = new_text(
            f"See below.\n\n{HEADER_BLOCK}\n\n{answered}", relation=Relation.REPLY, earlier=self.EARLIER
        ).text

        assert [line for line in told.split("\n") if line and not line.startswith(">")] == [
            "See below.",
            "It has not.",
            "Blue.",
        ]
        assert "> do you want for the second one, blue or green?\nBlue." in told
        assert "Best regards" not in told

    def test_an_answer_below_our_text_is_kept(self):
        """Even below a line that a customer may have written."""
        text = f"On Monday Bob wrote:\n\n{OLD}\n\nNothing has come."

        told = new_text(text, relation=Relation.REPLY, earlier=self.EARLIER).text

        assert told.startswith("On Monday Bob wrote:\n> ")
        assert told.endswith("\n\nNothing has come.")

    @pytest.mark.parametrize(
        "text",
        [
            "You wrote: your order 4711 was shipped yesterday. But it was not!",
            f"{OLD}\n\nThis is what I got. What does it mean?",
            "Bob said:\nThanks!\n\nDid he?",
        ],
    )
    def test_a_customer_may_quote_us(self, text: str):
        """Within a sentence, without an introduction, or a word that is anybody's."""
        assert new_text(text, relation=Relation.REPLY, earlier=self.EARLIER).text == text

    def test_the_customer_s_own_earlier_text_is_history_too(self):
        """Below what we answered it with."""
        earlier = Earlier([OLD, "Hello, I ordered two bicycles and have got none of them."])
        older = "Help Desk, 4-1-26 xxx:\nHello, I ordered two bicycles and have got none of them."

        assert new_text(f"{NEW}\n\nXxx yyy:\n{OLD}\n{older}", relation=Relation.REPLY, earlier=earlier).text == NEW


class TestSignatures:
    @pytest.mark.parametrize(
        ("text", "is_certain"),
        [
            (f"{NEW}\n-- \nAnn\nAcme", True),
            (f"{NEW}\n\n-- \nAnn\n\n{INTRODUCTION}\n> old", True),
            (f"{NEW}\n--\nAnn\nann@customer.example", False),
            (f"{NEW}\n--\nAnn\nTel. +49 30 1234567", False),
            (f"{NEW}\n--\nSent from my Android device with K-9 Mail.", False),
            (f"{NEW}\n\nGet Outlook for iOS<https://aka.ms/o0ukef>", True),
            (f"{NEW}\n\n{LIST_FOOTER}\n{'_' * 47}", False),
        ],
    )
    def test_a_signature_is_left_out(self, text: str, is_certain: bool):
        """Without its blank it tells how to reach somebody, and that it was a guess."""
        new = new_text(text, relation=Relation.REPLY)

        assert (new.text, new.is_certain) == (NEW, is_certain)

    @pytest.mark.parametrize("signature", ["Ann\nann@customer.example", "Sent with K-9 Mail on Android"])
    def test_below_a_greeting_a_signature_shows_itself(self, signature: str):
        """By how to reach somebody, or as a mail program's line."""
        assert new_text(f"Hello,\n\n-- \n{signature}", relation=Relation.REPLY).text == "Hello,"

    @pytest.mark.parametrize(
        "text",
        [
            "Two things.\n--\nPlease cancel my order.\nAnd call me.",
            "a\n--\n" + "b\n" * 30 + "c",
            "-- \n" + "a long text after two dashes\n" * 60 + "x",
            "Best regards\nOne more thing: cancel it.",
            "Sent from my iPhone is what I want removed",
            "Hello\n-- \nplease cancel my order",
            "Guten Tag Herr Meier,\n\n-- \nbitte stornieren Sie alles.",
            f"Two orders:\n{'_' * 30}\n4711: call +49 30 1234567\n4712: keep it",
        ],
    )
    def test_words_below_dashes_are_words(self, text: str):
        """Customers draw lines too."""
        assert new_text(text).text == text


HOSTILE = {
    "wrote": "Bob wrote:\n",
    "wrote and marks": "Bob wrote:\n> a\nanswer\n",
    "dates": "5 Jan 2026 10:00 " * 20 + ":\n",
    "addresses": "<a@b.example>" * 30 + ":\n",
    "labels": "From: a@b.example 5.1.2026\n",
    "labels on one line": "From: Sent: To: " * 30 + "\n",
    "inner labels": "From: " + "x Date: " * 50 + "\n",
    "any labels": "a: b\n",
    "levels": ">",
    "spaced levels": "> ",
    "quoted": ">\n",
    "open brackets": "a@b <x\n",
    "dashes": "-",
    "dividers": "-----\n",
    "originals": "-----Original Message----- x\n",
    "signatures": "-- \n",
    "initials": "ab> x\n",
    "colons": ":\n",
    "blanks": " " * 100 + "\n",
    "digits": "1 2 3 4.5 2026 ",
    "one line": "x",
    "other digits": "٥ يناير ٢٠٢٦ كتب:\n",
    "our text": OLD + "\n",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("length", [16_000, TEXT_LENGTH_MAX - 1, 4_000_000])
def test_a_hostile_text_takes_bounded_time(piece: str, length: int):
    """Whatever is repeated in it."""
    text = (piece * (length // len(piece) + 1))[:length]
    began = time.process_time()

    new_text(text, relation=Relation.REPLY, earlier=TestEarlier.EARLIER)

    assert time.process_time() - began < FOREVER_SECONDS
