"""The machine's matrix rates in GFLOP/s by number type, the fastest of several tries, and its processor, as JSON."""

from __future__ import annotations

import json

from luthier.models.hardware import describe_processor, measure_speeds

TRIES = 5


def main() -> None:
    single, half = zip(*(measure_speeds() for _ in range(TRIES)), strict=True)
    fastest = {"float32": round(max(single), 1), "bfloat16": round(max(half), 1)}
    print(json.dumps({"machine": describe_processor(), "matrix_rate": fastest}))


if __name__ == "__main__":
    main()
