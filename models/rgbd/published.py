"""The figures that the fusion paper publishes: Tables 1 and 2 and those of its text, as data.

Every number here was compared with the paper line by line; where it is not at one with itself, `DISAGREEMENTS` says so.
"""

from dataclasses import dataclass

# Images of one whole pass through the paper's protocol: 60 people, six expressions, two intensities.
IMAGES = 60 * 6 * 2


@dataclass(frozen=True)
class PublishedAccuracy:
    """A row of Table 1 or 2.

    Attributes
    ----------
    approach : as the table calls it, with the number of the paper's reference
    printed : per cent, with as many digits as the paper gives
    pipeline : the key in `models.rgbd.pipelines.PIPELINES` that measures the same here; None for other methods'
    starred : whether the paper marks the row as an experiment beside its pipelines
    """

    approach: str
    printed: str
    pipeline: str | None = None
    starred: bool = False

    @property
    def accuracy(self) -> float:
        """Per cent."""
        return float(self.printed)


@dataclass(frozen=True)
class Disagreement:
    """Where the paper does not agree with itself, or leaves open what a repetition has to decide."""

    where: str
    what: str


TABLE_1 = (
    PublishedAccuracy("Depth map+pre-trained ResNet50", "61.11", "depth_resnet50", starred=True),
    PublishedAccuracy("Depth map+pre-trained VGG19", "28.06", "depth_vgg19", starred=True),
    PublishedAccuracy("Depth map: PL-depth map", "84.72", "depth"),
    PublishedAccuracy("RGB+ pre-trained ResNet50: PL-RGB-ResNet50", "82.92", "rgb_resnet50"),
    PublishedAccuracy("RGB+ pre-trained VGG19: PL-RGB-VGG19", "81.25", "rgb_vgg19"),
    PublishedAccuracy("Depth map+RGB: PL-fusion-ResNet50", "87.08", "fusion_resnet50"),
    PublishedAccuracy("Depth map+RGB: PL-fusion-VGG19", "89.31", "fusion_vgg19"),
)

TABLE_2 = (
    PublishedAccuracy("3D geometric shape model+LDA [17]", "83.60"),
    PublishedAccuracy("Bayesian Belief net+statistical facial features [35]", "82.30"),
    PublishedAccuracy("Distance+slopes+SVM [19]", "87.10"),
    PublishedAccuracy("2D+3D features fusion+SVM [36]", "86.32"),
    PublishedAccuracy("Geometric scattering representation+SVM [37]", "84.80"),
    PublishedAccuracy("Geometric+photometric attributes+VGG19 [38]", "84.87"),
    PublishedAccuracy("Depth map+RGB: PL-fusion-ResNet50 (ours)", "87.08", "fusion_resnet50"),
    PublishedAccuracy("Depth map+RGB: PL-fusion-VGG19 (ours)", "89.31", "fusion_vgg19"),
)

# Section 5.3: 2D and 3D features, networks trained from scratch on 90 of all 100 people and tested on the other 10,
# without cross-validation as far as is told.
ALL_PEOPLE = PublishedAccuracy("2D+3D features, DCNNs from scratch, 90/10 people [39]", "92")

DISAGREEMENTS = (
    Disagreement(
        "Number of experiments",
        "Section 5.2 averages 200 experiments of 72 images. All seven accuracies of Table 1 are whole 720ths to both "
        "digits (440, 202, 610, 597, 585, 627 and 643), as ten tests of 72 images give. A mean over 200 tests falls on "
        "one with a probability of 7 %, seven of them with one of 1 in 100 million. The protocol 'tenfold' is here "
        "for that reason.",
    ),
    Disagreement(
        "Where the fusion results are",
        "Section 5.3 says Table 2 of both fusion pipelines, which Table 1 has as well, with the same figures.",
    ),
    Disagreement("Caption of Fig. 3", "It reads 'depth map modality: PL-fusion'; the figure shows PL-depth map."),
    Disagreement(
        "References",
        "Adam is cited as [18], which section 2 has as a Bayesian belief net; that net is [35] in Table 2. "
        "Section 2 describes [19] with HOG and SIFT features, Table 2 has it as 'Distance+slopes+SVM'.",
    ),
    Disagreement(
        "What is not stated",
        "The sizes of the two levels after the fusion, the size of mini-batches, the convolutions' padding (only "
        "'same' lets three poolings leave 4x4), the size at which pretrained networks see depth maps, whether the "
        "pretrained layers are trained on (section 5.3 speaks of features obtained from them: frozen here), the "
        "deviation over experiments.",
    ),
)
