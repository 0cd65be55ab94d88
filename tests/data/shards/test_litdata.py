import json
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.data.sets.litdata import LitData
from ganforge.data.shards import remote
from ganforge.errors import ConfigError, DataError

from .serving import served
from .tars import encoded, pixels


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_OPTIMIZER_CACHE_FOLDER", str(tmp_path / "litdata"))


def write_with_litdata(folder, items, size=4):
    """Writes chunks with LitData itself, which takes seconds to import."""
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_size=size)
    for number, item in enumerate(items):
        writer[number] = item
    writer.done()
    writer.merge()


def write_chunks(folder, items, formats):
    """Writes one chunk of items, each with a list of leaves as bytes, in LitData's layout."""
    folder.mkdir(parents=True)
    parts = [struct.pack(f"<{len(item)}I", *map(len, item)) + b"".join(item) for item in items]
    starts = [4 * (len(parts) + 2)]
    for part in parts:
        starts.append(starts[-1] + len(part))
    header = struct.pack(f"<{len(parts) + 2}I", len(parts), *starts)
    (folder / "chunk-0-0.bin").write_bytes(header + b"".join(parts))
    keys = ["image", "label"][: len(formats)]
    leaf = {"type": None, "context": None, "children_spec": []}
    root = {"type": "builtins.dict", "context": json.dumps(keys)}
    spec = json.dumps([1, root | {"children_spec": [leaf] * len(keys)}])
    config = {"compression": None, "data_format": formats, "data_spec": spec}
    chunks = [{"filename": "chunk-0-0.bin", "chunk_size": len(parts)}]
    (folder / "index.json").write_text(json.dumps({"chunks": chunks, "config": config}))


def opened(folder, **settings):
    data = LitData(
        str(folder), image_size=8, in_memory=False, holdout=0.0, batch_size=2, **settings
    )
    data.setup()
    return data


def check_images(data, numbers, split="train"):
    images, _ = data.source_of(split).read_labelled(torch.arange(len(numbers)))
    for image, number in zip(images, numbers, strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels(number))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pil", "bytes"])
def test_what_litdata_writes_is_read(tmp_path, kind):
    def image(number):
        return Image.fromarray(pixels(number)) if kind == "pil" else encoded(number)

    items = [{"index": n, "image": image(n), "label": n % 3} for n in range(10)]
    write_with_litdata(tmp_path / "d", items)
    data = opened(tmp_path / "d")
    check_images(data, range(10))
    assert data.source_of("train").labels.tolist() == [n % 3 for n in range(10)]
    assert len(data.source_of("train").entries.shards) == 3


def test_numbered_labels(tmp_path):
    items = [[encoded(n), struct.pack("<q", n % 3)] for n in range(5)]
    write_chunks(tmp_path / "d", items, ["bytes", "int"])
    data = opened(tmp_path / "d")
    check_images(data, range(5))
    assert data.source_of("train").labels.tolist() == [0, 1, 2, 0, 1]


def test_splits_and_named_labels(tmp_path):
    items = [[encoded(n), [b"b", b"a"][n % 2]] for n in range(5)]
    write_chunks(tmp_path / "d" / "train", items, ["bytes", "str"])
    items = [[encoded(n), b"b"] for n in range(5, 8)]
    write_chunks(tmp_path / "d" / "val", items, ["bytes", "str"])
    data = opened(tmp_path / "d")
    check_images(data, range(5, 8), "test")
    assert data.class_names == ["a", "b"]
    assert data.source_of("train").labels.tolist() == [1, 0, 1, 0, 1]
    assert data.source_of("test").labels.tolist() == [1, 1, 1]


def test_raw_pixels(tmp_path):
    def raw(number, mode):
        image = Image.fromarray(pixels(number)).convert(mode)
        return struct.pack("<3I", 8, 8, len(mode)) + mode.encode() + image.tobytes()

    write_chunks(tmp_path / "d", [[raw(n, "RGB")] for n in range(3)], ["pil"])
    check_images(opened(tmp_path / "d"), range(3))
    write_chunks(tmp_path / "e", [[raw(0, "RGB")], [raw(1, "CMYK")]], ["pil"])
    source = opened(tmp_path / "e").source_of("train")
    source.read(torch.arange(2))
    assert source.unreadable == {"chunk-0-0.bin/000001": "has the mode CMYK; expected L or RGB"}


def test_pickles_are_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = pickle.dumps(Trap())
    write_chunks(tmp_path / "d", [[encoded(n), trap] for n in range(2)], ["bytes", "pickle"])
    assert opened(tmp_path / "d").num_classes == 0
    write_chunks(tmp_path / "e", [[trap]] * 2, ["pickle"])
    with pytest.raises(DataError, match="formats pickle: none is an image"):
        opened(tmp_path / "e")
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()  # the trap works


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"needs data\.dir"):
        LitData()
    with pytest.raises(DataError, match=r"has no index\.json, and no train/index\.json"):
        opened(tmp_path)
    write_chunks(tmp_path / "d", [[encoded(n)] for n in range(3)], ["bytes"])
    path = tmp_path / "d" / "index.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps(index | {"config": index["config"] | {"compression": "zstd"}}))
    with pytest.raises(DataError, match="compression=zstd: write them without"):
        opened(tmp_path / "d")
    index["chunks"][0]["filename"] = "../d/chunk-0-0.bin"
    path.write_text(json.dumps(index))
    with pytest.raises(DataError, match="is damaged: a chunk named"):
        opened(tmp_path / "d")


def test_damaged_chunks_are_named(tmp_path):
    write_chunks(tmp_path / "d", [[encoded(n)] for n in range(3)], ["bytes"])
    chunk = tmp_path / "d" / "chunk-0-0.bin"
    whole = chunk.read_bytes()
    for damaged in (whole[:100], b"", b"\xff" * 40, whole[:4] + b"\xff" * 8 + whole[12:]):
        chunk.write_bytes(damaged)
        with pytest.raises(DataError, match=r"chunk-0-0\.bin is (damaged|empty)"):
            opened(tmp_path / "d")


def test_remote_chunks_are_indexed_in_blocks(tmp_path, monkeypatch):
    """A block holds several items, or the sizes of one item, whose image is then skipped."""
    items = [[encoded(n), b"ab"[n % 2 :][:1]] for n in range(40)]
    items += [[bytes(9_000), b"a"] for _ in range(5)]
    write_chunks(tmp_path / "d", items, ["bytes", "str"])
    monkeypatch.setattr(remote, "_BLOCK", 1000)
    with served(tmp_path) as (url, handler):
        local, far = (
            LitData(place, image_size=8)._shards()["train"]
            for place in (str(tmp_path / "d"), f"{url}/d")
        )
        lines = [line for line in handler.asked if ".bin bytes=" in line]
    ranges = [line.rpartition("=")[2].split("-") for line in lines]
    read = [int(last) - int(first) + 1 for first, last in ranges]
    assert max(read) <= 1000
    assert sum(read) < local[0].index.size / 2
    assert far[0].index.to_json() == local[0].index.to_json()
    assert far[0].name == local[0].name == "chunk-0-0.bin"
