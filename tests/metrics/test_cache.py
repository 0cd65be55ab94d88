import errno
import logging
import os
import stat
import time

import pytest
import torch

from ganforge.data.images import to_float
from ganforge.metrics.cache import StatisticsCache
from ganforge.metrics.cache_folder import files
from ganforge.metrics.features.classifier import ClassifierFactory, Trained
from ganforge.metrics.features.classifier import _save as save_classifier
from ganforge.metrics.moments import moments_of
from ganforge.metrics.real_features import RealFeatures, RealShare, arithmetic
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.kernel import KernelDistance
from tests.metrics.stand_ins import Glance, Pictures, evaluate, noise_images
from tests.support.disk import full
from tests.support.forking import fork, wait

KEY = {"data": "digits", "kind": "features", "fingerprint": "ab12", "split": "train", "stop": 40}
FAKES = noise_images(90, seed=1)


def tensors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {"rows": torch.randn(40, 6, generator=generator), "mean": torch.rand(()).double()}


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_what_is_saved_is_loaded(tmp_path):
    cache, kept = StatisticsCache(tmp_path), tensors()
    assert cache.load(KEY) is None
    cache.save(KEY, kept)
    assert equal(cache.load(KEY), kept)
    assert [path.name[:16] for path in tmp_path.iterdir()] == ["digits-features-"]


@pytest.mark.parametrize(
    "change", [{"fingerprint": "x"}, {"split": "test"}, {"stop": 41}, {"a": 1}]
)
def test_anything_else_has_a_key_of_its_own(tmp_path, change):
    cache = StatisticsCache(tmp_path)
    cache.save(KEY, tensors())
    assert cache.load(KEY | change) is None


@pytest.mark.parametrize("name", ["photos/of cats", "../up", "..", "a" * 300, "ä*[x]"])
def test_any_name_of_data_stays_in_the_folder_and_is_listed(tmp_path, name):
    cache = StatisticsCache(tmp_path / "statistics")
    cache.save(KEY | {"data": name}, tensors())
    (entry,) = files(tmp_path / "statistics", "statistics")
    assert entry.path == cache.path(KEY | {"data": name})
    assert entry.path.parent == tmp_path / "statistics"
    assert cache.load(KEY | {"data": name}) is not None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [entry.path]
    factory, data = ClassifierFactory(str(tmp_path)), Pictures(noise_images(3), torch.arange(3))
    data.name = name
    assert factory.path(data).parent == tmp_path


def truncated(path):
    path.write_bytes(path.read_bytes()[:-700])


def flipped(path):
    data = bytearray(path.read_bytes())
    place = data.find(tensors()["rows"].numpy().tobytes()[:16])
    assert place > 0
    data[place] ^= 1
    path.write_bytes(data)


def emptied(path):
    path.write_bytes(b"")


def another(path):
    torch.save([1, 2], path)


def of_another_key(path):
    other = StatisticsCache(path.parent)
    other.save(KEY | {"split": "test"}, tensors())
    os.replace(other.path(KEY | {"split": "test"}), path)


@pytest.mark.parametrize("damage", [truncated, flipped, emptied, another, of_another_key])
def test_a_damaged_file_is_recreated_with_a_warning(tmp_path, caplog, damage):
    cache = StatisticsCache(tmp_path)
    cache.save(KEY, tensors())
    damage(cache.path(KEY))
    with caplog.at_level(logging.WARNING, "ganforge"):
        assert cache.load(KEY) is None
    assert "is damaged and will be recreated" in caplog.text
    cache.save(KEY, tensors())
    assert equal(cache.load(KEY), {**tensors(), "mean": cache.load(KEY)["mean"]})


def test_processes_that_write_and_read_at_once_see_whole_files(tmp_path):
    cache, kept = StatisticsCache(tmp_path), tensors()

    def work():
        for _ in range(15):
            cache.save(KEY, kept)
            assert equal(cache.load(KEY), kept)

    assert [wait(pid) for pid in [fork(work) for _ in range(3)]] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_large_tensors_are_not_cached_and_old_files_are_removed(tmp_path):
    StatisticsCache(tmp_path, most_bytes_each=100).save(KEY, tensors())
    assert list(tmp_path.iterdir()) == []
    roomy = StatisticsCache(tmp_path)
    for stop in range(4):
        roomy.save(KEY | {"stop": stop}, tensors())
        os.utime(roomy.path(KEY | {"stop": stop}), (time.time() - 100 + stop,) * 2)
    roomy.load(KEY | {"stop": 0})  # what is read is young again
    size = roomy.path(KEY | {"stop": 0}).stat().st_size
    StatisticsCache(tmp_path, most_bytes=3 * size).save(KEY, tensors())
    left = [stop for stop in range(4) if roomy.path(KEY | {"stop": stop}).exists()]
    assert left == [0, 3]
    assert roomy.load(KEY) is not None


