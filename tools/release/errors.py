"""What stops a release."""


class ReleaseError(Exception):
    """The release can't go on; the message says why, and what to do."""
