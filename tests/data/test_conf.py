import inspect
from pathlib import Path

import pytest
import yaml

from ganforge.data.image_data import ImageDataModule

CONF = Path(__file__).parents[2] / "conf" / "data"


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_option_spells_out_its_class_with_its_defaults(path):
    text = path.read_text()
    assert text.startswith("# ")
    assert f"data={path.stem}" in text
    option = yaml.safe_load(text)
    module, _, name = option.pop("_target_").rpartition(".")
    cls = getattr(__import__(module, fromlist=[name]), name)
    assert issubclass(cls, ImageDataModule)
    defaults = {key: value.default for key, value in inspect.signature(cls).parameters.items()}
    assert option.pop("seed") == "${seed}"
    assert defaults.pop("seed") == 0
    # One class may serve several data sets, each an option by its name.
    assert option.pop("name") == path.stem
    defaults.pop("name")
    assert option == defaults
