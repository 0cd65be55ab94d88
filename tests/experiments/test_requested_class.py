import pytest

from ganforge.errors import ConfigError
from ganforge.experiments.requested_class import find_class

CLOTHES = ["T-shirt/top", "Trouser", "1", "true"]
NUMBERS = ["0", "01", "2", "10", "11"]


@pytest.mark.parametrize(
    ("asked", "names", "number", "text", "file"),
    [
        ("Trouser", CLOTHES, 1, "class Trouser", "Trouser"),
        ("T-shirt/top", CLOTHES, 0, "class T-shirt/top", "T-shirt_top"),
        (1, CLOTHES, 2, "class 1, number 2", "1"),
        (0, CLOTHES, 0, "class T-shirt/top, number 0", "T-shirt_top"),
        (True, CLOTHES, 3, "class true", "true"),
        (10, NUMBERS, 3, "class 10, number 3", "10"),
        ("1", NUMBERS, 1, "class 01, number 1", "01"),
        (2, NUMBERS, 2, "class 2", "2"),
        (2, [], 2, "class 2", "2"),
        ("a\x1b[2J", ["a\x1b[2J", "b"], 0, r"class a\x1b[2J", "a_2J"),
        ("東", ["東", "西"], 0, "class 東", "0"),
    ],
)
def test_names_come_before_numbers(asked, names, number, text, file):
    found = find_class(asked, names, len(names) or 5)
    assert (found.number, found.text, found.file) == (number, text, file)


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
def test_other_classes_are_refused(asked, names, message):
    with pytest.raises(ConfigError, match=message):
        find_class(asked, names, len(names) or 5)
