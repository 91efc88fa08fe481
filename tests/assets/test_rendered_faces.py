"""The stage that renders training data: whole, resumable, and clear about photographs."""

import functools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from assets import rendered_faces
from assets.morphable_model import load_model, model_path
from assets.rendered_faces import photographs_to_wear, write_rendered_faces
from assets.stage import skip_reason
from assets.workspace import Workspace
from models.errors import ImageError
from models.expression import rendered_samples
from models.expression.rendered_samples import RenderedSamples
from models.expression.shards import read_samples
from models.morphable_model import MorphableModel
from models.rendering import photographed_skin
from models.rendering.photographed_skin import PhotographedSkin
from models.rendering.settings import TrainingFaceSettings
from models.rendering.training_faces import render_training_faces

# The number of a person that nobody in these tests is trained on.
SITTER = 1000


@pytest.fixture
def project(new_project, tmp_path):
    """A project with its face model."""
    return new_project(tmp_path / "project")


@pytest.fixture(scope="module")
def finished(new_project, tmp_path_factory):
    """A project whose faces are rendered, and what the stage said about them."""
    workspace = new_project(
        tmp_path_factory.mktemp("finished") / "project",
        **{"rendered_faces.image.size": 128, "rendered_faces.image.oversampling": 1.0},
    )
    return workspace, write_rendered_faces(workspace)


@pytest.fixture
def quick(monkeypatch):
    """Let people be known by noise instead of being rendered, one person a part."""

    def samples(model, backend, subjects, *, seed, settings, skins, jpeg_quality):
        rng = np.random.default_rng([seed, *subjects])
        count = settings.images_per_subject
        images = rng.integers(0, 255, (count, 224, 224, 3), dtype=np.uint8)
        return RenderedSamples(
            images=[cv2.imencode(".jpg", image)[1].tobytes() for image in images],
            expression=rng.normal(size=(count, model.expression_size)),
            landmarks=rng.uniform(0, 224, (count, 68, 2)),
            subject=np.repeat(subjects, count),
            take=np.arange(count),
            emotion=np.array([""] * count),
            yaw=np.zeros(count),
            refused=1,
        )

    monkeypatch.setattr(rendered_samples, "render_samples", samples)
    monkeypatch.setattr(rendered_faces, "SUBJECTS_PER_JOB", 1)
    # Every part reads the face model, which takes longer than such people do.
    monkeypatch.setattr(MorphableModel, "load", functools.cache(MorphableModel.load))


@pytest.fixture(scope="module")
def portrait(prepared_project):
    """A rendered photograph (256, 256, 3) of somebody who faces the camera."""
    settings = TrainingFaceSettings(
        images_per_subject=1,
        rest=1.0,
        turned_share=0.0,
        glasses_share=0.0,
        fringe_share=0.0,
        occluder_share=0.0,
        tight_share=0.0,
        small_share=0.0,
        grey_share=0.0,
    )
    (face,) = render_training_faces(load_model(prepared_project), SITTER, seed=1, settings=settings)
    return face.image


def changed(workspace, **settings):
    """The project with other `rendered_faces` parameters."""
    params = yaml.safe_load(workspace.path("params.yaml").read_text())
    params["rendered_faces"] |= settings
    workspace.path("params.yaml").write_text(yaml.safe_dump(params))
    return Workspace.open(workspace.root)


def photographed(workspace, images, **settings):
    """The project with a folder of photographs, named by letters."""
    folder = workspace.path("portraits")
    folder.mkdir()
    for name, image in images.items():
        cv2.imwrite(str(folder / f"{name}_neutral.jpg"), image[..., ::-1])
    return changed(workspace, photographs="portraits", **settings)


def shards(workspace, split="train"):
    return workspace.data("rendered_faces", split)


def chunks(workspace):
    return {path.name: path.read_bytes() for path in sorted(workspace.data("rendered_faces").rglob("*.bin"))}


def parts(workspace):
    return sorted(workspace.data(".scratch", "rendered_faces").rglob("people-*.npz"))


