"""Former names of configurable classes, for loading stored runs that use them.

Importing this module imports nothing heavy.
"""

from __future__ import annotations

import re
from typing import Any

# By package: MODULE.CLASS, as configurations named classes before the packages exported them. The
# present name is ganforge.PACKAGE.CLASS, independent of the module.
_MODULES = {
    "augment": (
        "ada.ADA augmentation.Augmentation diffaugment.DiffAugment "
        "instance_noise.InstanceNoise scheduled.ScheduledAugmentation"
    ),
    "callbacks": (
        "checkpoints.Checkpoints evaluation.Evaluation progress.Progress samples.Samples "
        "translation_evaluation.TranslationEvaluation "
        "translation_samples.TranslationSamples"
    ),
    "data": (
        "celeba.CelebA cifar10.CIFAR10 cityscapes.Cityscapes "
        "cyclegan_archives.CycleGANArchive digits.Digits fake.FakeImages "
        "fashion_mnist.FashionMNIST folder.ImageFolder grid25.Grid25 lsun.LSUN "
        "mnist.MNIST paired.PairedImages photos_paired.PairedPhotos "
        "photos_unpaired.UnpairedPhotos pix2pix_archives.Pix2PixArchive ring8.Ring8 "
        "stacked_digits.StackedDigits stacked_mnist.StackedMNIST unpaired.UnpairedImages"
    ),
    "loggers": "metrics_csv.MetricsCSV tensorboard.TensorBoardLogger wandb.WandbLogger",
    "losses": (
        "hinge.HingeLoss least_squares.LeastSquaresLoss minimax.MinimaxLoss "
        "nonsaturating.NonsaturatingLoss relativistic.RelativisticLoss "
        "wasserstein.WassersteinLoss"
    ),
    "metrics": (
        "auto_features.AutoFactory classification_accuracy.ClassificationAccuracy "
        "classifier.ClassifierFactory cycle_l1.CycleL1 dinov2.DINOv2Factory "
        "frechet.FrechetDistance inception.InceptionFactory "
        "inception_score.InceptionScore intra_class.IntraClassFrechet "
        "kernel.KernelDistance l1.L1 label_agreement.LabelAgreement lpips.LPIPS "
        "lpips_diversity.PerceptualDiversity memorization.DataCopying "
        "memorization.Memorization modes.HighQuality modes.ModeDivergence "
        "modes.ModesCovered module_factory.ModuleFactory ms_ssim.MultiscaleSimilarity "
        "normalized_mutual_information.NormalizedMutualInformation path_length.PathLength "
        "points.PointFactory prdc.Coverage prdc.Density prdc.Precision prdc.Recall "
        "psnr.PSNR ssim.SSIM stacked.StackedFactory"
    ),
    "models": (
        "acgan.ACGAN averaging.ExponentialMovingAverage biggan.BigGAN cgan.CGAN "
        "cosine_average.CosineAverage critic_steps.BoostedCriticSteps cyclegan.CycleGAN "
        "dcgan.DCGAN dragan.DRAGAN gan.GAN growth.Growth infogan.InfoGAN lsgan.LSGAN "
        "pacgan.PacGAN pggan.PGGAN pix2pix.Pix2Pix projection.ProjectionGAN r3gan.R3GAN "
        "sagan.SAGAN sngan.SNGAN stylegan.StyleGAN stylegan2.StyleGAN2 wgan.WGAN "
        "wgan_gp.WGANGP"
    ),
    "networks": (
        "biggan.BigGANDiscriminator biggan.BigGANGenerator both_ways.BothDomains "
        "both_ways.BothWays dcgan.DCGANDiscriminator dcgan.DCGANGenerator "
        "mlp.MLPDiscriminator mlp.MLPGenerator patch_discriminator.PatchDiscriminator "
        "pggan.PGGANDiscriminator pggan.PGGANGenerator r3gan.R3GANDiscriminator "
        "r3gan.R3GANGenerator resnet.ResNetDiscriminator resnet.ResNetGenerator "
        "resnet_translator.ResNetTranslator stylegan.StyleGANDiscriminator "
        "stylegan.StyleGANGenerator stylegan2.StyleGAN2Discriminator "
        "stylegan2.StyleGAN2Generator unet.UNetTranslator"
    ),
    "regularizers": (
        "balanced_consistency.BalancedConsistency consistency.Consistency dragan.DRAGAN "
        "drift.Drift feature_matching.FeatureMatching gradient_penalty.GradientPenalty "
        "latent_consistency.LatentConsistency latent_diversity.LatentDiversity "
        "lecam.LeCam orthogonal.Orthogonal path_length.PathLength r1.R1 r2.R2 top_k.TopK "
        "weight_clip.WeightClip"
    ),
    "tuning": (
        "pruners.ASHA pruners.Median pruners.NoPruner samplers.CMAES samplers.Grid "
        "samplers.Random samplers.TPE search.Search"
    ),
}
# Packages that were renamed.
_PACKAGES = {"tuning": "search"}
# Classes that were renamed after the packages exported them.
_CLASSES = {
    "ganforge.callbacks.TranslationEvaluation": "ganforge.callbacks.Evaluation",
    "ganforge.callbacks.TranslationSamples": "ganforge.callbacks.Samples",
    "ganforge.networks.BothDomains": "ganforge.networks.DiscriminatorPair",
    "ganforge.networks.BothWays": "ganforge.networks.TranslatorPair",
}


def _exported(package: str, name: str) -> str:
    target = f"ganforge.{_PACKAGES.get(package, package)}.{name.partition('.')[2]}"
    return _CLASSES.get(target, target)


FORMER = {
    **_CLASSES,
    "ganforge.trainer_settings.TrainerSettings": "ganforge.compute.TrainerSettings",
    **{
        f"ganforge.{package}.{name}": _exported(package, name)
        for package, names in _MODULES.items()
        for name in names.split()
    },
}
_TARGET = "_target_"
_WORD = re.compile(r"ganforge(?:\.\w+)+")


def present_name(name: Any) -> Any:
    """Returns the present name of a ``_target_``; any other value is returned unchanged."""
    return FORMER.get(name, name) if isinstance(name, str) else name


def present_names(value: Any) -> Any:
    """Returns a stored configuration, in plain containers, with present ``_target_`` names."""
    if isinstance(value, dict):
        return {
            key: present_name(item) if key == _TARGET else present_names(item)
            for key, item in value.items()
        }
    return [present_names(item) for item in value] if isinstance(value, list) else value


def present_override(override: str) -> str:
    """Returns a stored override of a ``_target_`` with the present name of the class."""
    key, equals, value = override.partition("=")
    if not equals or not key.endswith(_TARGET):
        return override
    return key + equals + _WORD.sub(lambda found: str(present_name(found[0])), value)
