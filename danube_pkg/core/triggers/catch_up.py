"""What a head that a comparison found does to a pipeline: its job is started, or it is listed for a user to start."""

from collections.abc import Callable

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.pipelines import CatchUp, PipelineSpec, TriggerKind
from danube_pkg.core.configuration.state import PipelineDefinition, State
from danube_pkg.core.repositories.urls import canonical, is_remote
from danube_pkg.core.triggers.heads import MAX_JOBS, TAGS, HeadFound
from danube_pkg.core.triggers.matching import Listed, Match, PipelineIndex, Start, includes_event, match_event

_MOVEMENTS = frozenset({TriggerKind.PUSH, TriggerKind.TAG})


def catch_up_of(spec: PipelineSpec, config: ConfigSpec) -> CatchUp:
    """The pipeline's own, or the default of all."""
    return spec.catch_up or config.catch_up


def compared_repositories(state: State) -> dict[str, str]:
    """The URLs of the repositories that are compared, by the names under which their heads are stored. A directory of
    the server's machine announces nothing, and a job of it is started by other triggers."""
    found: dict[str, str] = {}
    for one in state.pipelines.values():
        waits = any(trigger.kind in _MOVEMENTS for trigger in one.spec.triggers)
        if waits and is_remote(one.spec.repository) and catch_up_of(one.spec, state.config) is not CatchUp.OFF:
            found.setdefault(canonical(one.spec.repository).lower(), one.spec.repository)
    return found


def jobs_of(index: PipelineIndex, config: ConfigSpec) -> Callable[[HeadFound], int | None]:
    """How many jobs a head starts at most; None where it concerns no pipeline that is to catch up."""

    def count(found: HeadFound) -> int | None:
        event = found.movement
        modes = [
            catch_up_of(one.spec, config) for one in index.of_repository(found.repository) if includes_event(event, one)
        ]
        wanted = [mode for mode in modes if mode is not CatchUp.OFF]
        return wanted.count(CatchUp.BUILD) if wanted else None

    return count


def match_head(
    found: HeadFound, pipeline: PipelineDefinition, config: ConfigSpec, decided: Match | None = None
) -> Match:
    """What a head does to a pipeline that it concerns. decided: what the event of a delivery would do; None where Git
    was not asked about it."""
    usual = decided or match_event(found.movement, pipeline)
    if not isinstance(usual, Start):
        return usual
    ref = found.ref if found.ref.startswith(TAGS) else found.short_name
    start = f"danube trigger {pipeline.name} --ref {ref}"
    if found.listed:
        return Listed(pipeline.name, f"no webhook announced it, and one comparison starts {MAX_JOBS} jobs: {start}")
    if catch_up_of(pipeline.spec, config) is CatchUp.LIST:
        return Listed(pipeline.name, f"no webhook announced it, and catch_up is list: {start}")
    return usual
