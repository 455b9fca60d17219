"""Pod Security admission: the checks of the levels `baseline` and `restricted`, with the sentences of
`k8s.io/pod-security-admission/policy`. All violations are named at once, in the order of the real checks."""

from collections.abc import Callable, Iterator, Sequence

from tests.fakes.kubernetes.api_errors import ApiError, Json, forbidden

LABEL = "pod-security.kubernetes.io/enforce"

_BASELINE_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"),
    *("SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
_RESTRICTED_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"),
    "secret",
}
_PROFILES = ("RuntimeDefault", "Localhost")


def containers_of(spec: Json) -> Iterator[Json]:
    """Every container of a pod, in the order in which admission visits them."""
    for name in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(name) or []


def admit(namespace: Json, pod: Json) -> None:
    """Raises ApiError 403 where the namespace's level refuses the pod."""
    level = (namespace["metadata"].get("labels") or {}).get(LABEL, "privileged")
    version = (namespace["metadata"].get("labels") or {}).get(f"{LABEL}-version", "latest")
    found = violations(level, pod["spec"])
    if found:
        name = pod["metadata"].get("name") or pod["metadata"].get("generateName", "")
        raise _refusal(name, f'violates PodSecurity "{level}:{version}": {", ".join(found)}')


def _refusal(name: str, cause: str) -> ApiError:
    return forbidden("pods", name, cause)


def violations(level: str, spec: Json) -> list[str]:
    """Why a level refuses a pod; empty where it does not."""
    if level == "privileged":
        return []
    checks: list[Callable[[Json], str]] = [_host_namespaces, _host_ports, _host_paths, _privileged, _baseline_added]
    if level == "restricted":
        checks = [_escalation, *checks[:-1], _restricted_capabilities, _volumes, _non_root, _root_user, _seccomp]
    return [sentence for sentence in (check(spec) for check in checks) if sentence]


def _named(containers: Sequence[Json]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    names = ", ".join(f'"{one["name"]}"' for one in containers)
    return f"{'container' if len(containers) == 1 else 'containers'} {names}"


def _context(container: Json) -> Json:
    found: Json = container.get("securityContext") or {}
    return found


def _escalation(spec: Json) -> str:
    bad = [one for one in containers_of(spec) if _context(one).get("allowPrivilegeEscalation") is not False]
    cause = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({cause})" if bad else ""


def _host_namespaces(spec: Json) -> str:
    bad = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return f"host namespaces ({', '.join(bad)})" if bad else ""


def _host_ports(spec: Json) -> str:
    bad = [one for one in containers_of(spec) if any(port.get("hostPort") for port in one.get("ports") or [])]
    ports = [str(port["hostPort"]) for one in bad for port in one["ports"] if port.get("hostPort")]
    label = "hostPort" if len(ports) == 1 else "hostPorts"
    verb = "uses" if len(bad) == 1 else "use"
    return f"{label} ({_named(bad)} {verb} {label} {', '.join(ports)})" if bad else ""


def _host_paths(spec: Json) -> str:
    bad = [volume["name"] for volume in spec.get("volumes") or [] if "hostPath" in volume]
    names = ", ".join(f'"{name}"' for name in bad)
    return f"hostPath volumes ({'volume' if len(bad) == 1 else 'volumes'} {names})" if bad else ""


def _privileged(spec: Json) -> str:
    bad = [one for one in containers_of(spec) if _context(one).get("privileged")]
    return f"privileged ({_named(bad)} must not set securityContext.privileged=true)" if bad else ""


def _baseline_added(spec: Json) -> str:
    return _added(spec, _BASELINE_CAPABILITIES, "non-default capabilities", "")


def _added(spec: Json, allowed: set[str], title: str, rest: str) -> str:
    bad, names = [], []
    for one in containers_of(spec):
        found = set((_context(one).get("capabilities") or {}).get("add") or []) - allowed
        if found:
            bad.append(one)
            names += sorted(found)
    listed = ", ".join(f'"{name}"' for name in names)
    return f"{title} ({_named(bad)} must not include {listed} in securityContext.capabilities.add{rest})" if bad else ""


def _restricted_capabilities(spec: Json) -> str:
    bad = [
        one for one in containers_of(spec) if "ALL" not in ((_context(one).get("capabilities") or {}).get("drop") or [])
    ]
    dropped = f'{_named(bad)} must set securityContext.capabilities.drop=["ALL"]' if bad else ""
    added = _added(spec, {"NET_BIND_SERVICE"}, "unrestricted capabilities", "")
    if dropped and added:
        return added.replace(" (", f" ({dropped}; ", 1)
    return added or (f"unrestricted capabilities ({dropped})" if dropped else "")


def _volumes(spec: Json) -> str:
    bad = []
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if not kinds <= _RESTRICTED_VOLUMES:
            bad.append((volume["name"], sorted(kinds - _RESTRICTED_VOLUMES)[0]))
    if not bad:
        return ""
    names = ", ".join(f'"{name}"' for name, _ in bad)
    kinds_text = ", ".join(f'"{kind}"' for kind in sorted({kind for _, kind in bad}))
    plural = "volume" if len(bad) == 1 else "volumes"
    verb = "uses restricted volume type" if len(bad) == 1 else "use restricted volume types"
    return f"restricted volume types ({plural} {names} {verb} {kinds_text})"


def _non_root(spec: Json) -> str:
    if spec.get("hostUsers") is False:
        return ""
    pod = (spec.get("securityContext") or {}).get("runAsNonRoot")
    wrong = [one for one in containers_of(spec) if _context(one).get("runAsNonRoot") is False]
    if wrong or pod is False:
        who = [*(["pod"] if pod is False else []), *([_named(wrong)] if wrong else [])]
        return f"runAsNonRoot != true ({' and '.join(who)} must not set securityContext.runAsNonRoot=false)"
    missing = [one for one in containers_of(spec) if _context(one).get("runAsNonRoot") is None and pod is None]
    return (
        f"runAsNonRoot != true (pod or {_named(missing)} must set securityContext.runAsNonRoot=true)" if missing else ""
    )


def _root_user(spec: Json) -> str:
    if spec.get("hostUsers") is False:
        return ""
    wrong = [one for one in containers_of(spec) if _context(one).get("runAsUser") == 0]
    pod = (spec.get("securityContext") or {}).get("runAsUser") == 0
    who = [*(["pod"] if pod else []), *([_named(wrong)] if wrong else [])]
    return f"runAsUser=0 ({' and '.join(who)} must not set runAsUser=0)" if who else ""


def _seccomp(spec: Json) -> str:
    pod = ((spec.get("securityContext") or {}).get("seccompProfile") or {}).get("type")
    missing, wrong = [], []
    for one in containers_of(spec):
        own = (_context(one).get("seccompProfile") or {}).get("type")
        if own is None and pod is None:
            missing.append(one)
        elif own is not None and own not in _PROFILES:
            wrong.append(one)
    if wrong or (pod is not None and pod not in _PROFILES):
        who = [*(["pod"] if pod not in (None, *_PROFILES) else []), *([_named(wrong)] if wrong else [])]
        return f'seccompProfile ({" and ".join(who)} must not set securityContext.seccompProfile.type to "Unconfined")'
    cause = f'pod or {_named(missing)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile ({cause})" if missing else ""
