"""The verbs of the command line. Heavy imports happen only after the configuration is checked."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.metadata
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig

from ganforge.compute.launch import is_first, refuse_launcher
from ganforge.compute.load import LOAD
from ganforge.config.arguments import flags_first, is_sweep, on_run, prepared
from ganforge.config.check import check_root
from ganforge.config.compose import composed_once, prepare_hydra, requested
from ganforge.config.quoting import options_as_filter, quote_values
from ganforge.errors import (
    FollowedError,
    GanforgeError,
    InterruptionError,
    PrunedError,
    described,
    explained,
)
from ganforge.paths import conf_dir, ensure_home
from ganforge.plain_text import safe_lines
from ganforge.sweeps.launchers.checks import refuse_idle_launcher
from ganforge.terminal import open_standard_streams, readable_streams

# Each verb has a root file in conf/ and a function that takes its request; train takes the composed
# configuration.
VERBS = {
    "train": ("ganforge.commands.train", "train_and_score"),
    "evaluate": ("ganforge.commands.evaluate", "evaluate_run"),
    "sample": ("ganforge.commands.sample", "sample_run"),
    "translate": ("ganforge.commands.translate", "translate_run"),
    "prepare": ("ganforge.commands.prepare", "prepare_shards"),
    "compare": ("ganforge.commands.compare", "compare_runs"),
    "report": ("ganforge.commands.report", "report"),
    "sync": ("ganforge.commands.sync", "sync_runs"),
    "dashboard": ("ganforge.commands.dashboard", "make_dashboard"),
    "runs": ("ganforge.commands.runs", "manage_runs"),
    "cache": ("ganforge.commands.cache", "manage_cache"),
}

HELP = """\
ganforge: train, sweep, measure and compare generative adversarial networks.

  ganforge train                                   a class-conditional GAN on handwritten digits
  ganforge train model=wgan_gp data=mnist          another model, another data set
  ganforge train -m model=dcgan,lsgan seed=1,2,3   a sweep
  ganforge train tune=learning_rates model=dcgan   a search
  ganforge train resume=latest                     resume an interrupted run
  ganforge evaluate run=latest n=10000             score a run
  ganforge sample run=latest n=64 seed=0 out=DIR   draw images
  ganforge translate run=latest input=DIR out=DIR  translate images (pix2pix, cyclegan)
  ganforge prepare data=NAME out=DIR               convert a data set into shards
  ganforge compare runs=logs/multirun/DATE/TIME    a table over seeds, and what differs
  ganforge report run=latest                       a page of curves and samples; sweep=DIR
  ganforge sync                                    send offline runs to Weights & Biases
  ganforge dashboard entity=TEAM project=NAME      a Weights & Biases workspace and report
  ganforge runs status=failed older_than=7d        list runs; remove=true removes these
  ganforge cache                                   list cached files; clear=all removes them

`ganforge VERB --help` lists the keys of a verb; `ganforge VERB --cfg job` prints its configuration.
`eval "$(ganforge train -sc install=bash)"` completes groups, options and keys with TAB.
"""


def main(verb: str | None = None) -> None:
    """Runs a verb with the overrides from the command line and exits with its exit code."""
    open_standard_streams()
    readable_streams()
    try:
        code = run(sys.argv[1:], verb)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as in `ganforge --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    if code > 128:
        _exit_now(code)
    sys.exit(code)


def _exit_now(code: int) -> NoReturn:
    """Ends an interrupted process at once: Python's own way takes seconds to unload PyTorch."""
    for thread in threading.enumerate():
        if thread.name == "checkpoint-writer":
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed
            stream.flush()
    os._exit(code)


def run(arguments: list[str], verb: str | None = None) -> int:
    """Runs a verb and returns the exit code.

    0: success. 1: failure. 2: invalid input. 128 plus the signal's number if a signal ended the
    verb: SIGHUP 129, Ctrl-C 130, SIGTERM 143, SIGUSR1 138 (on Linux).
    """
    if verb is None and arguments[:1] in (["-sc"], ["--shell-completion"]):
        verb = _completed_verb()
    if verb is None:
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(HELP)
            return 0
        verb, *arguments = arguments
    if verb == "--version":
        print(importlib.metadata.version("ganforge"))
        return 0
    if verb not in VERBS:
        print(f"ganforge: no verb {verb!r}; legal: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    if verb == "dashboard":  # also accept the usual spelling of a switch
        arguments = ["print=true" if a == "--print" else a for a in arguments]
    if verb == "runs":
        arguments = options_as_filter(arguments)
    return _guarded(lambda: _compose_and_call(verb, arguments), verb, arguments)


def _compose_and_call(verb: str, typed: list[str]) -> None:
    import hydra

    ensure_home()
    prepare_hydra()
    arguments = on_run(prepared(verb, typed), verb)
    sweeping = is_sweep(arguments)
    # Without this variable, Hydra prints its own shortened traceback instead of raising.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [sys.argv[0], *flags_first(quote_values(arguments, sweeping))]

    if verb != "train":
        refuse_launcher(f"ganforge {verb}")
    elif sweeping:
        refuse_launcher("a sweep (-m)")
    LOAD.watch()
    failures: list[BaseException] = []

    def task(cfg: DictConfig) -> Any:
        if sweeping:
            return _call_in_sweep(verb, cfg)
        try:
            return _call(verb, cfg)
        except BaseException as error:  # raised again below, without Hydra's handling
            failures.append(error)

    if sweeping:
        _resume_collection()  # this process starts the jobs, and lives as long as all of them
    with composed_once(verb, arguments, sweeping):
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=verb)(task)()
    if failures:
        raise failures[0]


