"""The command `deepexp3d`: expression and emotion of images and videos, landmarks, reconstruction, face models."""

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from models.emotion.settings import Features
from models.errors import DeepExp3DError, VideoError

app = typer.Typer(
    name="deepexp3d",
    help="From faces to expression, identity removed, to emotion.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


class Backend(StrEnum):
    """Landmark backends."""

    mediapipe = "mediapipe"
    face_alignment = "face-alignment"
    recorded = "recorded"


class Runtime(StrEnum):
    """What the network runs on."""

    auto = "auto"
    openvino = "openvino"
    onnxruntime = "onnxruntime"
    cuda = "cuda"
    tensorrt = "tensorrt"


class Calibration(StrEnum):
    """What is known of the person's face at rest."""

    none = "none"
    rest = "rest"


class ProtocolName(StrEnum):
    """How photographs, or people, are split into training and test."""

    paper = "paper"
    subject = "subject"
    redrawn = "redrawn"
    all = "all"
    tenfold = "tenfold"


class WithoutFace(StrEnum):
    """What becomes of photographs in which no face is found."""

    leave_out = "leave-out"
    wrong = "wrong"


class LogLevel(StrEnum):
    """What the service says."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class FaceModelFormat(StrEnum):
    """Layouts of published face models."""

    lsfm = "lsfm"
    bfm2009 = "bfm2009"
    bfm2017 = "bfm2017"
    flame = "flame"
    ict = "ict"
    npz = "npz"


class Unit(StrEnum):
    """Units of length."""

    um = "um"
    mm = "mm"
    cm = "cm"
    dm = "dm"
    m = "m"


Paths = Annotated[list[str], typer.Argument(help="Images, folders or videos; for predict also a webcam's number.")]
BackendOption = Annotated[Backend, typer.Option(help="What finds the 68 landmarks.")]


@app.command(
    epilog="Examples:\n\n"
    "`deepexp3d predict photo.jpg`\n\n"
    "`deepexp3d predict photographs/ clips/ --out expressions.parquet --threads 8 --batch 16`\n\n"
    "`deepexp3d predict talk.mp4 --overlay talk_overlay.mp4 --smooth --calibrate rest --out talk.csv`\n\n"
    "`deepexp3d predict talk.mp4 --neutral passport.jpg --features-only --out talk.json`\n\n"
    "`deepexp3d predict 0 --model deepexp3d-small` reads the first webcam until Ctrl-C\n\n"
    "Each row has a status: ok, no face, cut by the border, first of 12 frames, or error and its reason."
)
def predict(
    paths: Paths,
    out: Annotated[Path | None, typer.Option(help="Write a .csv, .parquet or .json table instead of printing.")] = None,
    overlay: Annotated[Path | None, typer.Option(help="Draw the results: a picture, or for one video an .mp4.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="deepexp3d-resnet50, deepexp3d-small, a folder of an exported network, or champion or challenger of "
            "the registry; by default DEEPEXP3D_MODEL, else the project's, else the first of the two that is there."
        ),
    ] = None,
    features_only: Annotated[bool, typer.Option(help="The 28 coefficients alone: needs no classifier.")] = False,
    neutral: Annotated[
        Path | None, typer.Option(help="A photograph of the person's neutral face: its expression is subtracted.")
    ] = None,
    calibrate: Annotated[
        Calibration, typer.Option(help="rest: subtract what each face of a video returns to.")
    ] = Calibration.none,
    smooth: Annotated[bool, typer.Option(help="Filter each face's expression over time (one-euro filter).")] = False,
    backend: BackendOption = Backend.mediapipe,
    runtime: Annotated[
        Runtime, typer.Option(help="auto: a GPU where ONNX Runtime finds one, else OpenVINO.")
    ] = Runtime.auto,
    threads: Annotated[int, typer.Option(min=0, help="Processors that the network uses; 0 is all.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Frames or images that go through the network together.")] = 8,
) -> None:
    """Expression coefficients, head pose and emotion of every face."""
    from models.expression.prediction import PredictionSettings, neutral_expression, predict_paths
    from models.expression.predictor import Predictor
    from models.expression.sources import is_live
    from models.expression.tables import check_table_name, print_rows, write_rows
    from models.expression.temporal_filter import OneEuroSettings

    with _errors_in_a_line():
        if out is not None:
            check_table_name(out)
        threads = threads or len(os.sched_getaffinity(0))
        predictor = Predictor.load(
            _named_model(model),
            features_only=features_only,
            backend=str(backend),
            runtime=str(runtime),
            threads=threads,
            streams=1 if is_live(paths) else threads,
        )
        settings = PredictionSettings(
            batch=batch,
            smoothing=OneEuroSettings() if smooth else None,
            neutral=None if neutral is None else neutral_expression(predictor, neutral),
            calibrate_rest=calibrate is Calibration.rest,
        )
        rows = predict_paths(paths, predictor, settings=settings, overlay=overlay, progress=_progress_bar)
        if out is not None:
            print(f"{out}: {write_rows(rows, out)} rows")
        elif sys.stdout.isatty():
            _print_briefly(rows)
        else:
            print_rows(rows, sys.stdout)


@app.command(epilog="Example:\n\n`deepexp3d reconstruct talk.mp4 --out talk.npz --overlay talk_fit.mp4`")
def reconstruct(
    video: Annotated[Path, typer.Argument(help="A video of one person; the largest face of its first frame is taken.")],
    out: Annotated[Path, typer.Option(help="The fit: the arrays of `data/reconstructions`.")],
    overlay: Annotated[
        Path | None, typer.Option(help="Write frame, fitted mesh and frontal expression side by side (.mp4).")
    ] = None,
    backend: BackendOption = Backend.mediapipe,
) -> None:
    """Identity, expression and camera of every frame, by the whole-video 3DMM fit."""
    from assets.single_video import draw_fit, fit_single_video
    from assets.workspace import Workspace

    with _errors_in_a_line():
        workspace = Workspace.open()
        result = fit_single_video(workspace, video, str(backend))
        result.fit.save(out)
        residual = 100 * result.median_residual
        print(f"{out}: {len(result.fit)} frames, median residual {residual:.2f} % of the inter-ocular distance")
        if overlay is not None:
            draw_fit(workspace, video, result, overlay)
            print(overlay)


@app.command(epilog="Example:\n\n`deepexp3d landmarks talk.mp4 --out talk_landmarks.npz`")
def landmarks(
    paths: Paths,
    out: Annotated[Path, typer.Option(help="One .npz; for several inputs a folder with one each.")],
    backend: BackendOption = Backend.mediapipe,
) -> None:
    """68 landmarks of every face in every frame, MULTI-PIE order, with boxes and scores."""
    from assets.single_video import video_landmarks
    from assets.workspace import Workspace

    with _errors_in_a_line():
        workspace = Workspace.open()
        files = _files(paths)
        single = len(paths) == 1 and not Path(paths[0]).is_dir()
        failures = 0
        for file in files:
            target = out if single else out / f"{file.stem}.npz"
            try:
                found = video_landmarks(workspace, file, str(backend))
            except VideoError as error:
                failures += 1
                if failures == len(files):
                    raise
                print(f"deepexp3d: {error}", file=sys.stderr)
                continue
            found.save(target)
            print(f"{target}: {len(found)} faces in {found.frame_count} frames")


@app.command(
    epilog="Examples:\n\n"
    "`deepexp3d evaluate --list`\n\n"
    "`deepexp3d evaluate kdef_frontal --root KDEF_and_AKDEF/KDEF --out results/kdef`\n\n"
    "`deepexp3d evaluate custom --root photographs --features shared_fit --features blendshapes --protocol subject "
    "--json custom.json`\n\n"
    "`deepexp3d evaluate rafd_views --root RaFD --json views.json`\n\n"
    "`deepexp3d evaluate srd15 --root SRD15 --json stress.json`\n\n"
    "`deepexp3d evaluate bu3dfe --root BU_3DFE --pipeline depth --repeats 20 --epochs 50 --out results/bu3dfe`\n\n"
    "`deepexp3d evaluate bu3dfe --root BU_3DFE --protocol all --protocol redrawn --protocol paper --out results/bu3dfe`"
    "\n\n"
    "`deepexp3d evaluate bu3dfe --root BU_3DFE --paper --out results/paper --json fusion.json`\n\n"
    "Protocols, features and what the paper leaves open: docs/emotion.md. Stress from videos: docs/stress.md. "
    "Depth and colour of scans: docs/rgbd_networks.md."
)
def evaluate(
    benchmark: Annotated[str | None, typer.Argument(help="Its name, as `--list` shows it.", show_default=False)] = None,
    root: Annotated[Path | None, typer.Option(help="The data set's folder, in its publisher's own layout.")] = None,
    features: Annotated[
        list[Features] | None,
        typer.Option(help="What emotions are told from; may be given several times; by default as params.yaml says."),
    ] = None,
    protocol: Annotated[
        list[ProtocolName] | None,
        typer.Option(
            help="paper, or subject for folds by person; by default both, where people are known. Of bu3dfe paper, "
            "redrawn, all and tenfold; several are compared."
        ),
    ] = None,
    pipeline: Annotated[
        list[str] | None,
        typer.Option(help="Of bu3dfe: depth, rgb_vgg19, fusion_vgg19, ...; by default as params.yaml says."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures; folds go beside.")] = None,
    folds_file: Annotated[
        Path | None, typer.Option("--folds", help="Folds of an earlier run, here or on another machine.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for figures, folds, answers, confusion matrices, and landmarks to be used again."),
    ] = None,
    list_all: Annotated[
        bool, typer.Option("--list", help="Show the benchmarks, what they need and whom to ask for it.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="The network, as for predict.")] = None,
    backend: BackendOption = Backend.mediapipe,
    without_face: Annotated[
        WithoutFace | None,
        typer.Option(help="How photographs count in which no face is found; by default as params.yaml says."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How often the whole is done; by default 10 times for the paper's protocol on its own benchmarks, "
            "once for others; of srd15 and bu3dfe as params.yaml says.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of bu3dfe: of each training, at most; by default as params.yaml says.")
    ] = None,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="Of bu3dfe: the paper's repeats (200), epochs (1000) and pipelines; takes days."),
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of random picks, folds and searches.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processors used; 0 is all.")] = 0,
) -> None:
    """Accuracy on an emotion benchmark, by the paper's protocol and by one that keeps people apart."""
    from models.emotion.benchmark_tables import benchmarks_text
    from orchestration import evaluate_command, fusion_command

    if list_all:
        print(benchmarks_text(), evaluate_command.stress_entry(), fusion_command.list_entry(), sep="\n\n")
        return
    with _errors_in_a_line():
        if benchmark is None or root is None:
            raise DeepExp3DError("name a benchmark and its folder: deepexp3d evaluate BENCHMARK --root DIR, or --list.")
        if benchmark != fusion_command.BENCHMARK and (paper or epochs is not None):
            raise DeepExp3DError(f"{benchmark}: --paper and --epochs are those of {fusion_command.BENCHMARK}.")
        evaluate_command.require_known(benchmark, [fusion_command.BENCHMARK])
        evaluate_command.require_outputs(json_file, out)
        if benchmark == evaluate_command.STRESS:
            if features or protocol or pipeline or without_face is not None:
                raise DeepExp3DError(
                    f"{benchmark}: has one protocol; leave out --features, --protocol, --pipeline and --without-face."
                )
            evaluate_command.evaluate_stress_videos(
                root,
                folds_file=folds_file,
                json_file=json_file,
                out=out,
                model=_named_model(model),
                backend=str(backend),
                repeats=repeats,
                seed=seed,
                workers=evaluate_command.processors(workers),
                progress=partial(_progress_bar, unit=""),
                tell=print,
            )
            return
        if evaluate_command.is_view_benchmark(benchmark):
            needless = (without_face, repeats, seed)
            if features or protocol or pipeline or folds_file or any(one is not None for one in needless):
                raise DeepExp3DError(
                    f"{benchmark}: compares all angles of the set, by the network's expressions; leave out --features, "
                    "--protocol, --pipeline, --folds, --without-face, --repeats and --seed."
                )
            evaluate_command.evaluate_view_invariance(
                benchmark,
                root,
                json_file=json_file,
                out=out,
                model=_named_model(model),
                backend=str(backend),
                workers=evaluate_command.processors(workers),
                progress=partial(_progress_bar, unit=""),
                tell=print,
            )
            return
        if benchmark == fusion_command.BENCHMARK:
            if features or model is not None:
                raise DeepExp3DError(f"{benchmark}: learns from scans and photographs; leave out --features, --model.")
            told = fusion_command.evaluate_fusion(
                root,
                protocols=[str(name) for name in protocol or ()],
                pipelines=pipeline or (),
                divisions_file=folds_file,
                json_file=json_file,
                out=out,
                backend=str(backend),
                paper=paper,
                repeats=repeats,
                epochs=epochs,
                seed=seed,
                workers=workers or len(os.sched_getaffinity(0)),
                progress=partial(_progress_bar, unit=""),
            )
            print(told)
            return
        if pipeline or set(protocol or ()) - {ProtocolName.paper, ProtocolName.subject}:
            raise DeepExp3DError(
                f"{benchmark}: --pipeline and protocols other than paper and subject are those of "
                f"{fusion_command.BENCHMARK}; leave them out."
            )
        evaluate_command.evaluate_photographs(
            benchmark,
            root,
            features=[str(name) for name in features or ()],
            protocols=[str(name) for name in protocol or ()],
            folds_file=folds_file,
            json_file=json_file,
            out=out,
            model=_named_model(model),
            backend=str(backend),
            without_face=None if without_face is None else without_face.name,
            repeats=repeats,
            seed=seed,
            workers=evaluate_command.processors(workers),
            progress=partial(_progress_bar, unit=""),
            tell=print,
        )


@app.command(
    epilog="Examples:\n\n`deepexp3d review`\n\n`deepexp3d review --reviewer Ada --port 8100 --project ~/faces`\n\n"
    "Keys, tabs and what becomes of the verdicts: docs/review.md."
)
def review(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="By default as params.yaml says: review.port.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; the default answers this machine alone.")
    ] = "127.0.0.1",
    reviewer: Annotated[
        str | None, typer.Option(help="The name verdicts are written under; can be changed on the page.")
    ] = None,
    project: Annotated[Path | None, typer.Option(help="The project's folder, if it is not the present one.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The network for photos, as for predict; by default the champion, else the project's."),
    ] = None,
) -> None:
    """A page in the browser: judge fitted videos, try a photo, release networks."""
    from assets.workspace import Workspace
    from orchestration.review_page.server import serve_review_page

    with _errors_in_a_line():
        serve_review_page(Workspace.open(project), host=host, port=port, reviewer=reviewer, model=model)


