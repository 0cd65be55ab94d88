from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from ganforge.errors import RunError
from ganforge.runs.stored.yaml_files import read_config, read_yaml

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
DAMAGED = {
    "aliases": LAUGHS,
    "itself": "a: &a [*a]\n",
    "deep": "a: " + "[" * 200_000,
    "wide": "a: [" + "1, " * 120_000 + "]",
    "torn": "a: {b: 1",
    "list": "[1, 2]\n",
    "empty": "",
    "tag": "a: !!python/object/apply:os.system [true]\n",
    "bytes": b"a: \xff\xfe",
    "nul": "a: b\0c\n",
    "unhashable": "? [a]\n: b\n",
    "twice": "a: 1\n<<: 3\n",
    "large": "# " + "x" * (5 * 2**20),
}


@pytest.mark.parametrize("read", [read_yaml, read_config])
@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_and_hostile_files_are_named(tmp_path, kind, read):
    text = DAMAGED[kind]
    path = tmp_path / "composed.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError, match=r"composed\.yaml: (damaged|cannot be read)") as raised:
        read(path)
    assert len(str(raised.value)) < 500


def test_what_is_no_file_of_a_run_is_named(tmp_path):
    (tmp_path / "secret.yaml").write_text("a: 1\n")
    (tmp_path / "config.yaml").symlink_to("secret.yaml")
    with pytest.raises(RunError, match=r"config\.yaml: cannot be read \(is a link"):
        read_yaml(tmp_path / "config.yaml")
    with pytest.raises(RunError, match="cannot be read"):
        read_config(tmp_path / "composed.yaml")


def test_a_configuration_is_read_as_it_is(tmp_path):
    path = tmp_path / "composed.yaml"
    path.write_text("seed: 3\nlr: 1e-3\nname: ${seed}\nbase: &b {x: 1}\nother: *b\n")
    cfg = read_config(path)
    assert cfg == OmegaConf.load(path)
    assert (cfg.lr, cfg.name, cfg.other.x) == (1e-3, 3, 1)
    assert OmegaConf.to_container(cfg, resolve=False)["name"] == "${seed}"
    assert read_yaml(path)["other"] == {"x": 1}
