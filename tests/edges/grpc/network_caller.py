"""A program in a pod that calls the server as a coordinator does. A fork server runs it with variables for the
address, the authority and the call's authorization; it prints JSON: how its call ended.
"""

import json
import os

import grpc
from danube._proto import coordinator_pb2 as pb
from danube._proto.coordinator_pb2_grpc import CoordinatorStub

from danube_pkg.pod.client import PROTOCOL_VERSION
from danube_pkg.pod.server_connection import ServerConnection


def main() -> int:
    connection = ServerConnection(os.environ["ADDRESS"], "", os.environ["AUTHORITY"].encode())
    authorization = os.environ["AUTHORIZATION"]
    metadata = (("authorization", authorization),) if authorization else ()
    request = pb.StartRequest(protocol_version=PROTOCOL_VERSION)
    try:
        context = CoordinatorStub(connection.channel()).Start(request, metadata=metadata, timeout=20)
        print(json.dumps({"job": context.job_id}), flush=True)
    except grpc.RpcError as error:
        trailing = dict(error.trailing_metadata() or ())  # type: ignore[arg-type,var-annotated]
        data = trailing.get("danube-problem-bin")
        problem = pb.Problem.FromString(data) if data else pb.Problem()
        print(
            json.dumps({"code": error.code().name, "reference": problem.reference, "cause": problem.cause}), flush=True
        )
    return 0
