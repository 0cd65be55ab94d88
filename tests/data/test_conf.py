from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from ganforge.config.types import parameters_of
from ganforge.data.module import ImageDataModule

CONF = Path(__file__).parents[2] / "conf"


def test_each_option_holds_all_arguments_of_its_class_with_their_defaults():
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        for path in sorted((CONF / "data").glob("*.yaml")):
            check_option(path)


def check_option(path):
    name, text = path.stem, path.read_text()
    assert text.startswith("# ")
    assert f"data={name}" in text
    option = OmegaConf.to_container(compose(f"data/{name}").data, resolve=False)
    cls = get_class(option.pop("_target_"))
    assert issubclass(cls, ImageDataModule)
    parameters, open_ended = parameters_of(cls)
    assert not open_ended, name
    defaults = {key: value.default for key, value in parameters.items()}
    assert option.pop("seed") == "${seed}"
    assert defaults.pop("seed") == 0
    # One class may serve several data sets, each an option by its name.
    assert option.pop("name") == name
    defaults.pop("name")
    assert option == defaults, name
