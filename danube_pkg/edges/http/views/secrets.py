"""Secrets: their names and times, never their values."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time


class LastRead(Record):
    """The newest job that read a secret."""

    at: Annotated[Time, about("When it read it.")]
    job: Annotated[str, about("The job's id.")]
    pipeline: Annotated[str, about("The job's pipeline.")]


class SecretView(Record):
    """A secret without its value."""

    key: Annotated[str, about("Its name.")]
    pipeline: Annotated[str | None, about("The pipeline that may read it; null if every pipeline may.")]
    created_at: Annotated[Time, about("When it was first set.")]
    updated_at: Annotated[Time, about("When it was last set.")]
    for_server: Annotated[bool, about("True if the server itself uses it, so that no job can read it.")]
    last_read: Annotated[LastRead | None, about("The newest job that read it; null if no kept job did.")]


class SecretList(Record):
    """The secrets of a pipeline, or those that all pipelines share."""

    secrets: Annotated[tuple[SecretView, ...], about("In the order of their names.")]


class UsedSecrets(Record):
    """The secrets that a job has read."""

    keys: Annotated[tuple[str, ...], about("Their names, in the order of their first use.")]


class SecretStored(Record):
    """What the user who has set a secret should know."""

    warnings: Annotated[tuple[str, ...], about("Why logs may be hard to read: the value is short, or a word.")]
