"""Places of data in the configuration of a run: absolute paths, and URLs as they are."""

import pytest
from omegaconf import OmegaConf

from ganforge.errors import ConfigError
from ganforge.runs.stored.data_places import make_paths_absolute
from tests.support.short_runs import PLAIN, go


def test_relative_paths_become_absolute_and_texts_with_a_scheme_stay(tmp_path):
    urls = ["a.tar", "/d/b.tar", "http://h/c.tar", "pipe:cat /x.tar", " pipe:cat x", "| cat x"]
    cfg = OmegaConf.create({"data": {"urls": urls, "path": "a:b", "dir": "gs://bucket/d"}})
    make_paths_absolute(cfg, tmp_path)
    assert cfg.data.urls == [str(tmp_path / "a.tar"), *urls[1:]]
    assert cfg.data.path == str(tmp_path / "a:b")
    assert cfg.data.dir == "gs://bucket/d"


@pytest.mark.parametrize("given", ["'pipe:cat /x.tar'", "['| cat /x.tar']"])
def test_commands_are_refused(given):
    typed = [o for o in PLAIN if not o.startswith(("data=", "data.max_images"))]
    with pytest.raises(ConfigError, match="runs no commands"):
        go(*typed, "model=dcgan", "data=webdataset", f"data.urls={given}", "dry_run=true")
