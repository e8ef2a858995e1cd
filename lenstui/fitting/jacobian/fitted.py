"""The beginning of the fit of a Jacobian lens with its text, and its end with the matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch
import transformers

from lenstui.fitting.jacobian.options import JacobianOptions
from lenstui.fitting.jacobian.prompts import FitPrompts, read_prompts
from lenstui.fitting.jacobian.state import JacobianFit
