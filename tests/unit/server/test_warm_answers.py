"""What is kept of answers is bounded, belongs to one caller, and ends when the rules change."""

from dataclasses import dataclass

from broker.server.grpc.warm.answers import LONGEST_REQUEST, WarmAnswers


@dataclass
class Said:
    """A word."""

    word: str

    def again(self) -> bytes | None:
        return self.word.encode()


class Parrot:
    """Repeats what was answered."""

    def keep(self, request: str, response: str) -> Said | None:
        return Said(response) if response else None


def keep(answers: WarmAnswers, caller: str, raw: bytes, response: str = "yes") -> None:
    answers.keep(answers.epoch, caller, raw, "", response)


def ask(answers: WarmAnswers, caller: str, raw: bytes) -> bytes | None:
    kept = answers.find(answers.of(caller), raw)
    return kept.again() if kept else None


def test_an_answer_is_repeated_to_the_caller_that_got_it_alone() -> None:
    answers = WarmAnswers(Parrot())
    keep(answers, "orders", b"crm")

    assert b"yes" == ask(answers, "orders", b"crm")
    assert [None, None] == [ask(answers, "billing", b"crm"), ask(answers, "orders", b"erp")]


def test_made_up_requests_push_out_no_more_than_what_nobody_asks_for() -> None:
    answers = WarmAnswers(Parrot(), most=100)
    keep(answers, "orders", b"crm")
    for number in range(10_000):
        keep(answers, f"caller-{number % 7}", b"made up %d" % number)
        assert answers.count <= 100
        if number % 40 == 0:
            assert b"yes" == ask(answers, "orders", b"crm")


def test_a_long_request_is_not_kept() -> None:
    answers = WarmAnswers(Parrot())
    for size in (LONGEST_REQUEST, LONGEST_REQUEST + 1):
        keep(answers, "orders", b"x" * size)

    assert 1 == answers.count


def test_what_cannot_be_repeated_is_not_kept() -> None:
    answers = WarmAnswers(Parrot())
    keep(answers, "orders", b"crm", response="")

    assert 0 == answers.count


def test_new_rules_end_all_answers_also_for_who_holds_them_and_those_on_their_way() -> None:
    answers = WarmAnswers(Parrot())
    own, before = answers.of("orders"), answers.epoch
    keep(answers, "orders", b"crm")
    answers.forget_all()
    answers.keep(before, "orders", b"crm", "", "yes")

    assert [None, None] == [answers.find(own, b"crm"), ask(answers, "orders", b"crm")]
    assert 0 == answers.count
