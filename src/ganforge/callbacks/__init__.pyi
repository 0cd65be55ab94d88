from .alerts import Alerts as Alerts
from .checkpoints import CheckpointArtifacts as CheckpointArtifacts
from .checkpoints import Checkpoints as Checkpoints
from .evaluation import Evaluation as Evaluation
from .progress import Progress as Progress
from .progress import TimeBudget as TimeBudget
from .samples import Samples as Samples
