import math

import pytest
import torch

from ganforge.errors import ConfigError, DivergenceError
from ganforge.metrics.pairs.direction import LabelledDomains, directions_of, for_features
from ganforge.metrics.pairs.evaluate import TranslationEvaluator, mean_colour
from ganforge.metrics.pairs.held_out import HeldOut, Share, split_of
from ganforge.metrics.pairs.lpips import LPIPS
from ganforge.metrics.pairs.pixelwise import L1, PSNR, CycleL1
from ganforge.metrics.pairs.score import check_metrics
from ganforge.metrics.pairs.ssim import SSIM
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.weights import PublishedWeights
from tests.metrics.stand_ins import Glance, noise_images
from tests.metrics.translation_stand_ins import Domains, Shift, Wobble, flat, noise_domains
from tests.support.forking import fork, wait

CPU = torch.device("cpu")
ONE, TWO = ("AtoB",), ("AtoB", "BtoA")


def score(metric, outputs, expected):
    metric.reset(CPU)
    metric.update(outputs, expected)
    return metric.compute()


def constant(*values, channels=3, size=16):
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, channels, size, size)


# ---------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("offset", [0.02, 0.3, -0.5])
def test_a_constant_offset_in_closed_form(offset):
    """In [-1, 1] an offset c is c/2 in [0, 1]: L1 = c/2, PSNR = 20 log10(2/c)."""
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    assert score(L1(), images + offset, images) == pytest.approx(abs(offset) / 2, rel=1e-6)
    decibels = 20 * math.log10(2 / abs(offset))
    assert score(PSNR(), images + offset, images) == pytest.approx(decibels, rel=1e-6)


def test_the_mean_is_over_images_and_not_over_pixels():
    """Offsets of 0.2 and 0.02: the mean of 20 and 40 dB, not the 23 dB of the mean error."""
    outputs, expected = constant(0.2, 0.02), constant(0.0, 0.0)
    assert score(PSNR(), outputs, expected) == pytest.approx(30, rel=1e-6)
    assert score(L1(), outputs, expected) == pytest.approx(0.055, rel=1e-6)


def test_equal_images_are_as_good_as_can_be():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert score(L1(), images, images) == 0
    assert score(SSIM(), images, images) == pytest.approx(1, abs=1e-12)
    assert score(PSNR(), images, images) == math.inf


def test_the_similarity_of_constants_is_that_of_their_luminance():
    """Without variance only (2ab + C1) / (a^2 + b^2 + C1) is left, C1 = 0.01^2, in [0, 1]."""
    a, b, c1 = 0.75, 0.5, 1e-4
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    got = score(SSIM(), constant(2 * a - 1), constant(2 * b - 1))
    assert got == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(0.9231, abs=1e-4)


