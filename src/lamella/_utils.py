"""Private names of Starlette 1.10 that other packages import, where they look for them.

Floor 2. They are defined elsewhere; nothing else imports them from here.
"""

from lamella._inspect import is_async_callable
from lamella._paths import get_route_path
from lamella.concurrency import create_collapsing_task_group

__all__ = ["create_collapsing_task_group", "get_route_path", "is_async_callable"]
