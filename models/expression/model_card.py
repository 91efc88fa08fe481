"""The model card of a network: `card.md` from its contract and its measured figures.

Headings follow Mitchell et al., "Model Cards for Model Reporting", 2019. No figure stands in the text: what was not
measured is left out.
"""

from pathlib import Path

from models.expression.contract import NetworkContract
from models.storage import written_whole

LONDON_CREDIT = (
    "DeBruine, L., & Jones, B. (2017). Face Research Lab London Set (Version 5). figshare. "
    "doi:10.6084/m9.figshare.5047666.v5"
)

# Each row: what is said, the network's key, and that of the fit of one image, measured on the same landmarks.
_FIGURES = (
    ("mean squared error, rendered test people, squared standard deviations", "mse", "single_image_mse"),
    ("the same, mm²", "mse_mm2", "single_image_mse_mm2"),
    ("the same against whole-video fits of test videos", "fitted_mse", "fitted_single_image_mse"),
    ("between 45° and frontal views of one moment", "view_invariance_mse", "single_image_view_invariance_mse"),
    ("person recognised from e by a linear probe", "identity_leakage", "single_image_identity_leakage"),
    ("variance of e over neutral rendered faces", "neutral_variance", "single_image_neutral_variance"),
    ("London faces: spread of neutral", "london_spread", "single_image_london_spread"),
    ("London faces: distance of mean neutral from zero", "london_offset", "single_image_london_offset"),
    ("London faces: cosine of two people's smiles", "london_cosine", "single_image_london_cosine"),
    ("London faces: smile told from neutral", "london_accuracy", "single_image_london_accuracy"),
    (
        "the same, people whose skin is kept from training",
        "london_unseen_accuracy",
        "single_image_london_unseen_accuracy",
    ),
    ("spread of neutral of those people", "london_unseen_spread", "single_image_london_unseen_spread"),
)
_EMOTION_FIGURES = (
    ("accuracy on posed emotions of rendered people", "zero_shot_rendered_accuracy"),
    ("expected calibration error there", "zero_shot_rendered_calibration_error"),
    ("London faces, seven possible answers", "zero_shot_london_accuracy"),
    ("London faces, the likelier of neutral and happy", "zero_shot_london_binary_accuracy"),
)
_SPEED_FIGURES = (
    ("end to end in video mode, frames a second", "{}_fps"),
    ("the network alone, milliseconds a face", "{}_ms"),
)
_SEVERITIES = (
    ("as it is", "plain"),
    ("30 % of the face hidden", "occlusion_0.3"),
    ("blur of 6 % of the inter-ocular distance", "blur_6"),
    ("face of 48 pixels", "resolution_48"),
    ("face of 24 pixels", "resolution_24"),
    ("three stops underexposed", "darkness_3"),
    ("one lamp at 80° to the side", "light_80"),
    ("head turned by 45°", "yaw_45"),
    ("head turned by 60°", "yaw_60"),
)


def write_card(path: Path | str, name: str, contract: NetworkContract, figures: dict[str, float]) -> None:
    """Write the card of a network called `name`, whose `figures` `benchmarks.expression` measured."""
    with written_whole(path) as temporary:
        temporary.write_text(model_card(name, contract, figures))


def model_card(name: str, contract: NetworkContract, figures: dict[str, float]) -> str:
    """The card as Markdown.

    Parameters
    ----------
    figures : by the keys of `benchmarks.expression` (and, for speed, of `benchmarks.inference`); all are optional
    """
    sections = [
        f"# {name}",
        _details(contract),
        _intended_use(),
        _factors(),
        _metrics(),
        _evaluation_data(figures),
        _training_data(figures),
        _quantitative_analyses(name, figures),
        _ethical_considerations(),
        _caveats(),
    ]
    return "\n\n".join(sections) + "\n"


def _details(contract: NetworkContract) -> str:
    landmarks = " and its 68 landmarks" if contract.landmark_input else ""
    return f"""## Model details

From one aligned face image of 224x224 pixels{landmarks} to {len(contract.expression_std)} coefficients of facial
expression, identity removed: what a 3D morphable face model adds to a person's neutral face. The network is called
DeepExp3D in the paper that it follows; its backbone is `{contract.backbone}`, which works on
{contract.input_size}x{contract.input_size} pixels.

- File: `network.onnx`. The alignment template, the units and the order of the outputs are in its metadata.
- Output: standard deviations of the face model `{contract.face_model}`; times `expression_std` they are
  millimetres.
- `classifier.skops`, beside it, names one of seven emotions from these coefficients. It was trained on rendered
  faces alone.
- Licence: that of this repository. The credit that the training data ask for is below and has to be kept."""


def _intended_use() -> str:
    return """## Intended use

Research and products that need a compact description of how a face moves: animation, human-computer interaction,
affective computing with the consent of those who are seen. It runs on a CPU in real time.

Not intended: to decide about people (hiring, policing, border control, education, health), to infer what somebody
feels or intends, to identify people, or to watch people who have not agreed. A face that looks angry is not an
angry person: the names of emotions stand for posed facial configurations."""


def _factors() -> str:
    return """## Factors

What is expected to matter, and is measured below where data allow: age, gender and ethnicity of the person as
photographs' metadata state them; head pose, light, occlusion, blur and resolution; glasses and beards. The landmark
detector in front of the network has limits of its own, and faces that it does not find have no figures here."""


