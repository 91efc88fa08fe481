"""The figures that the paper publishes: Tables I to IV and those of its text, as data.

Every number here was compared with the paper line by line. Where its text and its tables disagree, the tables' figure
is kept and `DISAGREEMENTS` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# The paper's own method, as its tables' "Ours" is called here, where "ours" would be somebody else's.
PAPER = "DeepExp3D (the paper)"


@dataclass(frozen=True)
class Database:
    """A row of Table I. `dataset` is the key in `models.emotion.datasets.DATASETS`; counts are as printed."""

    dataset: str
    name: str
    images: str
    subjects: str
    emotions: str
    elicitation: str
    resolution: str


@dataclass(frozen=True)
class RunTime:
    """A column of Table II: seconds that an expression takes from a single image, as printed."""

    method: str
    printed: str


@dataclass(frozen=True)
class Accuracy:
    """A row of Table III.

    Attributes
    ----------
    dataset : as Table III calls it
    approach : with the number of the paper's reference
    printed : per cent, with as many digits as the paper gives
    benchmark : that measures the same here, of the paper's own rows; None for other methods'
    """

    dataset: str
    approach: str
    printed: str
    benchmark: str | None = None

    @property
    def accuracy(self) -> float:
        """Per cent."""
        return float(self.printed.partition(" ± ")[0])

    @property
    def deviation(self) -> float | None:
        """Per cent; None where the paper gives none."""
        _, _, deviation = self.printed.partition(" ± ")
        return float(deviation) if deviation else None


@dataclass(frozen=True)
class StressAccuracy:
    """A row of Table IV, per cent. `phase` is that of the experiment, None for the average of all rows."""

    phase: str | None
    name: str
    head_motility: float
    dwnet: float
    paper: float


@dataclass(frozen=True)
class Disagreement:
    """Where the paper does not agree with itself, or not with what the publisher of a data set says."""

    where: str
    what: str


# Table I. B, N, C: basic, neutral, compound emotions.
DATABASES = (
    Database("rafd", "RadFD [37]", "8040", "67", "7 B + 1 N", "posed", "681×1024"),
    Database("kdef", "KDEF [47]", "4900", "70", "6 B + 1 N", "posed", "562×762"),
    Database("rafdb", "RAF-DB [41]", "29672", "N/A", "6 B + 1 N, 12 C", "posed & spontaneous", "web images"),
    Database("cfee", "CFEE [15]", "5060", "230", "6 B + 1 N, 15 C", "posed", "1000×750"),
    Database(
        "ckplus", "CK+ [46]", "327 seq. (10 to 60 frames/seq.)", "210", "7 B + 1 N", "posed & spontaneous", "640×480"
    ),
)

# Table II, on a Tesla V100 and a Xeon E5-1660 v4.
RUN_TIMES = (
    RunTime("ITW [5]", "6.4"),
    RunTime("SfM3DMM [36]", "3.0"),
    RunTime("3DDFA [68]", "0.6"),
    RunTime("ExpNet [7]", "0.088"),
    RunTime(PAPER, "0.02"),
)

# Table III.
ACCURACIES = (
    Accuracy("RadFD", "ExpNet [7]", "75.00"),
    Accuracy("RadFD", "Ali et al. [1]", "85.00"),
    Accuracy("RadFD", "Zavarez et al. [67]", "85.97"),
    Accuracy("RadFD", "Jiang & Jia [33]", "94.52"),
    Accuracy("RadFD", "Mavani et al. [48]", "95.71"),
    Accuracy("RadFD", "Wu & Lin [63]", "95.78"),
    Accuracy("RadFD", "Sun et al. [59]", "96.93"),
    Accuracy("RadFD", "Yaddaden et al. [65]", "97.57 ± 1.33"),
    Accuracy("RadFD", PAPER, "97.65 ± 1.00", benchmark="radfd_frontal"),
    Accuracy("CFEE", "ExpNet [7]", "62.50"),
    Accuracy("CFEE", PAPER, "96.43 ± 1.1", benchmark="cfee"),
    Accuracy("CFEE", "Du et al. [15]", "96.84 ± 9.73"),
    Accuracy("RAF-DB", "ExpNet [7]", "55.20"),
    Accuracy("RAF-DB", "Li & Deng [40]", "74.20"),
    Accuracy("RAF-DB", "Lin et al. [43]", "75.73"),
    Accuracy("RAF-DB", "Fan et al. [18]", "76.73"),
    Accuracy("RAF-DB", "Gosh et al. [22]", "77.48"),
    Accuracy("RAF-DB", "Shen et al. [57]", "78.60"),
    Accuracy("RAF-DB", "Vielzeuf et al. [61]", "80.00"),
    Accuracy("RAF-DB", "Deng et al. [10]", "81.83"),
    Accuracy("RAF-DB", PAPER, "82.06 ± 0.73", benchmark="rafdb"),
    Accuracy("RAF-DB", "Li et al. [42]", "83.27"),
    Accuracy("KDEF", "ExpNet [7]", "71.00"),
    Accuracy("KDEF", "Zavarez et al. [67]", "72.55"),
    Accuracy("KDEF", "Ali et al. [1]", "78.00"),
    Accuracy("KDEF", "Ruiz-Garcia et al. [55]", "86.73"),
    Accuracy("KDEF", "Yaddaden et al. [65]", "90.62"),
    Accuracy("KDEF", PAPER, "92.24 ± 0.70", benchmark="kdef_frontal"),
    Accuracy("CK+", "ExpNet [7]", "61.17"),
    Accuracy("CK+", "Wang et al. [62]", "86.3"),
    Accuracy("CK+", "Jung et al. [34]", "92.35"),
    Accuracy("CK+", PAPER, "96.45 ± 0.8", benchmark="ckplus"),
)

# The set that Table IV is of.
STRESS_SET = "SRD'15"
# Table IV: head motility [24], DWNet1D on heart activity [27], and the paper's own.
STRESS = (
    StressAccuracy("2", "Emotional recall", 82.99, 83.50, 86.70),
    StressAccuracy("3", "Stressful images", 85.42, 92.60, 88.42),
    StressAccuracy("4", "Stressful videos", 85.83, 85.90, 88.83),
    StressAccuracy(None, "Average", 84.75, 87.33, 87.98),
)

# Section IV-C: mean squared error of e against the whole-video fits of FaceVid's test split, unit not stated.
EXPRESSION_MSE = {PAPER: 0.007, "ITW [5]": 0.026, "Linear shape model fitting [31]": 0.098}
# Section IV-A: of e between semi-profile and frontal images of RaFD, unit not stated.
VIEW_MSE = 0.008

# Section IV-A, on KDEF's confusion matrices (Fig. 3): per cent of each class that is named rightly, by benchmark. Of
# happy and disgusted the text gives one figure for "both reported confusion matrices".
CLASS_ACCURACIES: Mapping[str, Mapping[str, float]] = {
    "kdef_frontal": {"happy": 100.0, "disgusted": 97.1, "sad": 78.6, "neutral": 84.3},
    "kdef_semiprofile": {"happy": 100.0, "disgusted": 97.1, "sad": 71.4, "neutral": 78.6},
}

DISAGREEMENTS = (
    Disagreement(
        "RaFD accuracy", "97.63 % in sections IV-A and V, 97.65 ± 1.00 % in Table III; the table's figure is kept."
    ),
    Disagreement(
        "RAF-DB images",
        "Section IV-A uses 13,395 basic images; the publisher's basic part has 12,271 + 3,068 = 15,339.",
    ),
    Disagreement(
        "CFEE images",
        "Section IV-A uses 1,836 basic images; 230 people in 7 classes make 1,610, as many as the publisher has.",
    ),
    Disagreement(
        "CK+ subjects",
        "210 in Table I and section IV-A; the publisher's 327 labelled sequences are of 118 of its 123 people.",
    ),
    Disagreement(
        "Emotions of RaFD and CK+",
        "Table I counts 7 basic emotions, with contempt; sections III-D and IV-A classify 6 and neutral. The labelled "
        "sequences of CK+ have contempt and no neutral.",
    ),
    Disagreement("SRD'15 videos", "24 subjects with 11 tasks each make 264 videos; section IV-B counts 288."),
    Disagreement("SRD'15 phase 3", "'Stressful images' in Table IV, 'stressful images/mental task' in section IV-B."),
    Disagreement(
        "Units of MSE",
        "Sections IV-A (0.008) and IV-C (0.007) state none; measured here in squared standard deviations of e, which "
        "cannot be compared directly.",
    ),
)
