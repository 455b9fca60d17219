"""Job logs as files: `logs/<job_id>.log` beside its index. Nothing here knows the state of jobs or a runtime."""

from danube_pkg.adapters.logs.files import FileJobLogs

__all__ = ["FileJobLogs"]