@app.command(
    "convert-model",
    epilog="Examples:\n\n"
    "`deepexp3d convert-model all_all_all.mat --format lsfm --expression Model_Exp.mat --out lsfm.npz`\n\n"
    "`deepexp3d convert-model ICT-FaceKit/FaceXModel --format ict --out ict.npz --picture ict.png`\n\n"
    "`deepexp3d convert-model generic_model.pkl --format flame --landmarks embedding.npz --out flame.npz`\n\n"
    "Where to ask for each model, its files and their layouts: docs/face_models.md.",
)
def convert_model(
    source: Annotated[Path, typer.Argument(help="The publisher's file; for ict the folder FaceXModel.")],
    layout: Annotated[FaceModelFormat, typer.Option("--format", help="Whose layout it has.")],
    out: Annotated[Path, typer.Option(help="The converted model (.npz), for `morphable_model: source:`.")],
    expression: Annotated[
        Path | None, typer.Option(help="The expressions' file: Model_Exp.mat for lsfm, Exp_Pca.bin for bfm2009.")
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="The 68 points: vertices, positions or barycentric (.txt .npy .npz .json ...).")
    ] = None,
    identity_size: Annotated[int, typer.Option(min=1, help="Most identity components kept.")] = 157,
    expression_size: Annotated[int, typer.Option(min=1, help="Most expression components kept.")] = 28,
    unit: Annotated[Unit | None, typer.Option(help="The shape's unit, if it is not what the layout says.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the mean and two deviations of the first components (.png).")
    ] = None,
) -> None:
    """Bring a published face model (LSFM, Basel, FLAME, ICT-FaceKit, npz) to this project's layout."""
    from models.morphable_model.loaders import load_face_model
    from models.morphable_model.loaders.published import MILLIMETRES

    with _errors_in_a_line():
        if picture is not None and picture.suffix != ".png":
            raise DeepExp3DError(f"{picture}: unknown kind of picture '{picture.suffix}'; end the name in .png.")
        model = load_face_model(
            source,
            str(layout),
            expression=expression,
            landmarks=landmarks,
            identity_size=identity_size,
            expression_size=expression_size,
            unit=None if unit is None else MILLIMETRES[unit],
        )
        model.save(out)
        print(f"{out}: '{model.name}', {len(model.mean)} vertices, eyes {model.interocular_distance:.1f} mm apart")
        for part, size in (("identity", model.identity_size), ("expression", model.expression_size)):
            print(f"  {size} {part} components hold {100 * model.extras[f'{part}_kept']:.1f} % of the variance")
        print(f"  licence: {model.licence}")
        if picture is not None:
            _draw_model(model, picture)
            print(picture)


