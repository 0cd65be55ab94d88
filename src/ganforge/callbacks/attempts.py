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

# Errors that still end the run: user errors, user requests, and runs that cannot continue anyway.
_FATAL = (ConfigError, DivergenceError, FollowedError, InterruptionError, PrunedError)


def attempted(compute: Callable[[], dict[str, Result]], world: int, step: int) -> dict[str, Result]:
    """Returns the results of an evaluation, or {} with a warning if it fails.

    Args:
        compute: runs the evaluation.
        world: number of processes. With several, only errors raised on all of them are caught.
        step: current step, for the message.
    """
    try:
        return compute()
    except _FATAL:
        raise
    except Exception as error:
        # If one rank continued alone, the others would wait for its rows forever.
        if world > 1 and not (isinstance(error, ScoreError) and error.everywhere):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("NO SCORES AT STEP %d, training continues: %s", step, reason)
        log.debug("error of this evaluation", exc_info=True)
        return {}
