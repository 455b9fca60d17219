"""The API over HTTP: verbs on the store, with the checks that a real server makes before it writes."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.kubernetes import defaults, pod_security, validation
from tests.fakes.kubernetes.api_errors import ApiError, Json, bad_request, forbidden, internal, invalid
from tests.fakes.kubernetes.decoding import check_fields, decode
from tests.fakes.kubernetes.disruption import Disruptions
from tests.fakes.kubernetes.exec_channels import Execs
from tests.fakes.kubernetes.faults import Faults
from tests.fakes.kubernetes.kubelet import Kubelet
from tests.fakes.kubernetes.patching import apply_patch
from tests.fakes.kubernetes.resources import NAMESPACES, PODS, SERVICE_ACCOUNTS, ApiTarget, parse_path
from tests.fakes.kubernetes.selectors import matches
from tests.fakes.kubernetes.store import ObjectStore, now_text
from tests.fakes.kubernetes.watches import Watches

_MAX_BODY = 3 * 1024**2
"""The limit of the real server for a request."""

Serve = Callable[[web.Request, ApiTarget], Awaitable[web.StreamResponse]]


class FakeApi:
    """Serves one cluster. token: what callers must present."""

    def __init__(
        self, store: ObjectStore, kubelet: Kubelet, faults: Faults, watches: Watches, execs: Execs, token: str
    ) -> None:
        self.store = store
        self.kubelet = kubelet
        self.faults = faults
        self.watches = watches
        self.execs = execs
        self.disruptions = Disruptions(store, kubelet)
        self.denied: set[tuple[str, str]] = set()
        """(verb, resource) that the caller may not; subresources behind a slash."""
        self._token = token

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.path in ("/version", "/readyz", "/livez", "/healthz"):
                return _version() if request.path == "/version" else web.Response(text="ok")
            if request.headers.get("Authorization") != f"Bearer {self._token}":
                raise ApiError(401, "Unauthorized", "Unauthorized")
            target = parse_path(request.path)
            await self.faults.before(request, target)
            self._authorise(request, target)
            response = await self._dispatch(request, target)
            if not response.prepared:
                await self.faults.after(request, target)
            return response
        except ApiError as error:
            return web.json_response(error.status, status=error.code, headers=error.headers)

    def _authorise(self, request: web.Request, target: ApiTarget) -> None:
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        read = "get" if target.name else "watch" if _is_watch(request) else "list"
        verb = "create" if target.subresource == "exec" else verbs.get(request.method, read)
        name = "/".join(part for part in (target.resource.plural, target.subresource) if part)
        if (verb, name) in self.denied:
            cause = (
                f'User "danube" cannot {verb} resource "{name}" in API group "{target.resource.group}"'
                f' in the namespace "{target.namespace}"'
            )
            raise forbidden(target.resource.qualified, target.name, cause)

    async def _dispatch(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        if target.subresource:
            serve = {
                "exec": self._exec,
                "eviction": self._evict,
                "ephemeralcontainers": self._patch,
                "status": self._patch,
                "log": self._log,
            }.get(target.subresource)
            if serve is None:
                raise ApiError(404, "NotFound", "the server could not find the requested resource")
            return await serve(request, target)
        if request.method == "GET":
            if _is_watch(request):
                return await self.watches.serve(request, target)
            return web.json_response(self._get(target) if target.name else self._list(request, target))
        serves: dict[str, Serve] = {
            "POST": self._create,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete if target.name else self._delete_all,
        }
        if request.method not in serves:
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return await serves[request.method](request, target)

    def _get(self, target: ApiTarget) -> Json:
        return self.store.get(target.resource, target.namespace, target.name)

    def _list(self, request: web.Request, target: ApiTarget) -> Json:
        labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        found = [
            one for one in self.store.list_objects(target.resource, target.namespace) if matches(one, labels, fields)
        ]
        metadata: Json = {"resourceVersion": str(self.store.version)}
        if limit := int(request.query.get("limit", 0)):
            start = int(base64.b64decode(request.query.get("continue", "")) or 0)
            if len(found) > start + limit:
                metadata["continue"] = base64.b64encode(str(start + limit).encode()).decode()
                metadata["remainingItemCount"] = len(found) - start - limit
            found = found[start : start + limit]
        kind = f"{target.resource.kind}List"
        return {"kind": kind, "apiVersion": target.resource.api_version, "metadata": metadata, "items": found}

    async def _create(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        resource = target.resource
        validation_level = request.query.get("fieldValidation", "Warn")
        made = decode(await request.read(), resource.kind, resource.api_version, validation_level)
        metadata = made.setdefault("metadata", {})
        if resource.namespaced:
            if metadata.setdefault("namespace", target.namespace) != target.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            self._check_namespace(target, metadata)
        for field in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
            metadata.pop(field, None)
        self._prepare(made)
        validation.check_new(made)
        if request.query.get("dryRun") == "All":
            return web.json_response(made, status=201)
        stored = self.store.create(resource, made)
        if resource is NAMESPACES:
            account = {"name": "default", "namespace": stored["metadata"]["name"]}
            made = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": account}
            self.store.create(SERVICE_ACCOUNTS, made)
        return web.json_response(stored, status=201)

    def _check_namespace(self, target: ApiTarget, metadata: Json) -> None:
        found = self.store.get(NAMESPACES, "", target.namespace)
        if found["metadata"].get("deletionTimestamp"):
            cause = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            raise forbidden(target.resource.qualified, metadata.get("name", ""), cause)

    def _prepare(self, made: Json) -> None:
        """Defaults and admission of a new object."""
        if made["kind"] == "Namespace":
            made.setdefault("spec", {"finalizers": ["kubernetes"]})
            made["status"] = {"phase": "Active"}
            made["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = made["metadata"]["name"]
        elif made["kind"] == "Secret":
            for key, value in (made.pop("stringData", None) or {}).items():
                made.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
            made.setdefault("type", "Opaque")
        elif made["kind"] == "Pod":
            made.setdefault("spec", {})
            defaults.set_pod_defaults(made)
            namespace = made["metadata"]["namespace"]
            account = self.store.find(SERVICE_ACCOUNTS, namespace, made["spec"]["serviceAccountName"])
            defaults.require_service_account(made, account is not None)
            pod_security.admit(self.store.get(NAMESPACES, "", namespace), made)
            self.disruptions.check_quota(made)

    async def _replace(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        resource = target.resource
        level = request.query.get("fieldValidation", "Warn")
        made = decode(await request.read(), resource.kind, resource.api_version, level)
        before = self._get(target)
        made["metadata"].setdefault("namespace", target.namespace)
        return web.json_response(self._write(target, before, made))

    async def _patch(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        before = self._get(target)
        body = await request.read()
        made = body and apply_patch(request.content_type, before, body)
        if not isinstance(made, dict):
            raise bad_request("the patch is not an object")
        level = request.query.get("fieldValidation", "Warn")
        made = check_fields(made, target.resource.kind, target.resource.api_version, level)
        return web.json_response(self._write(target, before, made))

    def _write(self, target: ApiTarget, before: Json, made: Json) -> Json:
        """Store a changed object: only the part that the path's subresource is for may change."""
        if target.subresource == "status":
            made = {**before, "status": made.get("status", {}), "metadata": made["metadata"]}
        elif target.subresource == "ephemeralcontainers":
            made = self._with_ephemeral(before, made)
        elif target.resource is PODS:
            made["status"] = before["status"]
            validation.check_pod_update(before, made)
        if before["metadata"].get("deletionTimestamp"):
            new = set(made["metadata"].get("finalizers") or []) - set(before["metadata"].get("finalizers") or [])
            if new:
                field = "metadata.finalizers"
                sentence = (
                    "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers"
                    f" []string{{{', '.join(json.dumps(name) for name in sorted(new))}}}"
                )
                finding = (field, "FieldValueForbidden", sentence)
                raise invalid(target.resource.kind, target.name, [finding])
        stored = self.store.update(target.resource, made)
        if stored["metadata"].get("deletionTimestamp") and not stored["metadata"].get("finalizers"):
            self._finish(target, stored)
        return stored

    def _with_ephemeral(self, before: Json, made: Json) -> Json:
        """The pod with the ephemeral containers of a patch, which can only be added."""
        old = before["spec"].get("ephemeralContainers") or []
        new = made["spec"].get("ephemeralContainers") or []
        if new[: len(old)] != old:
            field = "spec.ephemeralContainers"
            sentence = "Forbidden: existing ephemeral containers may not be removed or changed"
            raise invalid("Pod", before["metadata"]["name"], [(field, "FieldValueForbidden", sentence)])
        for container in new[len(old) :]:
            defaults.set_container_defaults(container)
            container.setdefault("resources", {})
        after = {**before, "metadata": made["metadata"], "spec": {**before["spec"], "ephemeralContainers": new}}
        validation.check_ephemeral(after)
        pod_security.admit(self.store.get(NAMESPACES, "", before["metadata"]["namespace"]), after)
        return after

    async def _delete(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        options: Json = json.loads(await request.read() or b"{}")
        found = self._get(target)
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != found["metadata"]["uid"]:
            cause = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found['metadata']['uid']}"
            raise ApiError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {target.resource.qualified} "{target.name}": {cause}',
            )
        grace = request.query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
        return web.json_response(self.delete(target, int(grace) if grace is not None else None))

    def delete(self, target: ApiTarget, grace_seconds: int | None = None) -> Json:
        """Delete an object: at once, or when its finalizers are removed and its processes have ended."""
        found = self._get(target)
        metadata, is_pod = found["metadata"], target.resource is PODS
        grace = (
            (found["spec"]["terminationGracePeriodSeconds"] if grace_seconds is None else grace_seconds)
            if is_pod
            else 0
        )
        bound = is_pod and found["spec"].get("nodeName") and metadata["uid"] in self.kubelet.workers
        metadata.setdefault("deletionTimestamp", now_text())
        metadata["deletionGracePeriodSeconds"] = min(grace, metadata.get("deletionGracePeriodSeconds", grace))
        stored = self.store.update(target.resource, found)
        if not bound or grace == 0:
            self._finish(target, stored, forced=grace == 0)
        return stored

    def _finish(self, target: ApiTarget, stored: Json, *, forced: bool = False) -> None:
        """Remove what is deleted and held by nothing. forced: without waiting for the kubelet."""
        metadata = stored["metadata"]
        if metadata.get("finalizers") or self.store.find(target.resource, target.namespace, target.name) is None:
            return
        if target.resource is PODS and not forced and metadata["uid"] in self.kubelet.workers:
            return
        self.store.remove(target.resource, target.namespace, target.name)

    async def _delete_all(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        found = self._list(request, target)
        for one in found["items"]:
            self.delete(ApiTarget(target.resource, one["metadata"].get("namespace", ""), one["metadata"]["name"]))
        return web.json_response(found)

    async def _evict(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        body = decode(await request.read(), "Eviction", "policy/v1", request.query.get("fieldValidation", "Warn"))
        self.disruptions.check_budget()
        grace = (body.get("deleteOptions") or {}).get("gracePeriodSeconds")
        self.disruptions.mark(target, "EvictionByEvictionAPI", "Eviction API: evicting")
        self.delete(target, grace)
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return web.json_response(status, status=201)

    async def _exec(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        pod = self._get(target)
        names = [
            one["name"]
            for key in ("initContainers", "containers", "ephemeralContainers")
            for one in pod["spec"].get(key) or []
        ]
        name = request.query.get("container") or pod["spec"]["containers"][0]["name"]
        if name not in names:
            raise bad_request(f"container {name} is not valid for pod {target.name}")
        if self.kubelet.lost:
            address = f"{self.kubelet.address}:10250"
            raise internal(f"error dialing backend: dial tcp {address}: connect: no route to host")
        process = self.kubelet.container(pod, name)
        if process is None:
            raise internal(f'unable to upgrade connection: container not found ("{name}")')
        return await self.execs.serve(request, process, request.query.getall("command", []))

    async def _log(self, request: web.Request, target: ApiTarget) -> web.StreamResponse:
        pod = self._get(target)
        process = self.kubelet.container(pod, request.query.get("container") or pod["spec"]["containers"][0]["name"])
        return web.Response(text=process.plan.output.read_text(errors="replace") if process is not None else "")


def _is_watch(request: web.Request) -> bool:
    return request.method == "GET" and request.query.get("watch") in ("true", "1")


def _version() -> web.Response:
    found: dict[str, Any] = {"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"}
    return web.json_response(found)