@app.command(
    "export-arkit",
    epilog="Examples:\n\n`deepexp3d export-arkit talk.npz --out talk.csv --fps 25`\n\n"
    "`deepexp3d export-arkit talk.npz --out talk.json --model ict.npz`",
)
def export_arkit(
    fit: Annotated[Path, typer.Argument(help="A fit, as `deepexp3d reconstruct` writes it.")],
    out: Annotated[Path, typer.Option(help="A .csv in the layout of Live Link Face, or a .json.")],
    fps: Annotated[float, typer.Option(min=1, help="Frames a second of the video.")] = 30.0,
    model: Annotated[
        Path | None, typer.Option(help="The face model of the fit (.npz); by default the project's.")
    ] = None,
    ridge: Annotated[float, typer.Option(help="How much smaller weights are preferred.")] = 1e-3,
    sparsity: Annotated[float, typer.Option(min=0, help="How much fewer weights are preferred.")] = 1e-3,
) -> None:
    """A fit's expressions as ARKit's 52 blend shape weights, to animate other heads with."""
    from models.fitting import Reconstruction
    from models.morphable_model import MorphableModel
    from models.morphable_model.arkit import (
        arkit_weights,
        energy_kept,
        missing_names,
        write_live_link_csv,
        write_weights_json,
    )

    with _errors_in_a_line():
        if out.suffix not in (".csv", ".json"):
            raise DeepExp3DError(f"{out}: unknown kind of file '{out.suffix}'; end the name in .csv or .json.")
        if not ridge > 0:
            raise DeepExp3DError(f"--ridge is {ridge:g}; choose one above 0.")
        expression = Reconstruction.load(fit).expression
        face_model = _project_model() if model is None else MorphableModel.load(model)
        weights = arkit_weights(expression, face_model, ridge=ridge, sparsity=sparsity)
        missing = missing_names(face_model)
        if out.suffix == ".csv":
            write_live_link_csv(out, weights, fps)
        else:
            write_weights_json(out, weights, fps, missing)
        kept = 100 * energy_kept(expression, weights, face_model)
        print(f"{out}: {len(weights)} frames, {kept:.1f} % of the expressions' energy; always 0: {', '.join(missing)}")


