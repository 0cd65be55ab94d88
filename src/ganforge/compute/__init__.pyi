from .hardware import Hardware as Hardware
from .launch import Launch as Launch
from .settings import TrainerSettings as TrainerSettings
