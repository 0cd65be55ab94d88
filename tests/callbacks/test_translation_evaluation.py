import pytest
import torch

from ganforge.callbacks import evaluation as module
from ganforge.callbacks.evaluation import Evaluation
from ganforge.callbacks.scoring import TranslationScoring
from ganforge.config.check import check
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from ganforge.metrics.features import classifier_training
from ganforge.metrics.features.auto import AutoFactory
from ganforge.metrics.pairs.pixelwise import L1, PSNR, CycleL1
from ganforge.metrics.pairs.ssim import SSIM
from ganforge.metrics.scores.frechet import FrechetDistance
from ganforge.metrics.scores.kernel import KernelDistance
from ganforge.metrics.scores.label_score import LabelAgreement
from tests.callbacks.translating import Data, Game, fit
from tests.metrics.stand_ins import Glance, Glances, Pictures, noise_images
from tests.metrics.translation_stand_ins import flat

TWO = ("AtoB", "BtoA")
CPU = torch.device("cpu")


def flats(paired=True):
    """Inputs of gray 102 and targets of gray 153: 0.2 apart, and 0.4 in [-1, 1]."""
    return Data(flat([102] * 9), flat([153] * 9), paired=paired, test=5)


def noise(paired=False, test=12, size=4):
    return Data(noise_images(40, 1, size=size), noise_images(40, 2, size=size), paired, test)


def evaluation(metrics=None, **changes):
    metrics = {"l1": L1(), "ssim": SSIM()} if metrics is None else metrics
    options = {"features": Glances(Glance()), "every_n_steps": 2, "batch_size": 4}
    return Evaluation(metrics=metrics, **options | {"at_start": True} | changes)


def cyclegan_metrics():
    return {"fid": FrechetDistance(), "kid": KernelDistance(2, 5), "cycle_l1": CycleL1()}


def test_the_first_value_is_that_of_the_untrained_model(tmp_path):
    """The offset halves with each step: 0.2, 0.05 and 0.0125 beside the 0.2 that it should be."""
    callback = evaluation()
    game, _ = fit(tmp_path, callback, flats())
    assert [point["step"] for point in callback.history] == [0, 2, 4]
    values = [point["l1"] for point in callback.history]
    assert values == pytest.approx([0, 0.15, 0.1875], abs=1e-6)
    assert [step for step, _ in game.points] == [0, 2, 4]
    assert list(game.points[0][1]) == ["l1", "ssim"]


def test_steps_at_which_it_evaluates(tmp_path):
    def steps(**changes):
        callback = evaluation(**changes)
        fit(tmp_path, callback, flats())
        return [point["step"] for point in callback.history]

    assert steps(at_start=False) == [2, 4]
    assert steps(at_start=False, at_end=False, every_n_steps=3) == [3]
    assert steps(every_n_steps=0) == [0, 4]
    assert steps(metrics={}) == []


def test_the_untrained_model_is_not_the_best(tmp_path):
    callback = evaluation()
    fit(tmp_path, callback, flats())
    assert callback.monitored == "l1"
    assert (callback.best["name"], callback.best["step"]) == ("l1", 2)
    rising = evaluation({"psnr": PSNR(), "l1": L1()}, monitor="psnr")
    fit(tmp_path, rising, flats(), Game(offset=-0.4))
    assert (rising.monitored, rising.higher_is_better) == ("psnr", True)
    assert rising.best["step"] == 4


def test_both_directions_and_the_first_is_monitored(tmp_path):
    callback = evaluation(cyclegan_metrics(), n=10)
    fit(tmp_path, callback, noise(), Game(TWO))
    assert list(callback.results) == [
        "fid_glance_AtoB",
        "kid_glance_AtoB",
        "cycle_l1_A",
        "fid_glance_BtoA",
        "kid_glance_BtoA",
        "cycle_l1_B",
    ]
    assert callback.monitored == "fid_glance_AtoB"
    assert not callback.higher_is_better
    result = callback.results["cycle_l1_B"]
    assert (result["n_fake"], result["split"], result["direction"]) == (10, "test", "BtoA")
    assert (result["step"], result["images_seen"], result["weights"]) == (4, 8, "ema")
    assert callback.history[0]["cycle_l1_A"] > callback.history[-1]["cycle_l1_A"]