@app.command(
    epilog="Examples:\n\n"
    "`deepexp3d serve`\n\n"
    "`curl -F image=@photo.jpg http://127.0.0.1:8000/predict`\n\n"
    "`curl -F images=@one.jpg -F images=@two.jpg http://127.0.0.1:8000/predict/batch`\n\n"
    "`DEEPEXP3D_TOKEN=$(openssl rand -hex 32) deepexp3d serve --host 0.0.0.0 --model champion`\n\n"
    "Also /health, /metrics (Prometheus) and /docs. Limits: the section `serving` of params.yaml; docs/serving.md."
)
def serve(
    model: Annotated[str | None, typer.Option(help="As for predict; champion follows the one of the registry.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="By default as params.yaml says; 0 is a free one.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file with the token that clients have to show; else the variable DEEPEXP3D_TOKEN."),
    ] = None,
    open_to_all: Annotated[bool, typer.Option(help="Listen on other addresses though there is no token.")] = False,
    runtime: Annotated[Runtime, typer.Option(help="As for predict.")] = Runtime.auto,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged, as JSON, on standard output.")] = LogLevel.info,
) -> None:
    """An HTTP service: pictures in, expression, head pose and emotion out, as JSON."""
    from orchestration.service.access import read_token
    from orchestration.service.server import serve as run_service

    with _errors_in_a_line():
        run_service(
            _serving_settings(),
            model=model,
            host=host,
            port=port,
            token=read_token(token_file),
            open_to_all=open_to_all,
            runtime=str(runtime),
            log_level=str(log_level),
        )


def _serving_settings():
    """Of the project at hand, else the defaults: a service may run where there is a network and no project."""
    from assets.workspace import Workspace
    from models.serving.settings import ServingSettings

    here = Path.cwd()
    if "DEEPEXP3D_ROOT" in os.environ or any((folder / "params.yaml").exists() for folder in (here, *here.parents)):
        return Workspace.open().params.serving
    return ServingSettings()


Version = Annotated[int, typer.Argument(min=1, help="Number in the registry, as `deepexp3d versions` shows it.")]
ReviewerOption = Annotated[str, typer.Option(help="Who decides.")]
ReasonOption = Annotated[str, typer.Option(help="Why: it stands in the trail.")]


@app.command(epilog="Life of a network from training to champion and back: docs/registry.md.")
def versions() -> None:
    """The registry: who is champion, which networks wait for a person, and what happened before."""
    from assets.workspace import Workspace
    from orchestration.registry_commands import versions_text

    with _errors_in_a_line():
        print(versions_text(Workspace.open()))


@app.command(epilog='Example:\n\n`deepexp3d approve 7 --reviewer Ada --reason "better at large angles"`')
def approve(version: Version, reviewer: ReviewerOption, reason: ReasonOption) -> None:
    """Let a challenger become champion."""
    from assets.workspace import Workspace
    from orchestration.registry_commands import approve_and_promote

    with _errors_in_a_line():
        print(approve_and_promote(Workspace.open(), version, reviewer, reason))


@app.command(epilog='Example:\n\n`deepexp3d refuse 7 --reviewer Ada --reason "smiles read as fear"`')
def refuse(version: Version, reviewer: ReviewerOption, reason: ReasonOption) -> None:
    """Keep a challenger from becoming champion."""
    from assets.registry_review import refuse
    from assets.workspace import Workspace

    with _errors_in_a_line():
        refuse(Workspace.open(), version, reviewer, reason)
        print(f"version {version} is refused")


@app.command(
    epilog='Examples:\n\n`deepexp3d rollback --reviewer Ada --reason "flicker in the field"`\n\n'
    '`deepexp3d rollback --to 3 --reviewer Ada --reason "last one that was good"`'
)
def rollback(
    reviewer: ReviewerOption,
    reason: ReasonOption,
    to: Annotated[int | None, typer.Option(min=1, help="A version; by default the champion before.")] = None,
) -> None:
    """Make an earlier network champion again."""
    from assets.workspace import Workspace
    from orchestration.registry_commands import roll_back_and_use

    with _errors_in_a_line():
        print(roll_back_and_use(Workspace.open(), reviewer, reason, to))


@app.command()
def upload() -> None:
    """Deliver to MLflow what had to wait, because it was out of reach."""
    from assets.experiment_record import deliver_waiting
    from assets.workspace import Workspace

    with _errors_in_a_line():
        delivered = deliver_waiting(Workspace.open())
        print("\n".join(f"{folder.name}: delivered" for folder in delivered) or "nothing waits")


def _named_model(model: str | None) -> str | Path | None:
    """A network by its name: those of the registry by where their files are."""
    from assets.model_registry import CHALLENGER, CHAMPION, model_of_name

    if model not in (CHAMPION, CHALLENGER):
        return model
    from assets.workspace import Workspace

    return model_of_name(Workspace.open(), model)


def _project_model():
    """The face model of the project at hand."""
    from assets.morphable_model import load_model
    from assets.workspace import Workspace

    return load_model(Workspace.open())


def _draw_model(model, picture: Path) -> None:
    """Draw a face model's mean and first components, two deviations to either side."""
    from models.morphable_model.figure import model_figure
    from models.storage import written_whole

    with written_whole(picture) as path:
        model_figure(model, deviations=2.0).savefig(path)


def _progress_bar(items: Iterable, name: str, total: int | None, unit: str | None = None) -> Iterable:
    """What is gone through, with a bar where somebody is watching and there is something to wait for."""
    if not sys.stderr.isatty() or total == 1:
        return items
    from tqdm import tqdm

    if unit is None:
        unit = "image" if total else "frame"
    return tqdm(items, desc=name, total=total, unit=unit, leave=False)


def _print_briefly(rows: Iterable[dict]) -> None:
    """What fits into a line, for a reader at a terminal."""
    widths = {"path": 28, "frame": 6, "face": 4, "emotion": 9, "yaw": 6, "pitch": 6, "roll": 6}
    print(" ".join(f"{name:{width}}" for name, width in widths.items()), "status")
    for row in rows:
        shown = {name: f"{row[name]:.1f}" if isinstance(row[name], float) else str(row[name]) for name in widths}
        shown = {name: "" if text in ("None", "nan") else text for name, text in shown.items()}
        print(" ".join(f"{shown[name][-width:]:{width}}" for name, width in widths.items()), row["status"])


def _files(paths: list[str]) -> list[Path]:
    """The files that are named, and the videos in folders that are."""
    from models.video.manifest import find_videos

    files = [file for path in map(Path, paths) for file in (find_videos([path]) if path.is_dir() else [path])]
    if not files:
        raise VideoError(f"{', '.join(paths)}: no mp4, mov, avi, mkv or webm file in it; name another.")
    return files


class _errors_in_a_line:
    """Context: an error that the user can mend ends the program with one line instead of a traceback."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, DeepExp3DError):
            print(f"deepexp3d: {error}", file=sys.stderr)
            raise typer.Exit(1)


if __name__ == "__main__":
    app()
