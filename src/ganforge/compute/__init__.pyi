from .hardware import Hardware as Hardware
from .hardware import TrainerSettings as TrainerSettings
from .launch import Launch as Launch
