"""Chooses the engine of a new server: the one chosen by name, or the first of the automatic ones that is available."""

from __future__ import annotations

from collections.abc import Iterable

from tfserve.defaults import AUTO, EngineChoice, PullPolicy
from tfserve.engines.base import Planner
from tfserve.engines.kinds import EngineKind, Prepared
from tfserve.engines.registry import automatic_kinds, engine_kind
from tfserve.errors import EngineUnavailableError, ImageError, TfserveError, Wording
from tfserve.gpu.machine import Host
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.preflight import check_models
from tfserve.progress import Progress
from tfserve.spec.serve import ServeSpec

__all__ = ["check_spec", "choose_engine", "host_for", "planner_without_engine"]


def check_spec(
    spec: ServeSpec, choice: EngineChoice, progress: Progress, *, download: bool = True, addresses: bool = False
) -> tuple[ModelDirectory, ...]:
    """Refuses what cannot be served, before anything is started; see `check_models`.

    Args:
        spec: what was requested.
        choice: which engine was chosen.
        progress: reports downloads.
        download: whether to download models; otherwise only those on this machine are checked and returned.
        addresses: whether to return the others as well, of which only the address is known; see `check_models`.

    Returns:
        The models of `spec` that are on this machine, in its order.

    Raises:
        TfserveError: the chosen engine does not support something in `spec`, or a model cannot be served.
    """
    if choice != AUTO:
        engine_kind(choice).refuse_unsupported(spec)
    return check_models(spec, progress, download=download, addresses=addresses)


def host_for(servers: Iterable[tuple[ServeSpec, EngineChoice]]) -> Host:
    """Describes this machine for the launch of these servers; starts to probe its GPUs if that may be needed."""
    choices = {choice for spec, choice in servers if spec.wants_gpu is not False}
    kinds = [*(automatic_kinds() if AUTO in choices else ()), *map(engine_kind, choices - {AUTO})]
    return Host(probe_gpus=any(kind.may_use_gpus() for kind in kinds))


def choose_engine(
    spec: ServeSpec, choice: EngineChoice, pull: PullPolicy | None, progress: Progress, host: Host
) -> Prepared:
    """Chooses the engine for `spec` and prepares it; afterwards it has the image.

    Args:
        spec: what was requested.
        choice: which engine was chosen.
        pull: when to pull the image; None to do without it, for a plan that is only shown.
        progress: reports which engine is used if not the first one.
        host: this machine.

    Returns:
        The engine, and whether the server is to use a GPU.

    Raises:
        EngineUnavailableError: no suitable engine is available.
        ImageError: the engine has no image and cannot get it, and no other engine is available.
        GpuError: a GPU was requested and cannot be used.
    """
    suitable = [kind for kind in automatic_kinds() if kind.supports(spec)]
    if choice == AUTO:
        first, *others = suitable
    else:
        first, others = engine_kind(choice), [kind for kind in suitable if kind.name != choice]
    try:
        if choice == AUTO and others and not first.is_configured():
            raise EngineUnavailableError(f"{first.title} was not found.", hint=first.how_to_use())
        return first.prepare(spec, pull, progress, host)
    except (EngineUnavailableError, ImageError) as error:
        if choice == AUTO:
            for kind in others:
                if kind.is_installed():
                    progress.notice(
                        Wording("{problem} Serving with {title} instead.", problem=error.wording, title=kind.title)
                    )
                    return kind.prepare(spec, pull, progress, host)
        if not others:
            raise
        raise _with_alternatives(error, first, others, tried=choice == AUTO) from error


def _with_alternatives(
    error: TfserveError, first: EngineKind, others: list[EngineKind], *, tried: bool
) -> TfserveError:
    """Adds to an error of the first engine how to use the others; they are not installed if `tried`."""
    problem, hint = error.wording, error.hint_wording or first.how_to_use()
    for kind in others:
        if tried:
            problem = Wording("{problem} Nor is {title} installed.", problem=problem, title=kind.title)
        hint = Wording("{hint}\nOr serve with {title}: {how}", hint=hint, title=kind.title, how=kind.how_to_use())
    return type(error)(problem, hint=hint, details=error.details, doctor=error.doctor)


def planner_without_engine(choice: EngineChoice) -> Planner | None:
    """Plans as the chosen engine would, if that is possible without connecting to it; None otherwise."""
    return None if choice == AUTO else engine_kind(choice).planner_without_engine()
