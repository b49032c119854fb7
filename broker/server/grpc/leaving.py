"""Callers who leave: gRPC logs a traceback for each message that it can no longer send to one."""

import logging

GRPC = "grpc._cython.cygrpc"
NOT_SENT = "ExecuteBatchError"
"""gRPC's error where a connection or call ended before what was to be sent; its class is not public."""


def has_left(error: BaseException) -> bool:
    """Return whether it says that the caller had left before something could be sent or read."""
    return type(error).__name__ == NOT_SENT


class NobodyLeft(logging.Filter):
    """Keep what is not about a caller who left: that is no error, and counts as CANCELLED."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        error = record.exc_info and record.exc_info[0]
        return not (error and error.__name__ == NOT_SENT)


_nobody_left = NobodyLeft()


def keep_quiet_about_leaving() -> None:
    """Log no traceback for callers who leave; to be called once or more."""
    logging.getLogger(GRPC).addFilter(_nobody_left)
