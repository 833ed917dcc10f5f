"""All causes by their code.

The texts are format strings over the facts of the observation and the context of the diagnosis (stack, service,
environment, container, secret, the commands deploy / converge / again / admin). They are the words an operator reads
at three in the morning, so they stand together.
"""

from __future__ import annotations

from .cause import Cause
from .causes_at_the_server import SERVER
from .causes_before_login import CONFIGURATION, NETWORK

CAUSES: dict[str, Cause] = {**CONFIGURATION, **NETWORK, **SERVER}
