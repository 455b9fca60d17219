"""Jobs' logs as files: `logs/<job_id>.log` beside its index. It knows no job's state and no runtime."""

from danube_pkg.adapters.logs.files import FileJobLogs

__all__ = ["FileJobLogs"]
