"""Where shards are: names in messages, and places that are refused."""

import pytest

from ganforge.data.shards.places import expanded, short_names
from ganforge.data.shards.remote import Remote
from ganforge.errors import DataError


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["/d/x/a.tar", "/d/y/b.tar"], ["x/a.tar", "y/b.tar"]),
        (["http://host/d/a.tar", "http://host/d/b.tar?v=2"], ["a.tar", "b.tar"]),
        (["http://host/d/a.tar", "/d/b.tar"], ["http://host/d/a.tar", "/d/b.tar"]),
        (["s3://bucket/d/a.tar", "/d/b.tar"], ["s3://bucket/d/a.tar", "/d/b.tar"]),
        (["a.tar"], ["a.tar"]),
        ([], []),
    ],
)
def test_names_omit_the_folder_that_all_shards_share(places, names):
    assert short_names(places) == names


def test_a_shard_that_is_named_twice_is_refused():
    places = [f"http://host/{number}.tar" for number in range(3)]
    with pytest.raises(DataError, match=r"http://host/1\.tar is named twice"):
        expanded([*places, places[1]], Remote())
