"""All pipelines on the same divisions of people (section 5.2), each repeat kept as soon as it is done.

result = evaluate_rgbd("data/depth_maps/samples.npz", pipelines=["depth", "rgb_resnet50", "fusion_resnet50"])
result.of("fusion_resnet50").accuracy, result.differences, result.table_1()
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from models.emotion.benchmark_result import machine
from models.errors import DatasetError
from models.rgbd.backbones import Backbone, load_backbone
from models.rgbd.features import backbone_features, grey_images
from models.rgbd.network_settings import RgbdEvaluationSettings, RgbdHardware, RgbdTrainingSettings
from models.rgbd.pipelines import CLASSES, PAPER_PIPELINES, PIPELINES, Pipeline, backbone_of
from models.rgbd.protocol import (
    INTENSITIES,
    PROTOCOLS,
    Division,
    Divisions,
    complete_people,
    draw_divisions,
    intensities_in,
)
from models.rgbd.result import AS_TRAINED, PAPER_EPOCHS, PairedDifference, PipelineResult, RgbdResult
from models.rgbd.samples import RgbdSamples
from models.rgbd.training import resolved_device, resolved_precision, train_pipeline
from models.storage import written_whole

log = logging.getLogger(__name__)

# People that a problem names.
EXAMPLES = 3

Progress = Callable[[Iterable, str, int | None], Iterable]


@dataclass(frozen=True)
class RepeatRow:
    """One training and its answers.

    Attributes
    ----------
    repeat : its number
    people : hash of who was learned from and who was tested
    epochs, loss, seconds : of the training
    answers : condition -> class numbers of the samples of the tested people, in the samples' order
    """

    repeat: int
    people: str
    epochs: int
    loss: float
    seconds: float
    answers: Mapping[str, tuple[int, ...]]


def evaluate_rgbd(
    samples: RgbdSamples | Path | str,
    *,
    pipelines: Sequence[str] = tuple(PAPER_PIPELINES),
    settings: RgbdEvaluationSettings | None = None,
    hardware: RgbdHardware | None = None,
    weights: Mapping[str, Path] | None = None,
    download: bool = True,
    deepexp3d: Path | None = None,
    divisions: Divisions | None = None,
    asked: Mapping[str, RgbdSamples] | None = None,
    folder: Path | None = None,
    features: Path | None = None,
    problems: Sequence[str] = (),
    progress: Progress | None = None,
) -> RgbdResult:
    """Train and test pipelines on every division of people.

    Parameters
    ----------
    samples : registered pairs, or their file
    pipelines : keys of `PIPELINES`
    settings, hardware : by default the paper's training on this machine
    weights : pretrained network -> file of its ImageNet weights, as in `load_backbone`
    download : whether weights that are not there may be asked for
    deepexp3d : folder of a DeepExp3D of one's own that may take their place, as in `load_backbone`
    divisions : stored ones, instead of drawing
    asked : other images of the same faces, in the same order, such as under other light, by a name for the condition:
        who is tested is asked for them as well, by networks that have not seen their kind
    folder : keeps features, divisions and each finished repeat, with which an evaluation goes on where it was killed
    features : another folder for features, which evaluations of the same images share
    problems : what a reader must know of the samples
    progress : wraps what is gone through, given it, its name and its length; may show a bar

    Raises
    ------
    DatasetError
        Unknown pipelines or protocols, samples that lack what a pipeline needs, too few people, or other images that do
        not belong to the samples.
    WeightsMissingError, ModelMismatchError
        As `load_backbone`.
    """
    settings, hardware = settings or RgbdEvaluationSettings(), hardware or RgbdHardware()
    samples = samples if isinstance(samples, RgbdSamples) else RgbdSamples.load(samples)
    chosen = [_pipeline(name) for name in dict.fromkeys(pipelines)]
    conditions = {AS_TRAINED: samples} | dict(asked or {})
    rows, divisions, remarks = _divided(samples, settings, divisions)
    conditions = {name: _same_faces(name, other, samples).at(rows) for name, other in conditions.items()}
    samples = conditions[AS_TRAINED]
    if folder is not None:
        divisions.save(folder / "divisions.json")
    names = dict.fromkeys(name for pipeline in chosen for name in pipeline.backbones)
    backbones = {
        name: load_backbone(name, (weights or {}).get(name), download=download, deepexp3d=deepexp3d) for name in names
    }
    inputs = {
        condition: pipeline_inputs(
            other, chosen, backbones, settings.training, cache=features or folder, hardware=hardware, progress=progress
        )
        for condition, other in conditions.items()
    }
    tests = {
        pipeline.name: _repeats(
            _Job(pipeline, inputs, samples.labels, samples.subjects, settings.training, settings.seed, hardware),
            divisions,
            backbones,
            folder,
            progress,
        )
        for pipeline in chosen
    }
    scores = {
        (pipeline, condition): _scores(table, condition, samples, divisions)
        for pipeline, table in tests.items()
        for condition in conditions
    }
    return RgbdResult(
        protocol=divisions.protocol,
        description=PROTOCOLS[divisions.protocol].description,
        repeats=len(divisions.repeats),
        people=len(divisions.people),
        images=int(np.isin(samples.subjects, divisions.people).sum()),
        synthetic=samples.synthetic,
        results=tuple(
            _summary(pipeline, condition, tests[pipeline.name], samples, divisions, backbones, settings, hardware)
            for pipeline in chosen
            for condition in conditions
        ),
        differences=tuple(_differences(chosen, tuple(conditions), scores, settings)),
        problems=(
            *problems,
            *remarks,
            *divisions.problems,
            *_training_problems(settings.training),
            *_backbone_problems(backbones.values()),
        ),
        settings=asdict(settings),
        machine=machine(hardware.workers) | {"device": resolved_device(hardware)},
    )


def pipeline_inputs(
    samples: RgbdSamples,
    pipelines: Sequence[Pipeline],
    backbones: Mapping[str, Backbone],
    training: RgbdTrainingSettings,
    *,
    cache: Path | None = None,
    hardware: RgbdHardware | None = None,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Everything that pipelines take, by name: (F, ...) each. Features of pretrained networks come from the cache.

    Raises
    ------
    DatasetError
        The samples have no fine or reconstructed depth or no expression coefficients, and a pipeline needs them.
    """
    device = resolved_device(hardware or RgbdHardware())
    inputs: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(name for pipeline in pipelines for name in pipeline.inputs):
        backbone = backbone_of(name)
        kind = name if backbone is None else "depth_image" if name.startswith("depth_") else "colour"
        given = getattr(samples, kind)
        if given is None:
            asking = ", ".join(pipeline.name for pipeline in pipelines if name in pipeline.inputs)
            raise DatasetError(
                f"the samples have no {kind.replace('_', ' ')}, which {asking} learn from; name these pipelines in "
                "params.yaml and make the depth maps again, add it with models.rgbd.reconstructed_depth, or leave them "
                "out."
            )
        if backbone is None:
            inputs[name] = np.asarray(given, np.float32)
            continue
        images = grey_images(given) if kind == "depth_image" else given
        inputs[name] = (
            images
            if training.fine_tune_backbones
            else backbone_features(images, backbones[backbone], cache=cache, device=device, progress=progress)
        )
    return inputs