def _resume_collection() -> None:
    """Collects garbage again, except what was imported since :mod:`ganforge.start` disabled it."""
    if not gc.isenabled():
        gc.freeze()
        atexit.register(gc.unfreeze)  # nanobind would report frozen objects as leaked
        gc.enable()


def _call(verb: str, cfg: DictConfig) -> Any:
    """Calls the function of a verb with its configuration or request."""
    check_root(cfg, verb)
    refuse_idle_launcher()
    module, function = VERBS[verb]
    request = cfg if verb == "train" else requested(cfg)
    call = getattr(importlib.import_module(module), function)
    _resume_collection()
    return call(request)


def _call_in_sweep(verb: str, cfg: DictConfig) -> Any:
    """Calls the function of a verb in a job of a sweep, and reports a failure at once.

    Raises:
        KeyboardInterrupt: the job was interrupted, which ends the whole sweep. After any other
            error, Hydra runs the remaining jobs and fails at the end.
    """
    try:
        return _call(verb, cfg)
    except InterruptionError as error:
        # The rest of the message says how to resume a single run.
        reason = str(error).partition("; ")[0]
        raise KeyboardInterrupt(
            f"{reason}; to resume the sweep, add resume=auto to the same command"
        ) from error
    except BaseException as error:
        _print_job(error)
        raise


def _print_job(error: BaseException) -> None:
    """Reports a failed job of a sweep at once; Hydra only reports the first one, at the end."""
    from hydra.core.hydra_config import HydraConfig

    from ganforge.config.command import Command
    from ganforge.runs.sweep_record import named_job

    # Reported elsewhere: the search reports why it pruned a trial, rank 0 reports what ended the
    # other processes, and the sweep reports Ctrl-C.
    if isinstance(error, PrunedError | FollowedError | KeyboardInterrupt):
        return
    command = Command.read(HydraConfig.get(), "")
    folder = Path(str(command.folder or command.job))
    message = explained(error) or described(error)
    print(safe_lines(f"{named_job(folder)} failed: {message}"), file=sys.stderr)


def _guarded(call: Callable[[], None], verb: str, arguments: list[str]) -> int:
    try:
        call()
    except GanforgeError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt as error:  # in a sweep, its cause is the signal that ended the job
        code = getattr(error.__cause__, "exit_code", 130)
        return _fail(str(error) or "interrupted", code)
    except Exception as error:
        # PyTorch's compiler wraps whatever is raised while it works.
        if (interruption := _interruption_in(error)) is not None:
            return _fail(str(interruption), interruption.exit_code)
        from ganforge.config.explanations import explain

        if (message := explain(error, verb, arguments)) is not None:
            return _fail(message, 2)
        more = "\n(traceback: GANFORGE_DEBUG=1)"
        return _fail(explained(error) or f"{described(error)}{more}", 1)
    return 0


def _interruption_in(error: BaseException | None) -> InterruptionError | None:
    """Returns the interruption that PyTorch's compiler has wrapped in an error, if it has."""
    # An error of any other origin, such as a full disk while a run is saved, is what it says.
    while error is not None and type(error).__module__.startswith("torch."):
        error = error.__cause__ or error.__context__
    return error if isinstance(error, InterruptionError) else None


def _fail(message: str, code: int) -> int:
    if os.environ.get("GANFORGE_DEBUG"):
        traceback.print_exc()
    # If a launcher started several processes, all find the same fault; only the first reports it.
    if message and (code != 2 or is_first()):
        print(f"ganforge: {safe_lines(message)}", file=sys.stderr)
    return code


def _completed_verb() -> str:
    """Removes the verb from the line being completed and returns it; Hydra only knows overrides."""
    words = os.environ.get("COMP_LINE", "").split(" ")
    if len(words) > 1 and words[1] in VERBS:
        verb = words.pop(1)
        os.environ["COMP_LINE"] = " ".join(words)
        point = int(os.environ.get("COMP_POINT", "0")) - len(verb) - 1
        os.environ["COMP_POINT"] = str(max(point, 0))
        return verb
    return "train"
