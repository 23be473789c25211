"""Controls of the config: each is one more entry of `models:`, trained anew on less of the image.

`controls: [shuffled, without_captions]` of the entry `ita` gives the runs `ita-shuffled` and
`ita-without_captions`: all of the entry but the variant. No entry of `models:` may hold a `-`.
"""

from collections.abc import Mapping
from typing import Any

from extract.core.errors import ConfigError, near_match
from train.data.variants import legal_variants

KEYS = ("controls", "control_seeds")
"""Keys of a model entry that say which controls it has; no run has them itself."""


def control_runs(models: Mapping[str, Any], model: str) -> dict[str, str]:
    """Return variant -> run id of the controls of a model entry."""
    return {variant: f"{model}-{variant}" for variant in models[model].get("controls") or ()}


def control_entries(models: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return run id -> model entry of every control.

    Raises:
        ConfigError: a control that the entry cannot have.
    """
    entries = {}
    for model, entry in models.items():
        runs = control_runs(models, model)
        if runs and entry.get("variant", "main") != "main":
            raise ConfigError(
                f"models.{model}.controls: the entry is a control itself (variant "
                f"{entry['variant']}). Give the controls to the entry of the variant main."
            )
        for variant, run in runs.items():
            _check_control(variant, entry, f"models.{model}.controls")
            entries[run] = {**without_controls(entry), "variant": variant}
            if entry.get("control_seeds") is not None:
                entries[run]["seeds"] = entry["control_seeds"]
    return entries


def without_controls(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model entry without the keys that ask for controls."""
    return {key: value for key, value in entry.items() if key not in KEYS}


def _check_control(variant: str, entry: Mapping[str, Any], where: str) -> None:
    """Refuse a control that would be the run itself, or of a role that is not read."""
    roles = entry.get("features") or {}
    if not roles:
        raise ConfigError(
            f"{where}: {entry['system']} reads no feature set, so '{variant}' would be the same "
            "run again. Take the controls away."
        )
    legal = [known for known in legal_variants(roles) if known != "main"]
    if variant not in legal:
        raise ConfigError(
            f"{where}: no control '{variant}'.{near_match(variant, legal)} {entry['system']} reads "
            f"the roles {', '.join(roles)}. Known: {', '.join(legal)}."
        )
