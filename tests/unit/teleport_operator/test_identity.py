from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.authorities import add_trusted_keys
