"""Table II of the paper with what this machine takes beside it."""

# Seconds per image, as published (paper, Table II; a Tesla V100 and a Xeon E5-1660).
PUBLISHED = {"ITW": 6.4, "SfM 3DMM": 3.0, "3DDFA": 0.6, "ExpNet": 0.088, "DeepExp3D": 0.02}
OURS = {"resnet50": "DeepExp3D, ResNet-50, 8 bits", "small": "DeepExp3D, small, 8 bits"}
PEERS = {
    "mediapipe_blendshapes_ms": "MediaPipe Face Landmarker with blendshapes",
    "per_image_fit_ms": "3DMM fit of one image",
    "per_frame_baseline_ms": "per-frame linear fit [31]",
    "eos_ms": "eos, fit_shape_and_pose",
}
STEPS = ("decode", "landmarks", "align", "network", "pose", "classifier")


def table_two(figures: dict[str, float]) -> str:
    """Seconds an image of everybody, and the steps of ours."""
    rows = [("published, V100", f"{name}", seconds) for name, seconds in PUBLISHED.items()]
    for name, words in OURS.items():
        mark = " (untrained stand-in)" if figures[f"{name}_random_weights"] else ""
        rows.append(("here, video", words + mark, 1 / figures[f"{name}_fps"]))
        rows.append(("here, camera", words + mark, figures[f"{name}_frame_ms"] / 1e3))
        rows.append(("here, photograph", words + mark, figures[f"{name}_photograph_ms"] / 1e3))
    rows += [("here", words, figures[key] / 1e3) for key, words in PEERS.items() if key in figures]
    lines = [f"{'measured':<18}{'method':<58}{'seconds an image':>18}"]
    lines += [f"{where:<18}{method:<58}{seconds:>18.4f}" for where, method, seconds in rows]
    lines += ["", f"{'step, ms':<34}" + "".join(f"{step:>12}" for step in STEPS)]
    for name, words in OURS.items():
        lines.append(f"{words:<34}" + "".join(f"{figures[f'{name}_{step}_ms']:>12.2f}" for step in STEPS))
    return "\n".join(lines)