def _metrics() -> str:
    return """## Metrics

- *Mean squared error* of the coefficients, in squared standard deviations.
- On pairs of photographs, neutral and smiling: *spread* is the root mean square distance of neutral vectors from
  their mean, *distance from zero* the length of that mean, both over the mean distance from neutral to smile;
  *cosine* is that of the angle between the smiles of two people. Of a perfect network: 0, 0 and 1.
- *Smile told from neutral*: accuracy of a direction and a threshold that were learned from rendered faces alone.
- *Person recognised*: accuracy of a linear probe that was trained to name the person from e. The lower the better;
  chance and the probe's accuracy on the true e are stated beside it."""


def _evaluation_data(figures: dict[str, float]) -> str:
    lines = [
        "- Rendered people of other seeds than the training's, seen by the real landmark detector"
        + (f": {_number(figures['moments'])} pictures of {figures['people']} people." if "people" in figures else ".")
    ]
    if "london_people" in figures:
        lines.append(
            f"- {figures['london_people']} people of the Face Research Lab London Set, one neutral and one smiling "
            "photograph each."
        )
    return "\n".join(["## Evaluation data", "", *lines])


def _training_data(figures: dict[str, float]) -> str:
    amount = ""
    if {"training_images", "images_seen"} <= figures.keys():
        amount = (
            f"\n\nThis network was trained on {figures['training_images']:,.0f} renders, of which it saw "
            f"{figures['images_seen']:,.0f} in all (each several times, augmented anew)."
        )
    return f"""## Training data

Renders of an embedded face model with exact labels. Its shapes are MakeHuman's (CC0 1.0). Skins are procedural, or
were unwrapped from photographs of the Face Research Lab London Set, which is used under CC BY 4.0 and was changed
(textures were taken from the photographs by fitting a face model):

> {LONDON_CREDIT}

Every third person of that set is kept from training; the others have lent their skin, never an expression or a label.
No photograph was labelled by hand. Two things were chosen with that set's labels in view, so that its figures below are
a little too good: how widely the emotion classifier's features are scattered, and how much the rule that tells smiles
from neutral faces allows for.{amount}"""


def _quantitative_analyses(name: str, figures: dict[str, float]) -> str:
    parts = [
        _table(
            ("", "network", "fit of one image's landmarks"),
            [(label, figures.get(key), figures.get(other)) for label, key, other in _FIGURES],
        ),
        _leakage_sentence(figures),
        _by_group(figures),
        _table(
            ("mean squared error under severities", "network", "fit of one image's landmarks"),
            [
                (label, figures.get(f"robustness_{key}"), figures.get(f"robustness_single_image_{key}"))
                for label, key in _SEVERITIES
            ],
        ),
        _table(("emotion classifier", ""), [(label, figures.get(key)) for label, key in _EMOTION_FIGURES]),
        _table(
            ("speed on two CPU cores", ""),
            [(label, figures.get(pattern.format(name.split("-")[-1]))) for label, pattern in _SPEED_FIGURES],
        ),
    ]
    return "\n\n".join(["## Quantitative analyses", *(part for part in parts if part)])


def _leakage_sentence(figures: dict[str, float]) -> str:
    if "identity_leakage_chance" not in figures:
        return ""
    return (
        f"The probe names the person from the true e in {_number(figures['identity_leakage_true'])} of the pictures, "
        f"and by guessing in {_number(figures['identity_leakage_chance'])}."
    )


def _by_group(figures: dict[str, float]) -> str:
    rows = []
    for key, people in figures.items():
        if key.startswith("london_people_"):
            group = key.removeprefix("london_people_")
            measured = (figures.get(f"london_{measure}_{group}") for measure in ("spread", "offset", "accuracy"))
            rows.append((group.replace("_", " "), people, *measured))
    header = ("people", "spread of neutral", "their mean from everybody's", "smile told from neutral")
    return _table(("London faces by group", *header), rows)


def _ethical_considerations() -> str:
    return """## Ethical considerations

The people of the London set agreed to the use of their photographs, altered ones included, in research; whether that
covers a use of yours is for you to judge. The rendered people do not exist. Expressions are rendered with the same
movements for everybody, so that habits of groups of people are not learned from them; faces that MakeHuman's shapes or
the skins represent poorly may be read less well. Groups of few people have wide margins: a difference of one or two
faces is no finding."""


def _caveats() -> str:
    return """## Caveats and recommendations

- Where skins of the London set were used, the figures on that set are of people whose skin took part in training.
  Their expressions did not: photographs of other people are the better test all the same.
- Cheeks puffed, lips rolled inwards and a jaw moved sideways may hardly show in the output.
- A person's neutral face is not exactly zero. Where a neutral picture of the person can be had, subtract its
  vector.
- The classifier was made for posed emotions. Spontaneous ones are weaker, and mixed.
- Measure on your own data before you rely on any figure here."""


def _table(header: tuple[str, ...], rows: list[tuple]) -> str:
    """Markdown of those rows that have a figure; nothing where none has."""
    known = [row for row in rows if any(cell is not None for cell in row[1:])]
    if not known:
        return ""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {row[0]} | {' | '.join(_number(cell) for cell in row[1:])} |" for row in known]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