def test_the_similarity_under_a_window_by_hand():
    """An image of size 11 has one whole window; a wide one sees the moments of all pixels alike."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 1, 1, 11, 11, generator=generator, dtype=torch.float64)
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    line = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2
    padded = torch.nn.functional.pad(torch.cat([x, y]), (5,) * 4, mode="reflect")

    def mean(images):
        return torch.nn.functional.conv2d(images[:, None], window[None, None])[:, 0]

    px, py = padded[0, 0][None], padded[1, 0][None]
    mx, my = mean(px), mean(py)
    vx, vy, cov = mean(px * px) - mx**2, mean(py * py) - my**2, mean(px * py) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert score(SSIM(), 2 * x - 1, 2 * y - 1) == pytest.approx(float(index.mean()), rel=1e-9)


def test_values_outside_of_the_range_are_clamped():
    assert score(L1(), constant(5.0), constant(1.0)) == 0


def test_batches_and_shares_add_up():
    generator = torch.Generator().manual_seed(0)
    outputs, expected = torch.rand(2, 7, 1, 12, 12, generator=generator) * 2 - 1
    for metric in (L1(), PSNR(), SSIM()):
        whole = score(metric, outputs, expected)
        metric.reset(CPU)
        for part in (slice(0, 3), slice(3, 7)):
            metric.update(outputs[part], expected[part])
        assert metric.compute() == pytest.approx(whole, rel=1e-12)


# ---------------------------------------------------------------------- all directions of a game


def make_evaluator(data, pairs=None, scores=None, n=100, batch_size=4, split="test", **more):
    extractor = Glance(1, data.image_size) if scores else None
    held = HeldOut(n, batch_size, split_of(data, split))
    return TranslationEvaluator(data, extractor, scores or {}, pairs or {}, held, **more)


def run(evaluator, game, rank=0, world=1):
    return evaluator.evaluate(game, "ema", 5, Share(CPU, rank, world))


def test_one_direction_by_hand():
    data = Domains(flat([0, 0, 100, 50]), flat([0, 0, 110, 70]), test=2)
    results = run(make_evaluator(data, {"l1": L1(), "psnr": PSNR()}), Shift(10 / 127.5))
    assert list(results) == ["l1", "psnr"]
    assert results["l1"].value == pytest.approx((0 + 10) / 2 / 255, rel=1e-4)
    assert results["l1"].to_dict() == {
        "value": results["l1"].value,
        "features": "none",
        "n_real": 2,
        "n_fake": 2,
        "split": "test",
        "resize": "none",
        "range": "0 to 1",
        "direction": "AtoB",
        "higher_is_better": False,
    }


def test_two_directions_each_against_its_own_target():
    data = Domains(flat([100]), flat([151]))
    results = run(make_evaluator(data, {"l1": L1()}, n=1), Shift(51 / 127.5, 0.0))
    assert list(results) == ["l1_AtoB", "l1_BtoA"]
    assert results["l1_AtoB"].value == pytest.approx(0, abs=1e-6)
    assert results["l1_BtoA"].value == pytest.approx(0.2, rel=1e-6)


def test_the_cycle_in_both_directions():
    """There by +0.4, back by -0.1: 0.15 in [0, 1] is left, whatever the start."""
    data = Domains(flat([100] * 3), flat([26] * 5), paired=False)
    game = Shift(0.4, -0.1)
    results = run(make_evaluator(data, {"cycle_l1": CycleL1()}), game)
    assert list(results) == ["cycle_l1_A", "cycle_l1_B"]
    assert results["cycle_l1_A"].value == pytest.approx(0.15, rel=1e-5)
    assert results["cycle_l1_B"].value == pytest.approx(0.15, rel=1e-5)
    assert (results["cycle_l1_A"].n_fake, results["cycle_l1_B"].n_fake) == (3, 5)
    there, back = ["AtoB", "BtoA"], ["BtoA", "AtoB"]
    assert [name for name, *_ in game.asked] == [*there, *back, *back]


def test_features_are_compared_with_the_domain_that_is_translated_to():
    images = noise_images(60, size=4)
    data = Domains(images, 255 - images, paired=False, test=20)
    results = run(make_evaluator(data, scores={"fid": FrechetDistance()}), Shift(0.0, 0.0))
    assert list(results) == ["fid_glance_AtoB", "fid_glance_BtoA"]
    assert results["fid_glance_AtoB"].value > 1
    assert results["fid_glance_AtoB"].details["direction"] == "AtoB"
    same = Domains(images, images, paired=False, test=20)
    alike = run(make_evaluator(same, scores={"fid": FrechetDistance()}), Shift(0.0))
    assert list(alike) == ["fid_glance"]
    assert alike["fid_glance"].value == pytest.approx(0, abs=1e-9)


def test_every_image_is_translated_once_for_all_scores():
    game = Shift(0.0)
    scores = {"fid": FrechetDistance()}
    run(make_evaluator(noise_domains(size=12), {"l1": L1(), "ssim": SSIM()}, scores, n=10), game)
    assert [(n, start) for _, n, start, *_ in game.asked] == [(4, 0), (4, 4), (2, 8)]
    assert {asked[3:] for asked in game.asked} == {("ema", 5)}


def everything(rank=0, world=1):
    pairs = {"l1": L1(), "psnr": PSNR(), "ssim": SSIM(), "cycle_l1": CycleL1()}
    evaluator = make_evaluator(noise_domains(), pairs, {"fid": FrechetDistance()}, batch_size=3)
    results = run(evaluator, Wobble(0.1, -0.2), rank, world)
    results |= evaluator.baselines(TWO, Share(CPU, rank, world))
    return {name: result.value for name, result in results.items()}


def test_two_processes_find_what_one_finds(tmp_path):
    def work(rank):
        def child():
            torch.set_num_threads(1)
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=2
            )
            torch.save(everything(rank, 2), tmp_path / f"{rank}.pt")

        return child

    children = [fork(work(rank)) for rank in range(2)]
    assert [wait(pid) for pid in children] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second
    assert first == pytest.approx(everything(), rel=1e-9)
    assert len(first) == 22


@pytest.mark.parametrize("scores", [{}, {"fid": FrechetDistance()}])
def test_images_that_are_not_finite_are_refused(scores):
    with pytest.raises(DivergenceError, match="11 generated images contain NaN"):
        run(make_evaluator(noise_domains(), {"l1": L1()}, scores), Shift(float("nan")))


def test_data_without_held_out_images_are_scored_on_what_there_is():
    data = noise_domains(test=0)
    assert run(make_evaluator(data, {"l1": L1()}), Shift(0.0))["l1"].split == "train"
    assert split_of(Domains(flat([0, 0]), flat([0, 0]), test=(1, 0)), "test") == "train"


# ---------------------------------------------------------------------- baselines


def test_baselines_by_hand():
    """Inputs 100 and 0 for targets 151 and 51: off by 0.2; the training targets' mean is 102."""
    data = Domains(flat([9, 9, 100, 0]), flat([0, 204, 151, 51]), test=2)
    results = make_evaluator(data, {"l1": L1(), "psnr": PSNR()}).baselines(ONE, Share(CPU))
    values = {name: result.value for name, result in results.items()}
    assert values == pytest.approx(
        {
            "l1_input_baseline": 0.2,
            "psnr_input_baseline": 20 * math.log10(5),
            "l1_constant_baseline": (49 + 51) / 2 / 255,
            "psnr_constant_baseline": 10 * math.log10(255**2 / (49 * 51)),
        },
        rel=1e-5,
    )
    assert results["l1_input_baseline"].split == "test"


