import pytest

from ganforge.commands.sample import file_part, find_class
from ganforge.errors import ConfigError

CLOTHES = ["T-shirt/top", "Trouser", "1", "true"]
NUMBERS = ["0", "01", "2", "10", "11"]


@pytest.mark.parametrize(
    ("asked", "names", "number", "text"),
    [
        ("Trouser", CLOTHES, 1, "class Trouser"),
        ("T-shirt/top", CLOTHES, 0, "class T-shirt/top"),
        (1, CLOTHES, 2, "class 1, number 2"),
        (0, CLOTHES, 0, "class T-shirt/top, number 0"),
        (True, CLOTHES, 3, "class true"),
        (10, NUMBERS, 3, "class 10, number 3"),
        ("1", NUMBERS, 1, "class 01, number 1"),
        (2, NUMBERS, 2, "class 2"),
        (2, [], 2, "class 2"),
        ("a\x1b[2J", ["a\x1b[2J", "b"], 0, r"class a\x1b[2J"),
        ("東", ["東", "西"], 0, "class 東"),
    ],
)
def test_names_come_before_numbers(asked, names, number, text):
    found = find_class(asked, names, len(names) or 5)
    assert (found.number, found.text) == (number, text)


@pytest.mark.parametrize(
    ("asked", "names", "message"),
    [
        ("trousers", CLOTHES, r"no such class; did you mean 'Trouser'\? .* a number in 0 ... 3"),
        (4, CLOTHES, "class=4: this run has no such class"),
        (3, NUMBERS, r"class=3: this run has no such class; .*legal: 0, 01, 2, 10, 11$"),
        (5, [], "class must be in 0 ... 4 for this run, got 5"),
        (-1, [], "got -1"),
        ("x", [], "got x"),
        ("9" * 5000, CLOTHES, "no such class"),
    ],
)
def test_other_classes_are_rejected(asked, names, message):
    with pytest.raises(ConfigError, match=message):
        find_class(asked, names, len(names) or 5)


def test_files_are_named_after_classes_by_what_disks_take():
    names = ["T-shirt/top", "../../x", "a b", "10", "東", "y" * 300]
    assert [file_part(name) for name in names] == [
        "T-shirt_top",
        ".._.._x",
        "a_b",
        "10",
        "class",
        "y" * 40,
    ]
