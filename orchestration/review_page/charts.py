"""What the page's charts show, in the words of Apache ECharts."""

import math
from collections.abc import Sequence

import numpy as np

from models.emotion.labels import EMOTIONS
from models.expression.contract import expression_names

# Legible on a light page and on a dark one.
INK, GRID = "#8a8f98", "#8a8f9855"
BLUE, ORANGE, GREEN = "#3b82c4", "#d98c5f", "#4c9f70"
# Standard deviations of a coefficient that fill a bar.
FULL_BAR = 3.0
MOST_POINTS = 300


def residual_chart(times: np.ndarray, residual: np.ndarray) -> dict:
    """The residual of a fit over time: times (F,) s, residual (F,) over the inter-ocular distance, NaN left open."""
    stride = -(-len(times) // MOST_POINTS)
    # Of several frames that share a point, the worst is shown: it is what a reviewer looks for.
    points = []
    for first in range(0, len(times), stride):
        part = np.asarray(residual[first : first + stride], float)
        worst = first + int(np.nan_to_num(part, nan=-1.0).argmax())
        value = 100 * float(residual[worst])
        points.append([round(float(times[worst]), 3), round(value, 3) if math.isfinite(value) else None])
    return {
        "animation": False,
        "grid": {"left": 44, "right": 12, "top": 24, "bottom": 24},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "value",
            "max": "dataMax",
            "axisLabel": {"formatter": "{value} s", "showMaxLabel": False} | _ink,
            **_lines,
        },
        "yAxis": {"type": "value", "name": "residual, %", "nameTextStyle": _ink, "axisLabel": _ink, **_lines},
        "series": [
            {"type": "line", "data": points, "symbolSize": 5, "color": BLUE, "lineStyle": {"width": 1.5}, "name": "%"}
        ],
    }


def probability_chart(probabilities: Sequence[float]) -> dict:
    """Probabilities (7,) of the emotions as bars, in the order of `EMOTIONS` from above."""
    best = int(np.argmax(probabilities))
    bars = [
        {"value": round(100 * float(share), 1), "itemStyle": {"color": GREEN if place == best else BLUE}}
        for place, share in enumerate(probabilities)
    ]
    return {
        "animation": False,
        "grid": {"left": 80, "right": 48, "top": 4, "bottom": 4},
        "xAxis": {"type": "value", "min": 0, "max": 100, "show": False},
        "yAxis": {"type": "category", "data": list(EMOTIONS), "inverse": True, "axisLabel": _ink} | _bare,
        "series": [
            {
                "type": "bar",
                "data": bars,
                "barWidth": "60%",
                "label": {"show": True, "position": "right", "formatter": "{c} %", **_ink},
            }
        ],
    }


def expression_chart(expression: np.ndarray) -> dict:
    """Coefficients (n_e,) in standard deviations as bars to both sides; what exceeds 3 fills its side."""
    bars = [
        {
            "value": round(float(np.clip(value, -FULL_BAR, FULL_BAR)), 2),
            "itemStyle": {"color": ORANGE if value >= 0 else BLUE},
        }
        for value in expression
    ]
    return {
        "animation": False,
        "grid": {"left": 32, "right": 8, "top": 12, "bottom": 40},
        "xAxis": {
            "type": "category",
            "data": expression_names(len(bars)),
            "axisLabel": {"interval": 0, "rotate": 90, "fontSize": 10} | _ink,
            "axisLine": {"onZero": True, "lineStyle": {"color": INK}},
            "axisTick": {"show": False},
        },
        "yAxis": {"type": "value", "min": -FULL_BAR, "max": FULL_BAR, "axisLabel": _ink, **_lines},
        "series": [{"type": "bar", "data": bars, "barWidth": "70%"}],
        "tooltip": {"trigger": "axis"},
    }


_ink = {"color": INK}
_lines = {"splitLine": {"lineStyle": {"color": GRID}}}
_bare = {"axisLine": {"show": False}, "axisTick": {"show": False}}
