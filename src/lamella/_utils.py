"""Private names of Starlette 1.10 that other packages import, where they look for them.

Floor 2. They are defined elsewhere; nothing else imports them from here.
"""

from lamella._headers import ParsedHost
from lamella._headers import parse_host as parse_host_header
from lamella._inspect import is_async_callable
from lamella._paths import get_route_path
from lamella.concurrency import create_collapsing_task_group

__all__ = [
    "ParsedHost",
    "create_collapsing_task_group",
    "get_route_path",
    "is_async_callable",
    "parse_host_header",
]
