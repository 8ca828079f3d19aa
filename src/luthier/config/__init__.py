"""A run's configuration: its parts, how it is read, and its JSON Schema."""

from luthier.config.data import BalanceConfig, DataConfig, SourceConfig
from luthier.config.loading import load_config, parse_config, parse_source
from luthier.config.run import (
    CheckpointConfig,
    EarlyStoppingConfig,
    EvaluationConfig,
    GenerateConfig,
    ModelConfig,
    RunConfig,
    TrainingConfig,
)
from luthier.config.split import SplitConfig, WindowsConfig
from luthier.shares import share_to_steps

__all__ = [
    "BalanceConfig",
    "CheckpointConfig",
    "DataConfig",
    "EarlyStoppingConfig",
    "EvaluationConfig",
    "GenerateConfig",
    "ModelConfig",
    "RunConfig",
    "SourceConfig",
    "SplitConfig",
    "TrainingConfig",
    "WindowsConfig",
    "load_config",
    "parse_config",
    "parse_source",
    "share_to_steps",
]
