import pytest
from PIL import Image

from ganforge.data.files.entries import open_entries
from ganforge.translate.side_by_side import warn_of_pairs


@pytest.mark.parametrize(
    ("sizes", "pairs", "warned"),
    [
        ([(16, 8), (32, 16)], True, True),
        ([(16, 8), (16, 8)], False, False),
        ([(16, 8), (8, 8)], True, False),
        ([None, (16, 8)], True, True),
        ([None], True, False),
    ],
)
def test_pairs_side_by_side_are_noticed(tmp_path, caplog, sizes, pairs, warned):
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", size).save(path) if size else path.write_bytes(b"damaged")
    warn_of_pairs(open_entries(tmp_path), pairs)
    assert ("like pairs side by side" in caplog.text) is warned
