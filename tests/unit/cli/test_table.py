"""Tables fit the terminal, whatever stands in them."""

from rich.cells import cell_len

from broker.cli.operating.table import lines


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    shown = lines(["app", "state"], [["crm", "fresh"], ["fleet", "-"]], None)

    assert ["APP    STATE", "crm    fresh", "fleet  -"] == shown


def test_the_widest_column_is_folded_first_and_nothing_is_lost() -> None:
    shown = lines(["app", "error"], [["crm", "x" * 80]], 40)

    assert ["APP  ERROR", "crm  " + "x" * 35, "     " + "x" * 35, "     " + "x" * 10] == shown


def test_what_would_be_too_narrow_to_read_is_shown_line_by_line() -> None:
    corps = [f"ww2load000000000{number}" for number in range(2)]
    shown = lines(["corp", "kind", "last error"], [[corp, "access_token", "x" * 100] for corp in corps], 40)

    assert [
        "CORP        ww2load0000000000",
        "KIND        access_token",
        "LAST ERROR  " + "x" * 100,
        "",
        "CORP        ww2load0000000001",
        "KIND        access_token",
        "LAST ERROR  " + "x" * 100,
    ] == shown


def test_chinese_takes_two_columns() -> None:
    shown = lines(["a", "b"], [["企业可信IP", "1"], ["x", "2"]], None)

    assert 10 == cell_len("企业可信IP")
    assert [
        line.index(digit) + line.count("企") * 4 for line, digit in zip(shown[1:], "12", strict=True)
    ] == [12, 12]
    assert all(cell_len(line) <= 20 for line in lines(["a"], [["企业" * 40]], 20))


def test_what_looks_like_markup_is_shown_as_it_is() -> None:
    told = "[bold]:tada: https://a.example/?b=1 [/]"

    assert ["A", told] == lines(["a"], [[told]], None)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in "".join(lines(["a"], [["\x1b[2J\n"]], None))
