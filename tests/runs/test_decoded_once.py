import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.data.files import keeping
from ganforge.data.files.source import FileSource
from ganforge.metrics.cache_folder import clear, entries
from tests.data.drawings import save
from tests.support.same_runs import metrics
from tests.support.short_runs import PLAIN, go, runs


@pytest.fixture
def photos(tmp_path):
    noise = np.random.default_rng(0)
    for i in range(40):
        image = Image.fromarray(noise.integers(0, 256, (18, 20), dtype=np.uint8))
        save(tmp_path / "photos" / f"{i:02}.png", image)
    yield tmp_path / "photos"
    clear("images")


def weights(folder):
    (run,) = runs(folder)
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"], metrics(run)


@pytest.mark.slow
def test_a_run_that_resumes_from_the_cache_is_that_of_decoding_on_every_read(
    photos, tmp_path, monkeypatch, type_in
):
    data = [o for o in PLAIN if o != "data=digits"]
    data += ["model=dcgan", "trainer.log_every_n_steps=1", "data=folder"]
    data += [f"data.path={photos}", "data.channels=1", "data.in_memory=false"]
    go(*data, "data.cache=false", "data.workers=0", f"log_dir={tmp_path}/whole")
    assert entries("images") == []
    monkeypatch.setattr(keeping, "WORTH", 40)
    go(*data, "dry_run=true", f"log_dir={tmp_path}/parts")
    assert entries("images") == []  # one step does not need all images
    go(*data, "trainer.max_steps=2", f"log_dir={tmp_path}/parts")
    assert entries("images")[0].path.name in type_in("cache").out

    def counted(source, row, attempt=FileSource.attempt):
        seen.append(row)
        return attempt(source, row)

    seen: list[int] = []
    monkeypatch.setattr(FileSource, "attempt", counted)
    monkeypatch.setattr(keeping, "SAMPLE", 5)
    clear("images")
    (run,) = runs(tmp_path / "parts")
    resumed = ["trainer.max_steps=4", f"resume={run}", "data.workers=2"]
    go(*resumed, f"log_dir={tmp_path}/parts")
    # A check of up to 64 images, the sample in the key, and each image once: none for a batch.
    assert len(seen) == 40 + 5 + 40
    ours, theirs = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    assert ours[1] == theirs[1]
    assert all(torch.equal(ours[0][key], theirs[0][key]) for key in theirs[0])