def test_baselines_are_measured_once_and_kept(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(module.log, "info", lambda text, *shown: said.append(text % shown))
    callback = evaluation({"l1": L1()})
    game, trainer = fit(tmp_path, callback, flats())
    assert callback.results["l1_input_baseline"]["value"] == pytest.approx(0.2, rel=1e-5)
    assert callback.results["l1_constant_baseline"]["value"] == pytest.approx(0, abs=1e-6)
    assert said == [
        "l1_input_baseline: 0.2000 (split test, 5 images)",
        "l1_constant_baseline: 0.0000 (split test, 5 images)",
    ]
    assert "l1_input_baseline" not in game.points[0][1]
    trainer.save_checkpoint(tmp_path / "kept.ckpt")
    resumed = evaluation({"l1": L1()})
    monkeypatch.setattr(TranslationScoring, "baselines", None)  # is not called
    fit(tmp_path, resumed, flats(), steps=6, checkpoint=tmp_path / "kept.ckpt")
    assert resumed.results["l1_input_baseline"] == callback.results["l1_input_baseline"]
    assert [point["step"] for point in resumed.history] == [0, 2, 4, 6]


def test_a_resumed_run_ends_as_one_that_was_not_killed(tmp_path):
    whole, half, resumed = (evaluation(cyclegan_metrics(), n=10) for _ in range(3))
    fit(tmp_path, whole, noise(), Game(TWO), steps=6)
    _, trainer = fit(tmp_path, half, noise(), Game(TWO), steps=3)
    trainer.save_checkpoint(tmp_path / "kept.ckpt")
    fit(tmp_path, resumed, noise(), Game(TWO), steps=6, checkpoint=tmp_path / "kept.ckpt")
    ends = [[p for p in one.history if p["step"] != 3] for one in (whole, resumed)]
    assert ends[0] == ends[1]
    assert resumed.results == whole.results


def test_training_draws_what_it_would_draw_without(tmp_path):
    without, _ = fit(tmp_path, evaluation({}), noise(), Game(TWO))
    scored, _ = fit(tmp_path, evaluation(cyclegan_metrics()), noise(), Game(TWO))
    assert scored.draws == without.draws


def test_without_features_the_other_scores_remain(tmp_path):
    callback = evaluation(cyclegan_metrics(), features=Glances(None))
    fit(tmp_path, callback, noise(), Game(TWO))
    assert list(callback.results) == ["cycle_l1_A", "cycle_l1_B"]
    assert callback.monitored == "cycle_l1_A"
    nothing = evaluation({"fid": FrechetDistance()}, features=Glances(None))
    fit(tmp_path, nothing, noise(), Game(TWO))
    assert (nothing.history, nothing.monitored) == ([], None)


def test_no_extractor_is_built_for_scores_of_pairs(tmp_path):
    features = Glances(Glance())
    fit(tmp_path, evaluation(features=features), flats())
    assert features.built == 0


def test_domains_count_as_labels_where_inception_is_not_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_training, "LEAST_SEEN", 300)
    features = AutoFactory(cache=str(tmp_path / "cache"))
    data = Data(flat([20, 30, 40] * 4, size=8), flat([200, 210, 220] * 4, size=8), False, 6)
    callback = evaluation({"fid": FrechetDistance()}, features=features, n=6)
    fit(tmp_path, callback, data, Game(TWO, offset=1.0), steps=2)
    assert list(callback.results) == ["fid_classifier_AtoB", "fid_classifier_BtoA"]
    assert callback.results["fid_classifier_AtoB"]["features_accuracy"] == 1


def test_data_without_held_out_images_are_scored_on_what_there_is(tmp_path):
    callback = evaluation({"l1": L1()})
    fit(tmp_path, callback, Data(flat([0] * 4), flat([0] * 4)))
    assert callback.results["l1"]["split"] == "train"
    few = {"l1": evaluation({"l1": L1()}), "fid_glance": evaluation({"fid": FrechetDistance()})}
    for name, callback in few.items():
        fit(tmp_path, callback, noise(paired=True, test=1))
        assert callback.results[name]["split"] == ("test" if name == "l1" else "train")


@pytest.mark.parametrize(
    ("metrics", "paired", "directions", "message"),
    [
        ({"l1": L1()}, False, TWO, "metrics=l1 .* these data are not paired"),
        ({"cycle_l1": CycleL1()}, True, ("AtoB",), "metrics=cycle_l1 .* only translates AtoB"),
        ({"label_agreement": LabelAgreement()}, True, TWO, "metrics=label_agreement .* classes"),
    ],
)
def test_scores_that_do_not_fit_are_refused_at_once(metrics, paired, directions, message):
    with pytest.raises(ConfigError, match=message):
        evaluation(metrics).check(Game(directions), flats(paired))


def test_small_images_are_refused_for_ssim():
    with pytest.raises(ConfigError, match="window of 11 x 11 pixels"):
        evaluation().check(Game(), noise(paired=True))


def test_scores_of_translations_are_refused_for_other_models():
    class Noise:
        num_classes, seed = 0, 0

    with pytest.raises(ConfigError, match=r"metrics=l1 scores translations, but .*Noise"):
        evaluation().check(Noise(), Pictures(noise_images(4)))
    evaluation({}).check(Noise(), Pictures(noise_images(4)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"monitor": "fid"}, "monitor must be one of l1, ssim, got 'fid'"),
        ({"n": 1}, "n must be at least 2, got 1"),
        ({"split": "val"}, "split must be one of train, test, got 'val'"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        evaluation(**changes)


def test_every_score_of_pairs_is_an_option():
    check(compose_config(["model=pix2pix", "metrics=[l1,psnr,ssim,lpips,cycle_l1,fid]"]))
    with pytest.raises(ConfigError, match=r"metrics=l1 evaluates translations, but model=dcgan"):
        check(compose_config(["model=dcgan", "callbacks=default", "metrics=[l1]"]))
