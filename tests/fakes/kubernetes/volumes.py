"""The volumes of a pod as directories of this machine."""

import base64
from collections.abc import Mapping
from pathlib import Path

from tests.fakes.kubernetes.api_errors import Json
from tests.fakes.kubernetes.processes import ProcessMount
from tests.fakes.kubernetes.quantities import amount
from tests.fakes.kubernetes.resources import CONFIG_MAPS, SECRETS
from tests.fakes.kubernetes.store import ObjectStore


class NotMounted(Exception):
    """A volume that cannot be had yet; the argument is the kubelet's sentence."""


def make_volumes(store: ObjectStore, pod: Json, directory: Path) -> dict[str, Path]:
    """The directories by the name of their volume. Raises NotMounted."""
    made = {}
    for volume in pod["spec"].get("volumes") or []:
        path = directory / volume["name"]
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        if "secret" in volume:
            _write_files(path, _secret_of(store, pod, volume), volume["secret"].get("defaultMode", 0o644))
        elif "configMap" in volume:
            _write_files(path, _config_of(store, pod, volume), 0o644)
        made[volume["name"]] = path
    return made


def _secret_of(store: ObjectStore, pod: Json, volume: Json) -> dict[str, bytes]:
    name, namespace = volume["secret"]["secretName"], pod["metadata"]["namespace"]
    found = store.find(SECRETS, namespace, name)
    if found is None:
        if volume["secret"].get("optional"):
            return {}
        raise NotMounted(f'MountVolume.SetUp failed for volume "{volume["name"]}" : secret "{name}" not found')
    data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    return _selected(data, volume["secret"])


def _config_of(store: ObjectStore, pod: Json, volume: Json) -> dict[str, bytes]:
    name, namespace = volume["configMap"]["name"], pod["metadata"]["namespace"]
    found = store.find(CONFIG_MAPS, namespace, name)
    if found is None:
        raise NotMounted(f'MountVolume.SetUp failed for volume "{volume["name"]}" : configmap "{name}" not found')
    return _selected({key: value.encode() for key, value in (found.get("data") or {}).items()}, volume["configMap"])


def _selected(data: dict[str, bytes], source: Json) -> dict[str, bytes]:
    """The items that the volume names, all where it names none."""
    if "items" not in source:
        return data
    return {item["path"]: data[item["key"]] for item in source["items"] if item["key"] in data}


def _write_files(path: Path, data: Mapping[str, bytes], mode: int) -> None:
    for name, content in data.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            file.chmod(0o600)
        file.write_bytes(content)
        file.chmod(mode | 0o400)


def mounts_of(container: Json, volumes: Mapping[str, Path]) -> list[ProcessMount]:
    """The mounts of a container, outer ones first."""
    made = []
    for mount in container.get("volumeMounts") or []:
        source = volumes[mount["name"]]
        if sub := mount.get("subPath"):
            source = source / sub
            source.mkdir(parents=True, exist_ok=True)
        made.append(ProcessMount(source, mount["mountPath"], writable=not mount.get("readOnly", False)))
    return sorted(made, key=lambda one: one.target.count("/"))


def excess(pod: Json, volumes: Mapping[str, Path], written: int) -> str:
    """Why the kubelet evicts a pod for what it wrote, "" where it does not. written: bytes outside of volumes."""
    total = written
    for volume in pod["spec"].get("volumes") or []:
        if "emptyDir" not in volume:
            continue
        size = size_of(volumes[volume["name"]])
        total += size
        limit = (volume["emptyDir"] or {}).get("sizeLimit")
        if limit and size > amount(limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    texts = [
        ((one.get("resources") or {}).get("limits") or {}).get("ephemeral-storage") for one in pod["spec"]["containers"]
    ]
    bounds = [amount(text) for text in texts if text]
    if len(bounds) == len(texts):
        limits = sum(bounds)
        if total > limits:
            shown = texts[0] if len(texts) == 1 else str(round(limits))
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
    return ""


def size_of(directory: Path) -> int:
    """The bytes of all files below a directory; what vanishes meanwhile is not counted."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
        except OSError:
            continue
    return total