@pytest.fixture
def rendered_parts(monkeypatch):
    """The jobs that are rendered, as they are."""
    render, jobs = rendered_faces.render_part, []

    def recording(job):
        jobs.append(job)
        return render(job)

    monkeypatch.setattr(rendered_faces, "render_part", recording)
    return jobs


def test_training_and_validation_faces_are_written_with_a_picture(finished):
    project, result = finished
    train, val = (list(read_samples(shards(project, split))) for split in ("train", "val"))
    refused = result.metadata["images without a detectable face"]
    assert (result.metadata["train images"], result.metadata["val images"]) == (len(train), len(val))
    # Three people and one, three images of each.
    assert len(train) + len(val) + refused == 12
    assert len(train) >= 6
    assert {sample.video_id for sample in train} <= {"render-0", "render-1", "render-2"}
    assert {sample.video_id for sample in train}.isdisjoint(sample.video_id for sample in val)
    assert {sample.frame for sample in train} <= {0, 1, 2}
    for sample in train + val:
        assert sample.image.shape == (224, 224, 3)
        assert sample.uncertainty.max() == 0
        assert np.isfinite(sample.expression).all()
    assert cv2.imread(str(result.metadata["samples"])) is not None
    assert result.metadata["skin"] == "painted"
    assert parts(project) == []


def test_two_processes_write_the_same_chunks_in_parts_of_any_size(finished, monkeypatch):
    project, _ = finished
    alone = chunks(project)
    monkeypatch.setattr(rendered_faces, "SUBJECTS_PER_JOB", 2)
    write_rendered_faces(Workspace.open(project.root, {"machine.workers": 2}))
    assert chunks(project) == alone


def test_a_killed_rendering_goes_on_with_the_finished_parts(project, quick, monkeypatch):
    write_rendered_faces(project)
    uninterrupted = chunks(project)
    render, begun = rendered_faces.render_part, []

    def dying(job):
        begun.append(job.subjects.start)
        if len(begun) == 3:
            raise KeyboardInterrupt
        render(job)

    with monkeypatch.context() as patch:
        patch.setattr(rendered_faces, "render_part", dying)
        with pytest.raises(KeyboardInterrupt):
            write_rendered_faces(project)
    assert begun == [0, 1, 2]
    assert len(parts(project)) == 2
    # The chunks of the run before stay until the new ones are whole.
    assert chunks(project) == uninterrupted
    begun.clear()

    def counting(job):
        begun.append(job.subjects.start)
        render(job)

    monkeypatch.setattr(rendered_faces, "render_part", counting)
    result = write_rendered_faces(project)
    assert begun == [2, -1]
    assert chunks(project) == uninterrupted
    # Images in which nobody was found before the run died count as well.
    assert result.metadata["images without a detectable face"] == 4


