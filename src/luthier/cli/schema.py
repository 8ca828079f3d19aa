"""`luthier schema`."""

from __future__ import annotations

import json

from luthier.cli.output import Json


def command(as_json: Json = False) -> None:
    """Print the JSON Schema of a configuration, for editors: every key with its meaning.

    Save it and put `# yaml-language-server: $schema=luthier.schema.json` on the first line of a run's YAML.
    """
    from luthier import pipeline

    print(json.dumps(pipeline.schema(), indent=2, ensure_ascii=False))
