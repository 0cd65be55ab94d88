from .adversarial_loss import AdversarialLoss as AdversarialLoss
from .hinge import HingeLoss as HingeLoss
from .least_squares import LeastSquaresLoss as LeastSquaresLoss
from .minimax import MinimaxLoss as MinimaxLoss
from .nonsaturating import NonsaturatingLoss as NonsaturatingLoss
from .relativistic import RelativisticLoss as RelativisticLoss
from .wasserstein import WassersteinLoss as WassersteinLoss