@dataclass(frozen=True)
class _Job:
    """What all repeats of a pipeline share."""

    pipeline: Pipeline
    inputs: Mapping[str, Mapping[str, np.ndarray]]
    labels: np.ndarray
    subjects: np.ndarray
    training: RgbdTrainingSettings
    seed: int
    hardware: RgbdHardware

    def run(self, repeat: int, division: Division, backbones: Mapping[str, Backbone]) -> RepeatRow:
        """Train on some people, ask for others."""
        learned, tested = (np.isin(self.subjects, people) for people in (division.train, division.test))
        trained = train_pipeline(
            self.pipeline,
            {name: self.inputs[AS_TRAINED][name][learned] for name in self.pipeline.inputs},
            self.labels[learned],
            self.training,
            # The same for all pipelines: they are compared in pairs.
            seed=int(np.random.default_rng([self.seed, 2, repeat]).integers(2**31)),
            people=self.subjects[learned],
            hardware=self.hardware,
            backbones=backbones,
        )
        answers = {
            condition: tuple(
                trained.probabilities({name: given[name][tested] for name in self.pipeline.inputs}).argmax(1).tolist()
            )
            for condition, given in self.inputs.items()
        }
        return RepeatRow(repeat, _hash_of(division), trained.epochs, trained.loss, trained.seconds, answers)

    def fingerprint(self) -> str:
        """Hash of everything that answers depend on beside the division of people."""
        digest = hashlib.sha256()
        told = {
            "pipeline": self.pipeline.name,
            "training": asdict(self.training),
            "seed": self.seed,
            "precision": resolved_precision(self.hardware, self.pipeline, self.training),
        }
        digest.update(json.dumps(told, sort_keys=True).encode())
        for condition, given in sorted(self.inputs.items()):
            for name in self.pipeline.inputs:
                digest.update(f"{condition} {name} {given[name].shape}".encode())
                digest.update(np.ascontiguousarray(given[name]))
        digest.update("\n".join([*self.labels, *self.subjects]).encode())
        return digest.hexdigest()


