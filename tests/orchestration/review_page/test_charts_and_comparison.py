"""What charts and tables show, before any browser draws it."""

import json

import numpy as np

from models.emotion.labels import EMOTIONS
from orchestration.review_page.charts import MOST_POINTS, expression_chart, probability_chart, residual_chart
from orchestration.review_page.comparison import comparison_rows, read_evidence


def test_the_residual_is_shown_in_percent_and_open_where_there_was_no_face():
    chart = residual_chart(np.array([0.0, 0.1, 0.2]), np.array([0.01, np.nan, 0.03]))
    assert chart["series"][0]["data"] == [[0.0, 1.0], [0.1, None], [0.2, 3.0]]
    json.dumps(chart, allow_nan=False)


def test_of_a_long_video_the_worst_frame_of_each_point_is_shown():
    residual = np.full(2000, 0.01)
    residual[777] = 0.2
    points = residual_chart(np.arange(2000) / 30, residual)["series"][0]["data"]
    assert len(points) <= MOST_POINTS
    assert max(points, key=lambda point: point[1]) == [round(777 / 30, 3), 20.0]


def test_the_most_probable_emotion_stands_out():
    bars = probability_chart([0.1, 0.0, 0.0, 0.0, 0.7, 0.1, 0.1])["series"][0]["data"]
    colours = [bar["itemStyle"]["color"] for bar in bars]
    assert [bar["value"] for bar in bars][EMOTIONS.index("happy")] == 70.0
    assert colours.count(colours[EMOTIONS.index("happy")]) == 1


def test_coefficients_fill_at_most_their_side():
    bars = expression_chart(np.array([-9.0, 0.5, 4.0]))["series"][0]["data"]
    assert [bar["value"] for bar in bars] == [-3.0, 0.5, 3.0]


def found(change, verdict):
    champion = 0.1
    return {
        "challenger": champion * (1 + change),
        "champion": champion,
        "change": change,
        "low": change - 0.05,
        "high": change + 0.05,
        "verdict": verdict,
    }


FACTS = {
    "overall": found(-0.1, "better"),
    "subgroups": {"view: front": found(-0.2, "better"), "view: side": found(0.2, "worse")},
    "regressions": ["view: side"],
}


def test_flagged_subgroups_come_right_after_the_whole():
    rows = comparison_rows(FACTS)
    assert [row.pictures for row in rows] == ["all pictures", "view: side", "view: front"]
    assert [row.flagged for row in rows] == [False, True, False]
    assert rows[0].change == "-10.0 % (-15.0 to -5.0)"
    assert rows[1].verdict == "worse than tolerated"


def test_a_version_that_was_not_compared_says_why(tmp_path):
    (tmp_path / "comparison.json").write_text(json.dumps({"reason": "there is no champion yet"}))
    evidence = read_evidence(tmp_path)
    assert evidence.rows == ()
    assert evidence.why_not == "there is no champion yet"
    assert evidence.figure is None
