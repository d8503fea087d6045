"""The variables that Ray reads when it is imported; set before that, hence a file of its own."""

import os
import secrets


def prepare_for_ray(address: str | None) -> None:
    """Environment for joining `address`, or for a cluster of our own where it is None; what the user set stays."""
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray leaves one in the home folder