def _repeats(
    job: _Job,
    divisions: Divisions,
    backbones: Mapping[str, Backbone],
    folder: Path | None,
    progress: Progress | None,
) -> list[RepeatRow]:
    """Every repeat of a pipeline in order, those from the folder that are there."""
    from joblib import Parallel, delayed

    path = None if folder is None else folder / f"{job.pipeline.name}.json"
    fingerprint = job.fingerprint()
    wanted = {(number, _hash_of(division)) for number, division in enumerate(divisions.repeats)}
    done = {row.repeat: row for row in _read_rows(path, fingerprint) if (row.repeat, row.people) in wanted}
    missing = [number for number in range(len(divisions.repeats)) if number not in done]
    show = progress or (lambda items, name, total: items)
    trunks = backbones if job.training.fine_tune_backbones else {}
    tasks = (delayed(job.run)(number, divisions.repeats[number], trunks) for number in missing)
    outcomes = Parallel(n_jobs=job.hardware.workers, return_as="generator_unordered")(tasks)
    for row in show(outcomes, job.pipeline.name, len(missing)) if missing else ():
        done[row.repeat] = row
        _write_rows(path, fingerprint, [done[number] for number in sorted(done)])
        log.info("%s, repeat %d: %d epochs in %.1f s", job.pipeline.name, row.repeat + 1, row.epochs, row.seconds)
    return [done[number] for number in range(len(divisions.repeats))]


