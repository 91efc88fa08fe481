"""FaceVid as training data: aligned faces with their expression (section III-C)."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd
from tqdm import tqdm

from assets.facevid_splits import read_splits
from assets.landmark_correspondence import load_detector_model
from assets.raw_videos import read_manifest
from assets.stage import StageResult, WorkspaceResource, main, materialise
from assets.workspace import Workspace

STAGE = "facevid_shards"


def write_facevid_shards(workspace: Workspace) -> StageResult:
    """Write train, val and test chunks of the kept videos, and a picture of some samples.

    Frames in which the detector found no face are left out: what stands there is interpolated.
    """
    from models.expression.shards import read_samples, write_shards
    from models.expression.splits import SPLITS

    settings = workspace.params.facevid_shards
    splits = read_splits(workspace)
    counts = {}
    for split in SPLITS:
        videos = splits[splits.split == split]
        if videos.empty:
            continue
        counts[split] = write_shards(
            _samples(workspace, videos, split),
            shards_folder(workspace, split),
            chunk_mb=settings.chunk_mb,
            jpeg_quality=settings.jpeg_quality,
        )
    picture = workspace.data(STAGE, "samples.jpg")
    samples_figure(list(_spread(read_samples(shards_folder(workspace, "train")), counts["train"], 24)), picture)
    return StageResult(
        {f"{split} images": count for split, count in counts.items()}
        | {
            "chunks": sum(1 for _ in workspace.data(STAGE).rglob("*.bin")),
            "megabytes": sum(file.stat().st_size for file in workspace.data(STAGE).rglob("*.bin")) / 1e6,
            "samples": picture,
        }
    )


def shards_folder(workspace: Workspace, split: str):
    return workspace.data(STAGE, split)


def samples_figure(samples: list, path) -> None:
    """A contact sheet of training images."""
    import cv2
    import numpy as np

    from models.storage import written_whole

    images = [cv2.resize(sample.image, (112, 112), interpolation=cv2.INTER_AREA) for sample in samples]
    columns = min(8, len(images))
    images += [np.full_like(images[0], 255)] * (-len(images) % columns)
    sheet = np.concatenate([np.concatenate(images[i : i + columns], 1) for i in range(0, len(images), columns)])
    with written_whole(path) as temporary:
        cv2.imwrite(str(temporary), sheet[..., ::-1])


def _samples(workspace: Workspace, videos: pd.DataFrame, split: str) -> Iterator:
    """Aligned faces of the videos, every `frame_stride`-th frame, expressions in standard deviations.

    Fits without standard deviations, made with `reconstruction.uncertainty: false`, count as exact.
    """
    import numpy as np

    from models.expression.alignment import align, template, transformed
    from models.expression.shards import Sample
    from models.fitting.reconstruction import Reconstruction
    from models.storage import load_arrays
    from models.video.decoding import read_frames

    settings = workspace.params.facevid_shards
    model = load_detector_model(workspace)
    target = template(model)
    manifest = read_manifest(workspace).set_index("video_id")
    for row in tqdm(videos.itertuples(), total=len(videos), desc=f"{split} shards", unit="video", mininterval=1.0):
        track = load_arrays(workspace.data("tracked_landmarks", row.partition, f"{row.video_id}.npz"))
        fit = Reconstruction.load(workspace.data("reconstructions", row.partition, f"{row.video_id}.npz"))
        place = {int(frame): position for position, frame in enumerate(track["frame_index"])}
        last = max(place)
        source = workspace.path(manifest.path[row.source_video])
        for frame in read_frames(source, max_side=workspace.params.landmarks.max_side):
            if frame.index > last:
                break
            position = place.get(frame.index)
            if position is None or position % settings.frame_stride:
                continue
            if track["interpolated"][position] or not np.isfinite(fit.residual[position]):
                continue
            points = frame.from_video(track["landmarks"][position])
            image, matrix = align(frame.image, points, target)
            yield Sample(
                image=image,
                expression=fit.expression[position] / model.expression_std,
                landmarks=transformed(points, matrix),
                video_id=row.video_id,
                frame=frame.index,
                uncertainty=fit.expression_std[position] / model.expression_std if len(fit.expression_std) else None,
            )


def _spread(samples: Iterator, count: int, wanted: int) -> Iterator:
    step = max(1, count // wanted)
    for place, sample in enumerate(samples):
        if place % step == 0 and place // step < wanted:
            yield sample


@dg.asset(
    name=STAGE,
    group_name="facevid",
    deps=["facevid_splits", "reconstructions", "tracked_landmarks", "raw_videos", "morphable_model"],
    kinds={"litdata", "dvc"},
)
def facevid_shards(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult:
    """Faces aligned to the 224x224 template of the mean face, with expression targets, in LitData chunks."""
    return materialise(context, workspace, write_facevid_shards)


if __name__ == "__main__":
    main(STAGE, write_facevid_shards)
