"""Caches at the API: listed with their hits and sizes, and removed."""

from danube_pkg.adapters.store import SqliteCaches
from danube_pkg.core.caches.cache import CacheEntry, CacheScope
from tests.edges.http.api import Api

DAY = 86400.0


async def stored(api: Api, key: str, *, days: float = 0.0, trusted: bool = True) -> CacheEntry:
    """An entry of the pipeline `app`; its bytes are not needed to list and remove it."""
    now = api.parts.store.clock.now()
    ref = "refs/heads/main" if trusted else "pull/5"
    entry = CacheEntry(
        f"id-{key}", "app", "family", "pip", key, CacheScope(ref, trusted), False, "host", "ab" * 32, 2000, "01job",
        now - days * DAY, now - days * DAY, 3,
    )  # fmt: skip
    assert await SqliteCaches(api.parts.store.database).add_entry(entry)
    return entry


async def test_caches_are_listed_and_removed(api: Api) -> None:
    api.team("core")
    api.pipeline("app", owner="core")
    alice = await api.caller("alice", core="member")
    await stored(api, "old", days=2)
    await stored(api, "new", trusted=False)
    found = (await alice.get("/api/v1/pipelines/app/caches")).json
    assert [(one["key"], one["ref"], one["trusted"], one["hits"]) for one in found["caches"]] == [
        ("new", "pull/5", False, 3),
        ("old", "refs/heads/main", True, 3),
    ]
    assert (found["size_bytes"], found["limit_bytes"]) == (4000, 10 << 30)
    removed = await alice.send("DELETE", "/api/v1/pipelines/app/caches/id-old")
    assert removed.json == {"count": 1, "freed_bytes": 2000}
    assert (await alice.send("DELETE", "/api/v1/pipelines/app/caches/id-old")).reference == "cache-unknown"
    assert (await alice.send("DELETE", "/api/v1/pipelines/app/caches")).json["count"] == 1
    assert (await alice.get("/api/v1/pipelines/app/caches")).json["caches"] == []


async def test_unused_caches_are_removed_with_old_files(api: Api) -> None:
    api.team("core")
    api.pipeline("app", owner="core")
    await api.parts.retention.check()
    await stored(api, "old", days=15)
    await stored(api, "new")
    plan = (await api.local.get("/api/v1/system/retention")).json
    assert (plan["caches"], plan["caches_bytes"]) == (1, 2000)
    run = (await api.local.post("/api/v1/system/reap", {})).json
    assert (run["caches"], run["freed_bytes"]) == (1, 2000)
    assert [one["key"] for one in (await api.local.get("/api/v1/pipelines/app/caches")).json["caches"]] == ["new"]