def dies_after_rendering(project, monkeypatch):
    """Let a run die with the parts of all training people rendered."""

    def no_shards(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("models.expression.shards.write_shards", no_shards)
        with pytest.raises(KeyboardInterrupt):
            write_rendered_faces(project)
    assert len(parts(project)) == 3


@pytest.mark.parametrize("change", ["settings", "face model"])
def test_parts_of_other_settings_or_of_another_face_model_are_not_used(
    project, quick, rendered_parts, monkeypatch, change
):
    dies_after_rendering(project, monkeypatch)
    rendered_parts.clear()
    if change == "settings":
        project = changed(project, seed=99)
    else:
        model = load_model(project)
        replace(model, mean=model.mean * 1.01).save(model_path(project))
    write_rendered_faces(project)
    assert [job.subjects.start for job in rendered_parts] == [0, 1, 2, -1]


def test_no_subjects_skip_the_stage_and_what_was_there_before_goes(project, quick):
    write_rendered_faces(project)
    nobody = changed(project, subjects=0)
    result = write_rendered_faces(nobody)
    assert "rendered_faces.subjects is 0" in result.skipped
    assert skip_reason(nobody, "rendered_faces") == result.skipped
    assert not shards(nobody).exists()
    write_rendered_faces(changed(nobody, subjects=1))
    assert skip_reason(nobody, "rendered_faces") is None


def test_recorded_landmarks_leave_rendered_faces_to_the_detector(project, quick, rendered_parts):
    recorded = Workspace.open(project.root, {"landmarks.backend": "recorded"})
    write_rendered_faces(recorded)
    assert {job.detector.backend for job in rendered_parts} == {"mediapipe"}


@pytest.mark.parametrize("missing", ["folder", "photographs"])
def test_photographs_that_are_not_there_are_one_error_that_names_the_parameter(project, missing):
    if missing == "photographs":
        project.path("portraits").mkdir()
        (project.path("portraits") / "anna_smile.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"portraits: .*\*neutral\*\.jpg.*rendered_faces\.photographs in params\.yaml"):
        write_rendered_faces(changed(project, photographs="portraits"))


@pytest.fixture
def unwrapped(monkeypatch):
    """Names of the photographs that are unwrapped, which goes quickly."""
    names = []

    def unwrapping(photographs, model, backend):
        names.extend(path.name[0] for path in photographs)
        return PhotographedSkin(np.full((len(names), 512, 512, 3), 128, np.uint8), tuple(names))

    monkeypatch.setattr(photographed_skin, "unwrap_photographs", unwrapping)
    return names


@pytest.mark.parametrize(("every", "kept"), [(0, "abcdefg"), (3, "abdeg")])
def test_every_so_manieth_photograph_is_held_out(project, quick, unwrapped, every, kept):
    images = dict.fromkeys("abcdefg", np.zeros((8, 8, 3), np.uint8))
    write_rendered_faces(photographed(project, images, hold_out_every=every))
    assert "".join(unwrapped) == kept


def test_holding_out_every_photograph_is_refused_with_the_cure(project):
    images = dict.fromkeys("ab", np.zeros((8, 8, 3), np.uint8))
    everything = photographed(project, images, hold_out_every=1)
    with pytest.raises(ImageError, match=r"hold_out_every of 1 leaves no photograph.*set it to 0"):
        write_rendered_faces(everything)


def test_a_folder_outside_of_the_project_may_be_named(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    photo = tmp_path / "elsewhere" / "anna_neutral.jpg"
    photo.write_bytes(b"")
    outside = changed(project, photographs=str(photo.parent))
    assert photographs_to_wear(outside, outside.params.rendered_faces) == [photo]


def test_photographs_are_unwrapped_once(project, quick, unwrapped, rendered_parts, monkeypatch):
    image = np.zeros((8, 8, 3), np.uint8)
    worn = photographed(project, {"a": image}, hold_out_every=0)
    dies_after_rendering(worn, monkeypatch)
    write_rendered_faces(worn)
    assert unwrapped == ["a"]
    assert len(rendered_parts) == 4
    assert {job.skins.name for job in rendered_parts} == {"skins.npz"}


def test_parts_that_wear_other_photographs_are_not_used(project, quick, unwrapped, rendered_parts, monkeypatch):
    image = np.zeros((8, 8, 3), np.uint8)
    worn = photographed(project, {"a": image}, hold_out_every=0)
    dies_after_rendering(worn, monkeypatch)
    rendered_parts.clear()
    cv2.imwrite(str(worn.path("portraits", "b_neutral.jpg")), image)
    write_rendered_faces(worn)
    assert unwrapped == ["a", "a", "b"]
    assert len(rendered_parts) == 4


def test_the_skin_of_photographs_with_a_face_is_worn(project, portrait, monkeypatch):
    """With the real detector, from the folder to the chunks."""
    empty = np.full_like(portrait, 90)
    worn = photographed(project, {"a": portrait, "b": empty}, hold_out_every=0, subjects=1, chunk_mb=1)
    render, dressed = rendered_samples.render_samples, []

    def watching(*arguments, skins, **others):
        dressed.append(skins)
        return render(*arguments, skins=skins, **others)

    monkeypatch.setattr(rendered_samples, "render_samples", watching)
    result = write_rendered_faces(worn)
    for skins in dressed:
        assert skins.names == ("a_neutral.jpg",)
        assert skins.textures.shape == (1, 512, 512, 3)
    assert (result.metadata["skin"], len(dressed)) == ("portraits", 2)