def test_the_mean_colour_is_that_of_the_training_targets_by_channel():
    images = torch.cat([flat([0, 100]), flat([50, 200])], 1)
    colour = mean_colour(Domains(images, images).domain("target"))
    assert colour.flatten().tolist() == pytest.approx([50 / 127.5 - 1, 125 / 127.5 - 1])


def test_inputs_of_other_channels_are_converted_or_left_out():
    def names(inputs, outputs):
        data = Domains(flat([51], inputs), flat([102], outputs))
        return make_evaluator(data, {"l1": L1()}).baselines(ONE, Share(CPU))

    grey = names(1, 3)
    assert grey["l1_input_baseline"].value == pytest.approx(0.2, rel=1e-5)
    assert names(3, 1)["l1_input_baseline"].value == pytest.approx(0.2, rel=1e-5)
    assert list(names(1, 4)) == ["l1_constant_baseline"]


def test_cyclic_scores_and_features_have_no_baseline():
    evaluator = make_evaluator(
        noise_domains(size=4), {"cycle_l1": CycleL1()}, {"fid": FrechetDistance()}
    )
    assert evaluator.baselines(TWO, Share(CPU)) == {}


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("metric", "directions", "paired", "size", "message"),
    [
        (L1(), TWO, False, 16, "these data are not paired"),
        (PSNR(), ONE, False, 16, "these data are not paired"),
        (SSIM(), ONE, True, 8, "window of 11 x 11 pixels, and the images are 8 x 8"),
        (CycleL1(), ONE, True, 16, "this model only translates AtoB"),
        (LPIPS(), ONE, True, 16, "gray or RGB images of at least 32 x 32 pixels"),
    ],
)
def test_unsuitable_data_are_refused(metric, directions, paired, size, message):
    data = Domains(flat([0, 0], size=size), flat([0, 0], size=size), paired)
    with pytest.raises(ConfigError, match=f"metrics=mine.*{message}"):
        check_metrics({"mine": metric}, data, directions)


def test_a_window_fits_an_image_of_its_own_size():
    data = Domains(flat([0], size=11), flat([0], size=11))
    check_metrics({"ssim": SSIM()}, data, ONE)
    assert SSIM(0.5).window == 5
    with pytest.raises(ConfigError, match="sigma must be above 0, got 0"):
        SSIM(0)


# ---------------------------------------------------------------------- LPIPS


def test_missing_weights_are_reported_with_their_path(monkeypatch, tmp_path):
    def fails(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fails)
    with pytest.raises(ConfigError, match=r"no route to host.*Download https://.*alexnet.* to "):
        LPIPS().prepare(CPU)
    with pytest.raises(ConfigError, match="network must be one of alex, vgg; got 'x'"):
        LPIPS("x")


def test_perceptual_distances_of_equal_images_are_nothing(monkeypatch):
    """On random weights, which have no meaning, but the properties of a distance."""
    import torchmetrics.functional.image.lpips as theirs

    body = theirs._get_tv_model_features
    monkeypatch.setattr(PublishedWeights, "fetch", lambda weights: None)
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda net, pretrained: body(net, False))
    torch.manual_seed(3)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    metric = LPIPS()
    metric.prepare(CPU)
    assert torch.equal(torch.rand(3), drawn)
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert score(metric, images, images) == 0
    apart = score(metric, -images, images)
    assert apart > 0
    rgb = images.expand(-1, 3, -1, -1)
    assert score(metric, -rgb, rgb) == pytest.approx(apart, rel=1e-6)
    parts = [score(metric, -one, one) for one in images.split(1)]
    assert sum(parts) / 3 == pytest.approx(apart, rel=1e-4)


# ---------------------------------------------------------------------- domains as labels


def test_domains_take_turns_until_one_ends():
    data = Domains(flat([10, 11]), flat([20, 21, 22, 23]), paired=False)
    both = LabelledDomains(data)
    assert (both.size("train"), both.num_classes) == (6, 2)
    assert both.real_labels("train").tolist() == [0, 1, 0, 1, 1, 1]
    greys = [10, 20, 11, 21, 22, 23]
    for start in range(6):
        for n in (1, 2, 9):
            images, labels = both.reals(n, "train", start)
            assert images[:, 0, 0, 0].tolist() == greys[start : start + n]
            assert labels.tolist() == both.real_labels("train")[start : start + n].tolist()
    assert both.fingerprint("train") != LabelledDomains(noise_domains()).fingerprint("train")


def test_domains_of_other_channels_are_no_labels():
    data = noise_domains(channels=(1, 3))
    assert for_features(data) is data.domain("target")
    assert for_features(noise_domains()).num_classes == 2


def test_directions_have_their_ends():
    data = noise_domains()
    there, back = directions_of(data, ("BtoA", "AtoB"))
    assert (there.name, there.back, there.start) == ("BtoA", "AtoB", "B")
    assert there.source is back.target is data.domain("input")
    (alone,) = directions_of(data, ONE)
    assert (alone.back, alone.published("l1")) == (None, "l1")
