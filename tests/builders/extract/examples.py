"""How many examples a property is tried with: few in each test run, more under `make fuzz`."""

import os

from hypothesis import HealthCheck, settings


def examples(number: int) -> settings:
    """Return the decorator for a property that is slower than most.

    `PROPERTY_EXAMPLES` multiplies the number.
    """
    return settings(
        max_examples=number * int(os.environ.get("PROPERTY_EXAMPLES", "1")),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
