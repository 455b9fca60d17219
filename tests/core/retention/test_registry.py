"""Which images of a registry are removed, and what belongs to them."""

from danube_pkg.core.retention.registry import (
    GRACE_SECONDS,
    ImagePolicy,
    ImageWhy,
    StoredManifest,
    plan_images,
)

NOW, DAY = 1_800_000_000.0, 86400.0
POLICY = ImagePolicy(keep_seconds=30 * DAY, keep_count=1)


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def image(letter: str, days: float, *tags: str, children: str = "", size: int = 10) -> StoredManifest:
    """A manifest that was seen first so many days ago, with one blob of its own and one that all share."""
    blobs = {digest(letter): size, "shared": 100}
    return StoredManifest(digest(letter), tags, NOW - days * DAY, tuple(digest(one) for one in children), blobs)


def removed(*manifests: StoredManifest, policy: ImagePolicy = POLICY, **wanted: object) -> list[tuple[str, ImageWhy]]:
    named = wanted.get("named", ())
    found = plan_images({"app": manifests}, policy, named, ("app",), NOW)  # type: ignore[arg-type]
    return [(one.digest[7], one.why) for one in found]


def test_old_images_are_removed_but_the_newest() -> None:
    assert removed(image("a", 90, "1"), image("b", 60, "2"), image("c", 40, "3")) == [
        ("a", ImageWhy.AGE),
        ("b", ImageWhy.AGE),
    ]
    assert removed(image("a", 90, "1"), image("b", 29, "2")) == [("a", ImageWhy.AGE)]


def test_a_protected_tag_protects_the_image_with_all_its_tags() -> None:
    policy = ImagePolicy(30 * DAY, keep_count=0, protected=("release-*", "latest"))
    assert removed(image("a", 90, "1", "release-4"), image("b", 90, "2"), policy=policy) == [("b", ImageWhy.AGE)]


def test_what_pipelines_run_in_stays() -> None:
    policy = ImagePolicy(30 * DAY, keep_count=0)
    old = (image("a", 90, "1"), image("b", 90, "2"), image("c", 90, "3"))
    assert removed(*old, policy=policy, named={("app", "1"), ("app", digest("b"))}) == [("c", ImageWhy.AGE)]


def test_more_than_the_most_are_removed_the_oldest_first() -> None:
    policy = ImagePolicy(30 * DAY, keep_count=1, most=2)
    assert removed(image("a", 3, "1"), image("b", 2, "2"), image("c", 1, "3"), policy=policy) == [("a", ImageWhy.COUNT)]


def test_the_manifests_of_an_index_go_and_stay_with_it() -> None:
    new = image("c", 1, "2", children="de")
    assert removed(image("a", 90, "1", children="bd"), image("b", 90), image("d", 90), image("e", 90), new) == [
        ("a", ImageWhy.AGE),
        ("b", ImageWhy.UNTAGGED),
    ]


def test_an_untagged_manifest_is_removed_after_a_day() -> None:
    old, new = GRACE_SECONDS / DAY + 1, 0.5
    assert removed(image("a", 1, "1"), image("b", old), image("c", new)) == [("b", ImageWhy.UNTAGGED)]


def test_an_attestation_goes_and_stays_with_its_image() -> None:
    attestations = [image("d", 90, f"sha256-{'a' * 64}"), image("e", 90, f"sha256-{'b' * 64}.sig")]
    assert removed(image("a", 90, "1"), image("b", 20, "2"), *attestations) == [
        ("a", ImageWhy.AGE),
        ("d", ImageWhy.ORPHAN),
    ]


def test_an_attestation_of_a_manifest_in_an_index_stays_with_the_index() -> None:
    attestation = image("c", 90, f"sha256-{'b' * 64}.att")
    assert removed(image("a", 1, "1", children="b"), image("b", 90), attestation) == []
    assert removed(image("a", 90, "1", children="b"), image("b", 90), attestation, image("d", 1, "2")) == [
        ("a", ImageWhy.AGE),
        ("b", ImageWhy.UNTAGGED),
        ("c", ImageWhy.ORPHAN),
    ]


def test_a_pipeline_keeps_within_its_size_whatever_repositories_it_has() -> None:
    policy = ImagePolicy(30 * DAY, keep_count=1, pipeline_bytes=135)
    repositories = {
        "app": [image("a", 5, "1"), image("b", 3, "2")],
        "app/worker": [image("c", 4, "1"), image("d", 2, "2", size=15)],
        "other": [image("e", 9, "1", size=10_000)],
    }
    found = plan_images(repositories, policy, (), ("app", "other"), NOW)
    # 145 bytes with the shared blob; without the oldest 135
    assert [(one.repository, one.digest[7], one.why) for one in found] == [("app", "a", ImageWhy.SIZE)]
