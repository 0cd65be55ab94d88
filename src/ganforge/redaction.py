"""Text without secrets, for others to read."""

from __future__ import annotations

import re
from typing import Any

# User and password in an address such as postgresql://user:password@host/name. A password may hold
# any of /, @, : and quotes; what begins as a port does is none.
CREDENTIALS = re.compile(r'(\w://)(?:[^/\s":@]*:(?!\d+/)[^\s"]*|[^/\s"]*)@')


def redacted(value: Any) -> Any:
    """Returns plain containers, or a text, without the credentials in the addresses they hold.

    What goes to a server, or onto a page, is read by many; a study's storage may be an address with
    a password.
    """
    if isinstance(value, dict):
        return {key: redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    return CREDENTIALS.sub(r"\1", value) if isinstance(value, str) else value
