"""Errors as gRPC statuses: the code of each kind, and the error itself in the trailing metadata."""

from typing import Any, NoReturn

import grpc
from danube._proto import coordinator_pb2 as pb

from danube_pkg.core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PlatformError,
    Retryable,
    TooLarge,
    Unauthenticated,
)

_CODES: tuple[tuple[type[PlatformError], grpc.StatusCode], ...] = (
    (Retryable, grpc.StatusCode.UNAVAILABLE),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Conflict, grpc.StatusCode.FAILED_PRECONDITION),
    (TooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Invalid, grpc.StatusCode.INVALID_ARGUMENT),
)

Context = Any
"""`grpc.aio.ServicerContext`, whose type parameters differ between the stubs."""


async def refuse(context: Context, error: PlatformError) -> NoReturn:
    """End the call with an error. The coordinator raises the same one again."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    problem = pb.Problem(reference=error.reference, what=error.what, cause=error.cause, hint=error.hint)
    metadata = (("danube-problem-bin", problem.SerializeToString()),)
    await context.abort(code, error.reference, trailing_metadata=metadata)
    raise AssertionError("abort raises")
