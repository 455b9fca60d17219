"""The objects and their history, as etcd keeps them: each change has the next resource version."""

import asyncio
import copy
import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.fakes.kubernetes.api_errors import Json, already_exists, conflict, expired, not_found
from tests.fakes.kubernetes.resources import RESOURCES, ApiResource


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One entry of the history. before: the object as it was, None for a new one. after: None for a removed one."""

    version: int
    resource: ApiResource
    before: Json | None
    after: Json | None


def now_text() -> str:
    """RFC 3339 in whole seconds, as `metav1.Time` is written."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ObjectStore:
    """All objects of the cluster. What it returns are copies. oldest: versions before it were compacted."""

    def __init__(self) -> None:
        self.version = 1
        self.oldest = 1
        self.history: list[StoredChange] = []
        self._objects: dict[tuple[str, str, str], Json] = {}
        self._names = itertools.count(1)
        self._followers: set[asyncio.Event] = set()

    @contextmanager
    def changes(self) -> Iterator[asyncio.Event]:
        """An event that is set with each change."""
        changed = asyncio.Event()
        self._followers.add(changed)
        try:
            yield changed
        finally:
            self._followers.discard(changed)

    def find(self, resource: ApiResource, namespace: str, name: str) -> Json | None:
        found = self._objects.get((resource.plural, namespace, name))
        return copy.deepcopy(found) if found is not None else None

    def get(self, resource: ApiResource, namespace: str, name: str) -> Json:
        """Raises ApiError 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource.qualified, name)
        return found

    def list_objects(self, resource: ApiResource, namespace: str = "") -> list[Json]:
        """In the order of their keys. namespace: "" for all."""
        keys = sorted(key for key in self._objects if key[0] == resource.plural and namespace in ("", key[1]))
        return [copy.deepcopy(self._objects[key]) for key in keys]

    def create(self, resource: ApiResource, made: Json) -> Json:
        """Adds what the server gives an object: name, uid, time, version. Raises ApiError 409."""
        metadata = made["metadata"]
        if not metadata.get("name"):
            metadata["name"] = f"{metadata['generateName']}{next(self._names):05x}"
        key = (resource.plural, metadata.get("namespace", ""), metadata["name"])
        if key in self._objects:
            raise already_exists(resource.qualified, metadata["name"])
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now_text())
        if "spec" in made and resource.plural != "events":
            metadata["generation"] = 1
        return self._write(resource, key, None, made)

    def update(self, resource: ApiResource, made: Json) -> Json:
        """Replaces an object, unless nothing changes. Raises ApiError 404, or 409 where the version or the uid that it
        names is not the stored one's."""
        metadata = made["metadata"]
        key = (resource.plural, metadata.get("namespace", ""), metadata["name"])
        before = self._objects.get(key)
        if before is None:
            raise not_found(resource.qualified, metadata["name"])
        stored = before["metadata"]
        if metadata.get("resourceVersion", stored["resourceVersion"]) != stored["resourceVersion"]:
            raise conflict(resource.qualified, metadata["name"])
        if metadata.get("uid", stored["uid"]) != stored["uid"]:
            cause = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {stored['uid']}"
            raise conflict(resource.qualified, metadata["name"], cause)
        metadata.update(
            {name: stored[name] for name in ("uid", "creationTimestamp", "resourceVersion") if name in stored}
        )
        if made == before:
            return copy.deepcopy(before)
        return self._write(resource, key, before, made)

    def remove(self, resource: ApiResource, namespace: str, name: str) -> Json:
        """Remove an object, and what belongs to it alone, as the garbage collector does. Raises ApiError 404."""
        key = (resource.plural, namespace, name)
        before = self._objects.get(key)
        if before is None:
            raise not_found(resource.qualified, name)
        removed = self._write(resource, key, before, None)
        for owned_key, owned in list(self._objects.items()):
            owners = owned["metadata"].get("ownerReferences") or []
            alone = owners and all(one["uid"] == removed["metadata"]["uid"] for one in owners)
            if alone and not owned["metadata"].get("finalizers"):
                self._write(RESOURCES[owned_key[0]], owned_key, owned, None)
        return removed

    def compact(self) -> None:
        """Forget the history, as etcd does every five minutes."""
        self.oldest = self.version
        self.history.clear()

    def since(self, version: int) -> list[StoredChange]:
        """The changes after a version. Raises ApiError 410 where they were compacted."""
        if version < self.oldest:
            raise expired(version, self.oldest)
        at = len(self.history)
        while at and self.history[at - 1].version > version:
            at -= 1
        return self.history[at:]

    def _write(self, resource: ApiResource, key: tuple[str, str, str], before: Json | None, after: Json | None) -> Json:
        self.version += 1
        stored = copy.deepcopy(after if after is not None else before)
        assert stored is not None
        stored["metadata"]["resourceVersion"] = str(self.version)
        if after is None:
            del self._objects[key]
            self.history.append(StoredChange(self.version, resource, stored, None))
        else:
            self._objects[key] = stored
            self.history.append(StoredChange(self.version, resource, before, stored))
        for follower in self._followers:
            follower.set()
        return copy.deepcopy(stored)
