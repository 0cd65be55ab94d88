from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import nn

from ganforge.models.critic import Critic
from ganforge.models.engine.update import Update
from ganforge.networks.contract import contract_of

MODES = {"default": "default", "max": "max-autotune-no-cudagraphs"}
# A player's network is compiled anew for evaluation, for passes without gradient, and with frozen
# weights; a growing one at each of up to nine resolutions, and while it fades.
VARIANTS = 64


def compile_networks(networks: Iterable[nn.Module], mode: str, backend: str = "inductor") -> None:
    """Compiles networks in place, at their first calls; their names and weights stay the same.

    Args:
        networks: generators, their averages, discriminators and parts of augmentations.
        mode: "default", or "max", which tries more kernels and takes longer to compile.
        backend: backend of :func:`torch.compile`.
    """
    torch._dynamo.config.recompile_limit = max(VARIANTS, torch._dynamo.config.recompile_limit)
    options: dict[str, Any] = {"dynamic": False, "backend": backend}
    if backend == "inductor":
        options["mode"] = MODES[mode]
    for network in networks:
        network.compile(**options)
        # Style-based generators are also called in two steps.
        own, methods = cast(Any, network), contract_of(network).methods
        if "mapping" in methods:
            own.mapping.compile(**options)
        if "synthesize" in methods:
            own.synthesize = torch.compile(own.synthesize, **options)


def derivable(update: Update, critics: Mapping[str, Critic]) -> AbstractContextManager[None]:
    """Returns a context in which networks have the derivatives that an update needs.

    Compiled networks have no second derivatives. They run as they are written in updates with a
    penalty on a gradient.
    """
    due = (term for critic in critics.values() for term in critic.due(update).values())
    if any(term.second_order for term in due):
        return cast(AbstractContextManager[None], torch.compiler.set_stance("force_eager"))
    return nullcontext()
