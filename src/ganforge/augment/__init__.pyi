from .ada import ADA as ADA
from .augmentation import Augmentation as Augmentation
from .diffaugment import DiffAugment as DiffAugment
from .instance_noise import InstanceNoise as InstanceNoise
from .pipeline import AugmentationPipeline as AugmentationPipeline
from .scheduled import ScheduledAugmentation as ScheduledAugmentation