def test_a_folder_that_can_not_be_written_is_no_error(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = StatisticsCache(tmp_path / "file" / "statistics")
    cache.save(KEY, tensors())
    assert "cannot save statistics in" in caplog.text
    assert "GANFORGE_CACHE=FOLDER" in caplog.text
    assert cache.load(KEY) is None
    assert len(caplog.records) == 1  # a missing folder is nothing to report


def test_a_full_disk_is_no_error(tmp_path, caplog):
    cache = StatisticsCache(tmp_path)
    with full():
        cache.save(KEY, tensors())
    assert "cannot save statistics in" in caplog.text
    assert list(tmp_path.iterdir()) == []
    cache.save(KEY, kept := tensors())
    assert equal(cache.load(KEY), kept)


def test_unreadable_files_warn_with_the_remedy(tmp_path, monkeypatch, caplog):
    def refuse(path, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("ganforge.metrics.cache.read_tensors", refuse)
    assert StatisticsCache(tmp_path).load(KEY) is None
    assert "Permission denied; its owner can allow it with chmod a+r" in caplog.text


def test_shared_files_follow_the_umask(tmp_path):
    former = os.umask(0o002)
    try:
        cache = StatisticsCache(tmp_path / "statistics")
        cache.save(KEY, tensors())
        file = tmp_path / "classifiers" / "digits.pt"
        save_classifier(file, Trained(tensors(), 0.5))
    finally:
        os.umask(former)
    for path in (cache.path(KEY), file):
        assert stat.filemode(path.stat().st_mode) == "-rw-rw-r--"
        assert stat.filemode(path.parent.stat().st_mode) == "drwxrwxr-x"


def test_a_cache_of_somebody_else_is_read(tmp_path, monkeypatch):
    cache, kept = StatisticsCache(tmp_path), tensors()
    cache.save(KEY, kept)

    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(os, "utime", refuse)
    assert equal(cache.load(KEY), kept)


def scored(data, cache, scores, extractor=None, n_real=None):
    extractor = extractor or Glance()
    reals = RealFeatures(data, extractor, cache)

    def sample(n, start):
        return to_float(FAKES[start : start + n])

    results = evaluate(sample, data, extractor, scores, 90, 0, 32, n_real=n_real, reals=reals)
    return {name: (one.value, one.std) for name, one in results.items()}


def both():
    return {"fid": FrechetDistance(), "kid": KernelDistance(4, 30)}


@pytest.mark.parametrize("scores", [both, lambda: {"fid": FrechetDistance()}])
def test_another_run_reads_no_real_image_but_those_that_tell_the_data(tmp_path, scores):
    cache = StatisticsCache(tmp_path)
    first = scored(Pictures(noise_images(120)), cache, scores())
    data = Pictures(noise_images(120))
    assert scored(data, cache, scores()) == first
    fingerprint = 120  # of these pictures, which are all looked at
    assert data.read == fingerprint
    assert first == scored(Pictures(noise_images(120)), None, scores())


def test_other_data_counts_and_weights_are_computed_again(tmp_path):
    cache = StatisticsCache(tmp_path)

    class Another(Glance):
        def __init__(self):
            super().__init__()
            self.protocol = self.protocol | {"features_weights": "1"}

    def read(images, **more):
        data = Pictures(images)
        scored(data, cache, both(), **more)
        return data.read - len(images)

    images = noise_images(120)
    assert read(images) == 90
    assert read(images) == 0
    assert read(images, n_real=80) == 80
    assert read(images, extractor=Another()) == 90
    images[7] = 0
    assert read(images) == 90


def test_another_precision_is_computed_again_but_another_batch_size_is_not(tmp_path, monkeypatch):
    cache, extractor = StatisticsCache(tmp_path), Glance()

    def read(batch_size=32):
        data = Pictures(noise_images(120))
        reals = RealFeatures(data, extractor, cache)
        reals.rows(RealShare(reals, extractor, "train", 0, 90, batch_size), "features")
        return data.read - 120

    assert [read(), read(), read(batch_size=7)] == [90, 0, 0]
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert [read(), read()] == [90, 0]
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32)
    assert [read(), read()] == [90, 0]


def test_keys_contain_gpu_models_and_precisions_of_single_operators(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA X")
    usual = arithmetic(torch.device("cuda"))
    assert usual.startswith("NVIDIA X, products ")
    assert arithmetic(torch.device("mps")).startswith("mps, products ")

    def mixed():
        raise RuntimeError("a mix of the legacy and new APIs")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", mixed)
    if hasattr(torch.backends.cudnn, "conv"):  # not in every version of torch
        assert arithmetic(torch.device("cuda")).startswith("NVIDIA X, products ")


def test_only_moments_are_cached_unless_rows_are_requested(tmp_path):
    data, cache, extractor = Pictures(noise_images(120)), StatisticsCache(tmp_path), Glance()
    scored(data, cache, {"fid": FrechetDistance()}, extractor)
    (path,) = tmp_path.iterdir()
    assert "features_moments" in path.name
    reals = RealFeatures(data, extractor, cache)
    found = reals.moments(RealShare(reals, extractor, "train", 0, 90, 32), "features")
    expected = moments_of(extractor(data.images[:90]).features)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-12)