def _read_rows(path: Path | None, fingerprint: str) -> list[RepeatRow]:
    if path is None or not path.exists():
        return []
    try:
        tree = json.loads(path.read_text())
        if tree["fingerprint"] != fingerprint:
            log.info("%s: of other samples or settings; all repeats are done anew.", path)
            return []
        return [
            RepeatRow(**{**row, "answers": {name: tuple(given) for name, given in row["answers"].items()}})
            for row in tree["rows"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s: not readable (%s); all repeats are done anew.", path, error)
        return []


def _write_rows(path: Path | None, fingerprint: str, rows: Sequence[RepeatRow]) -> None:
    if path is None:
        return
    lines = ",\n".join("  " + json.dumps(asdict(row)) for row in rows)
    with written_whole(path) as temporary:
        temporary.write_text(f'{{"fingerprint": "{fingerprint}", "rows": [\n{lines}\n]}}\n')


def _hash_of(division: Division) -> str:
    return hashlib.sha256(json.dumps([division.train, division.test]).encode()).hexdigest()[:16]


def _pipeline(name: str) -> Pipeline:
    if name not in PIPELINES:
        raise DatasetError(f"{name}: no pipeline is called so; choose of {', '.join(PIPELINES)}.")
    return PIPELINES[name]


def _divided(
    samples: RgbdSamples, settings: RgbdEvaluationSettings, divisions: Divisions | None
) -> tuple[np.ndarray, Divisions, list[str]]:
    """Rows that take part, the divisions of their people, and who does not take part."""
    shown = samples.subjects, samples.labels, samples.intensities
    complete, lacking = complete_people(*shown)
    levels = intensities_in(*shown)
    problems = []
    if absent := sorted(set(INTENSITIES) - set(levels)):
        problems.append(
            f"The protocol takes expressions of intensity {' and '.join(map(str, INTENSITIES))}; too few people of "
            f"this set show all six at {' and '.join(map(str, absent))}, and {' and '.join(map(str, levels))} alone "
            "takes part."
        )
    if lacking:
        examples = "; ".join(f"{person} lacks {', '.join(lacking[person])}" for person in sorted(lacking)[:EXAMPLES])
        more = "" if len(lacking) <= EXAMPLES else "; ..."
        problems.append(f"People who lack expressions and take no part ({len(lacking)}): {examples}{more}.")
    if divisions is None:
        if settings.protocol not in PROTOCOLS:
            raise DatasetError(f"{settings.protocol}: no protocol is called so; choose of {', '.join(PROTOCOLS)}.")
        divisions = draw_divisions(
            complete,
            PROTOCOLS[settings.protocol],
            seed=settings.seed,
            repeats=settings.repeats,
            people=settings.people,
        )
    elif absent := sorted(set(divisions.people) - set(complete)):
        raise DatasetError(
            f"the divisions name {len(divisions.people)} people, of whom {len(absent)} are not among the samples with "
            f"every expression: {', '.join(absent[:EXAMPLES])}; draw them anew."
        )
    rows = np.isin(samples.intensities, levels) & np.isin(samples.subjects, divisions.people)
    return np.flatnonzero(rows), divisions, problems


def _same_faces(condition: str, other: RgbdSamples, samples: RgbdSamples) -> RgbdSamples:
    for name in ("subjects", "labels", "intensities"):
        if not np.array_equal(getattr(other, name), getattr(samples, name)):
            raise DatasetError(
                f"the images of '{condition}' are not of the same faces in the same order ({name} differ); make both "
                "sets of the same people and leave out of both what one of them lacks."
            )
    return other


def _tested(samples: RgbdSamples, division: Division) -> np.ndarray:
    """Rows of the people who are tested."""
    return np.flatnonzero(np.isin(samples.subjects, division.test))


def _answers(
    rows: Sequence[RepeatRow], condition: str, samples: RgbdSamples, divisions: Divisions
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each repeat: truth and answers as class numbers, and who was asked."""
    truth = np.array([CLASSES.index(label) for label in samples.labels])
    for row, division in zip(rows, divisions.repeats, strict=True):
        tested = _tested(samples, division)
        yield truth[tested], np.array(row.answers[condition]), samples.subjects[tested]


def _summary(
    pipeline: Pipeline,
    condition: str,
    rows: Sequence[RepeatRow],
    samples: RgbdSamples,
    divisions: Divisions,
    backbones: Mapping[str, Backbone],
    settings: RgbdEvaluationSettings,
    hardware: RgbdHardware,
) -> PipelineResult:
    confusion = np.zeros((len(CLASSES), len(CLASSES)), int)
    accuracies = []
    for truth, given, _ in _answers(rows, condition, samples, divisions):
        np.add.at(confusion, (truth, given), 1)
        accuracies.append(float((truth == given).mean()))
    return PipelineResult(
        pipeline=pipeline.name,
        title=pipeline.title,
        condition=condition,
        accuracies=tuple(accuracies),
        confusion=confusion,
        backbones={name: backbones[name].label for name in pipeline.backbones},
        epochs=tuple(row.epochs for row in rows),
        seconds=tuple(row.seconds for row in rows),
        loss=tuple(row.loss for row in rows),
        precision=resolved_precision(hardware, pipeline, settings.training),
    )


@dataclass(frozen=True)
class _Scores:
    """Answers that were right and answers in all, (repeats, people) each."""

    right: np.ndarray
    asked: np.ndarray


def _scores(rows: Sequence[RepeatRow], condition: str, samples: RgbdSamples, divisions: Divisions) -> _Scores:
    people = np.array(divisions.people)
    right, asked = (np.zeros((len(rows), len(people))) for _ in range(2))
    for repeat, (truth, given, who) in enumerate(_answers(rows, condition, samples, divisions)):
        places = np.searchsorted(people, who)
        np.add.at(right[repeat], places, truth == given)
        np.add.at(asked[repeat], places, 1)
    return _Scores(right, asked)


def _differences(
    pipelines: Sequence[Pipeline],
    conditions: Sequence[str],
    scores: Mapping[tuple[str, str], _Scores],
    settings: RgbdEvaluationSettings,
) -> Iterator[PairedDifference]:
    """Fusions against everything that learns from a part of what they learn from, reconstructed depth against that of
    scans, conditions against the first.
    """
    pairs = [
        ((one.name, condition), (other.name, condition))
        for condition, one, other in product(conditions, pipelines, pipelines)
        if set(other.inputs) < set(one.inputs) or one.stands_in_for(other)
    ]
    pairs += [((one.name, condition), (one.name, AS_TRAINED)) for condition in conditions[1:] for one in pipelines]
    for first, second in pairs:
        yield paired_difference(
            first,
            second,
            scores[first].right - scores[second].right,
            scores[first].asked,
            draws=settings.bootstrap,
            confidence=settings.confidence,
            seed=settings.seed,
        )


def paired_difference(
    first: tuple[str, str],
    second: tuple[str, str],
    gained: np.ndarray,
    asked: np.ndarray,
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> PairedDifference:
    """How much more often the first is right, with an interval from a bootstrap over repeats and over people.

    Repeats test the same people again and again: drawing them alone would make the interval too narrow. Both are drawn
    anew, and a person's answers in a repeat stay together.

    Parameters
    ----------
    gained : (repeats, people) right answers of the first less those of the second
    asked : (repeats, people) answers of either
    """
    rng = np.random.default_rng([seed, 3])
    repeats, people = gained.shape
    of_repeats = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=draws)
    of_people = rng.multinomial(people, np.full(people, 1 / people), size=draws)
    total = ((of_repeats @ asked) * of_people).sum(axis=1)
    drawn = ((of_repeats @ gained) * of_people).sum(axis=1)[total > 0] / total[total > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist() if len(drawn) else (float("nan"), float("nan"))
    by_repeat = gained.sum(axis=1)
    return PairedDifference(
        first=first,
        second=second,
        difference=float(gained.sum() / asked.sum()),
        low=low,
        high=high,
        confidence=confidence,
        better=float((by_repeat > 0).mean()),
        worse=float((by_repeat < 0).mean()),
    )


def _training_problems(training: RgbdTrainingSettings) -> Iterator[str]:
    if training.epochs < PAPER_EPOCHS:
        yield f"Trainings end after {training.epochs} epochs; the paper's after {PAPER_EPOCHS} at most."
    if (stopping := training.early_stopping) is not None:
        yield (
            f"Trainings end early, at a loss of {stopping.enough:g} or after {stopping.patience} epochs without gain; "
            "the paper tells of no such end."
        )


def _backbone_problems(backbones: Iterable[Backbone]) -> Iterator[str]:
    for backbone in backbones:
        if backbone.source != "imagenet":
            yield (
                f"{backbone.name} has {backbone.label} ({backbone.detail}): its rows do not repeat the paper's. Name a "
                "file of torchvision's weights, or put it into torch's folder of checkpoints."
            )
