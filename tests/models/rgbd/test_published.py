"""The published figures are those of the paper's tables and are at one with what is said about them."""

from models.rgbd.pipelines import PAPER_PIPELINES, PIPELINES
from models.rgbd.published import ALL_PEOPLE, IMAGES, TABLE_1, TABLE_2


def test_table_1_has_a_row_for_each_of_the_papers_pipelines():
    assert [row.pipeline for row in TABLE_1] == list(PAPER_PIPELINES)
    assert [row.pipeline for row in TABLE_1 if row.starred] == ["depth_resnet50", "depth_vgg19"]


def test_rows_that_both_tables_have_agree():
    first = {row.pipeline: row.accuracy for row in TABLE_1}
    shared = [row for row in TABLE_2 if row.pipeline]
    assert [row.pipeline for row in shared] == ["fusion_resnet50", "fusion_vgg19"]
    assert all(first[row.pipeline] == row.accuracy for row in shared)


def test_the_argument_of_the_paper_holds_in_its_table():
    accuracy = {row.pipeline: row.accuracy for row in TABLE_1}
    for network in ("resnet50", "vgg19"):
        alone = max(accuracy["depth"], accuracy[f"rgb_{network}"])
        assert accuracy[f"fusion_{network}"] > alone > accuracy[f"depth_{network}"]


def test_every_accuracy_of_table_1_is_a_count_of_720_images():
    hits = {round(100 * right / IMAGES, 2): right for right in range(IMAGES + 1)}
    assert [hits.get(row.accuracy) for row in TABLE_1] == [440, 202, 610, 597, 585, 627, 643]


def test_the_work_with_another_protocol_is_kept_apart():
    assert ALL_PEOPLE.accuracy == 92
    assert ALL_PEOPLE not in TABLE_2
    assert ALL_PEOPLE.pipeline not in PIPELINES
