"""The resources that the fake serves, and the paths by which they are reached."""

from dataclasses import dataclass

from tests.fakes.kubernetes.api_errors import ApiError


@dataclass(frozen=True, slots=True)
class ApiResource:
    """A kind of objects. group: "" for the core group."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in messages: `pods`, `networkpolicies.networking.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_ALL = (
    ApiResource("namespaces", "Namespace", namespaced=False),
    ApiResource("nodes", "Node", namespaced=False),
    ApiResource("pods", "Pod"),
    ApiResource("secrets", "Secret"),
    ApiResource("configmaps", "ConfigMap"),
    ApiResource("events", "Event"),
    ApiResource("serviceaccounts", "ServiceAccount"),
    ApiResource("services", "Service"),
    ApiResource("resourcequotas", "ResourceQuota"),
    ApiResource("networkpolicies", "NetworkPolicy", "networking.k8s.io"),
    ApiResource("deployments", "Deployment", "apps"),
    ApiResource("roles", "Role", "rbac.authorization.k8s.io"),
    ApiResource("rolebindings", "RoleBinding", "rbac.authorization.k8s.io"),
    ApiResource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io", namespaced=False),
    ApiResource("clusterrolebindings", "ClusterRoleBinding", "rbac.authorization.k8s.io", namespaced=False),
)
RESOURCES = {resource.plural: resource for resource in _ALL}

PODS = RESOURCES["pods"]
EVENTS = RESOURCES["events"]
NODES = RESOURCES["nodes"]
NAMESPACES = RESOURCES["namespaces"]
SECRETS = RESOURCES["secrets"]
CONFIG_MAPS = RESOURCES["configmaps"]
SERVICE_ACCOUNTS = RESOURCES["serviceaccounts"]


@dataclass(frozen=True, slots=True)
class ApiTarget:
    """What a path names. namespace, name, subresource: "" where the path has none."""

    resource: ApiResource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_path(path: str) -> ApiTarget:
    """The target of `/api/v1/…` or `/apis/GROUP/VERSION/…`. Raises ApiError 404."""
    words = [word for word in path.split("/") if word]
    if words[:1] == ["api"]:
        group, version, rest = "", *words[1:2], words[2:]
    elif words[:1] == ["apis"] and len(words) >= 3:
        group, version, rest = words[1], words[2], words[3:]
    else:
        raise _unknown()
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] in RESOURCES:
        namespace, rest = rest[1], rest[2:]
    resource = RESOURCES.get(rest[0]) if rest else None
    if resource is None or (resource.group, resource.version) != (group, version) or len(rest) > 3:
        raise _unknown()
    return ApiTarget(resource, namespace, *rest[1:])


def _unknown() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")
