from __future__ import annotations

import logging
from collections.abc import Callable

from ganforge.errors import (
    ConfigError,
    DivergenceError,
    FollowedError,
    InterruptionError,
    PrunedError,
    ScoreError,
)
from ganforge.metrics.evaluate import Result

log = logging.getLogger("ganforge")

# What an evaluation may end a run with: the user's choice or mistake, or a run that is lost anyway.
_PASSED_ON = (ConfigError, DivergenceError, FollowedError, InterruptionError, PrunedError)


def attempted(compute: Callable[[], dict[str, Result]], world: int, step: int) -> dict[str, Result]:
    """Returns what an evaluation finds, and nothing where it fails: training continues then.

    Args:
        compute: evaluates.
        world: number of processes.
        step: of the run, for the message.
    """
    try:
        return compute()
    except _PASSED_ON:
        raise
    except Exception as error:
        # A process that continued alone would leave the others waiting for its rows.
        if world > 1 and not (isinstance(error, ScoreError) and error.everywhere):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("NO SCORES AT STEP %d, training continues: %s", step, reason)
        log.debug("the fault of this evaluation", exc_info=True)
        return {}
