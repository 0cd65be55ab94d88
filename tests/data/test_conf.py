from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from omegaconf import OmegaConf

from ganforge.config.signatures import parameters_of
from ganforge.data.module import ImageDataModule

CONF = Path(__file__).parents[2] / "conf"
OPTIONS = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


def composed(option: str) -> dict[str, object]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return OmegaConf.to_container(compose(f"data/{option}").data, resolve=False)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_holds_all_arguments_of_its_class_with_their_defaults(name):
    text = (CONF / "data" / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    assert f"data={name}" in text
    option = composed(name)
    cls = get_class(option.pop("_target_"))
    assert issubclass(cls, ImageDataModule)
    parameters, open_ended = parameters_of(cls)
    assert not open_ended
    defaults = {key: value.default for key, value in parameters.items()}
    assert option.pop("seed") == "${seed}"
    assert defaults.pop("seed") == 0
    # One class may serve several data sets, each an option by its name.
    assert option.pop("name") == name
    defaults.pop("name")
    assert option == defaults
