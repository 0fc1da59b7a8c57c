"""Why an upload has no answer, as an HTTP status and a message."""

from http import HTTPStatus

STATUS = {
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "not_a_video": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "refers_elsewhere": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "no_video_stream": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "still": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "missing": HTTPStatus.SERVICE_UNAVAILABLE,
    "unreadable": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Reason of a broken video -> status, where it is not that of a damaged one (422)."""


class Refused(Exception):
    """An upload has no answer; the message says why.

    Args:
        status: HTTP status.
        reason: one word for programs; that of data/broken.tsv where the video is at fault.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = int(status), reason

    @classmethod
    def broken(cls, reason: str, words: str) -> "Refused":
        """For a file that gives no frames."""
        return cls(STATUS.get(reason, HTTPStatus.UNPROCESSABLE_ENTITY), reason, words)
