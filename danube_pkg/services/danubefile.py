"""The outline of a pipeline's danubefile at its branch's head, for the pipeline's page; the file is not executed."""

from collections import OrderedDict

from danube_pkg.core.danubefile import Outline, read_danubefile
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.repositories.ports import SourceFiles, Sources
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import Record

MAX_KNOWN = 500
"""Cached outlines of commits: when a page is opened again, only the branch's head is looked up."""


class PipelineOutline(Record):
    """outline: None where the file has none; then findings say why."""

    revision: Revision
    outline: Outline | None
    findings: tuple[Invalid, ...]


class Outlines:
    """Reads and caches outlines. `sources` and `files` read the same repositories."""

    def __init__(self, sources: Sources, files: SourceFiles) -> None:
        self._sources = sources
        self._files = files
        self._known: OrderedDict[tuple[str, str, str], PipelineOutline] = OrderedDict()

    async def outline(self, pipeline: Pipeline, ref: str = "") -> PipelineOutline:
        """The outline at the head of `ref`, or of the default branch. Raises Permanent, Unavailable for the source."""
        repository, script = pipeline.settings.repository, pipeline.settings.script
        revision = await self._sources.resolve(repository, ref)
        key = (repository, revision.commit_sha, script)
        if revision.commit_sha and key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = await self._files.read_files(repository, revision.commit_sha, [script])
        findings = Findings()
        outline = None
        if not found or found[0].is_link:
            findings.add(
                SourceLocation(script),
                "the repository has no such file",
                hint="make one: danube init, or name it: script",
            )
        else:
            outline = read_danubefile(found[0].data, script, findings)
        answer = PipelineOutline(revision, outline, findings.sorted())
        if revision.commit_sha:
            self._known[key] = answer
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return answer
