"""What is published of each emotion data set: its size, where to ask for it, and how its folder looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DatasetFacts:
    """A data set as its publisher describes it.

    Attributes
    ----------
    name, title : the key, and what people call it
    images : photographs in the published set; None where there is no such number
    subjects : people; None where the set does not tell who is who
    labels : photographs of each emotion that a complete copy gives; empty where there is no such number
    left_out : images of a complete copy that show none of the seven emotions, by reason
    splits : photographs of each published split of a complete copy
    table : the row of Table I, and where it differs from what the publisher says
    source : whom to ask for the set
    layout : how the folder looks, in a paragraph
    example : path of one file below the folder
    citation : of the set
    """

    name: str
    title: str
    images: int | None
    subjects: int | None
    labels: Mapping[str, int]
    table: str
    source: str
    layout: str
    example: str
    citation: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)


def _each(count: int) -> dict[str, int]:
    return dict.fromkeys(("neutral", "angry", "disgusted", "fearful", "happy", "sad", "surprised"), count)


_FACTS = (
    DatasetFacts(
        name="rafd",
        title="Radboud Faces Database (RaFD)",
        images=8040,
        subjects=67,
        labels=_each(1005),
        left_out={"contempt": 1005},
        table="8040 images of 67 subjects, 7 basic emotions and neutral, posed, 681x1024.",
        source="rafd.nl, on request, for members of universities",
        layout="All photographs in one folder, "
        "Rafd<angle>_<subject>_<Caucasian|Moroccan|Kid>_<gender>_<emotion>_<gaze>.jpg with the angle 000, 045,"
        " 090 (frontal), 135 or 180.",
        example="Rafd090_01_Caucasian_female_angry_frontal.jpg",
        citation="Langner, O., Dotsch, R., Bijlstra, G., Wigboldus, D. H. J., Hawk, S. T., & van Knippenberg, A. "
        "(2010). Presentation and validation of the Radboud Faces Database. Cognition & Emotion, 24(8), "
        "1377-1388.",
    ),
    DatasetFacts(
        name="kdef",
        title="Karolinska Directed Emotional Faces (KDEF)",
        images=4900,
        subjects=70,
        labels=_each(700),
        table="4900 images of 70 subjects, 6 basic emotions and neutral, posed, 562x762.",
        source="kdef.se, Karolinska Institutet",
        layout="One folder for each person and session, AF01 to BM35, with "
        "<session><gender><number><emotion><angle>.JPG in it: emotions AF AN DI HA NE SA SU, angles FL HL S HR"
        " FR. All files in one folder are read as well.",
        example="AF01/AF01ANS.JPG",
        citation="Lundqvist, D., Flykt, A., & Öhman, A. (1998). The Karolinska Directed Emotional Faces - KDEF. "
        "Department of Clinical Neuroscience, Psychology section, Karolinska Institutet. ISBN 91-630-7164-9.",
    ),
    DatasetFacts(
        name="rafdb",
        title="Real-world Affective Faces Database (RAF-DB), basic emotions",
        images=15339,
        subjects=None,
        labels={
            "neutral": 3204,
            "angry": 867,
            "disgusted": 877,
            "fearful": 355,
            "happy": 5957,
            "sad": 2460,
            "surprised": 1619,
        },
        splits={"train": 12271, "test": 3068},
        table="29672 images, 6 basic emotions and neutral, 12 compound ones, web images. The paper uses 13395 images "
        "with basic emotions; the publisher's basic part has 15339 (12271 for training, 3068 for test).",
        source="whdeng.cn/RAF/model1.html, on request",
        layout="The folder `basic`: Image/aligned/train_00001_aligned.jpg or Image/original/train_00001.jpg, labels 1"
        " to 7 in EmoLabel/list_patition_label.txt, gender, race and age in "
        "Annotation/manual/train_00001_manu_attri.txt.",
        example="basic/EmoLabel/list_patition_label.txt",
        citation="Li, S., Deng, W., & Du, J. (2017). Reliable crowdsourcing and deep locality-preserving learning for"
        " expression recognition in the wild. CVPR, 2584-2593.",
    ),
    DatasetFacts(
        name="cfee",
        title="Compound Facial Expressions of Emotion (CFEE)",
        images=5060,
        subjects=230,
        labels=_each(230),
        table="5060 images of 230 subjects, 6 basic emotions and neutral, 15 compound ones, posed, 1000x750. The "
        "paper uses 1836 images with basic emotions; one of each of 230 people in seven classes makes 1610.",
        source="cbcsl.ece.ohio-state.edu, Ohio State University, on request",
        layout="The folder `CFEE_Database_230`: folders 01-04 to 21-26 with Images1 to Images6 and "
        "<category>_<subject>_<photograph>.jpg in them.",
        example="CFEE_Database_230/01-04/Images1/01_126_3963.jpg",
        citation="Du, S., Tao, Y., & Martinez, A. M. (2014). Compound facial expressions of emotion. PNAS, 111(15), "
        "E1454-E1462.",
    ),
    DatasetFacts(
        name="ckplus",
        title="Extended Cohn-Kanade Dataset (CK+)",
        images=636,
        subjects=118,
        labels={
            "neutral": 327,
            "angry": 45,
            "disgusted": 59,
            "fearful": 25,
            "happy": 69,
            "sad": 28,
            "surprised": 83,
        },
        left_out={"contempt": 18},
        table="327 sequences of 210 subjects, 10 to 60 frames each, 7 basic emotions and neutral, 640x480. The "
        "publisher has 593 sequences of 123 subjects, of which 327 of 118 subjects are labelled with an "
        "emotion.",
        source="jeffcohn.net/Resources, on request",
        layout="The folders `cohn-kanade-images` and `Emotion` side by side: S005/001/S005_001_00000011.png, and "
        "S005/001/S005_001_00000011_emotion.txt with a number from 0 to 7 for the last frame. That frame "
        "counts as the peak and the first frame as neutral.",
        example="cohn-kanade-images/S005/001/S005_001_00000011.png",
        citation="Lucey, P., Cohn, J. F., Kanade, T., Saragih, J., Ambadar, Z., & Matthews, I. (2010). The Extended "
        "Cohn-Kanade Dataset (CK+): A complete dataset for action unit and emotion-specified expression. "
        "CVPR Workshops, 94-101.",
    ),
    DatasetFacts(
        name="jaffe",
        title="Japanese Female Facial Expression (JAFFE)",
        images=213,
        subjects=10,
        labels={
            "neutral": 30,
            "angry": 30,
            "disgusted": 29,
            "fearful": 32,
            "happy": 31,
            "sad": 31,
            "surprised": 30,
        },
        table="Not in Table I: 213 images of 10 women, 6 basic emotions and neutral, posed, 256x256.",
        source="zenodo.org/records/3451524, on request",
        layout="All photographs in one folder, <person>.<emotion><pose>.<number>.tiff with the emotions AN DI FE HA "
        "NE SA SU.",
        example="KA.AN1.39.tiff",
        citation="Lyons, M., Akamatsu, S., Kamachi, M., & Gyoba, J. (1998). Coding facial expressions with Gabor "
        "wavelets. FG, 200-205.",
    ),
    DatasetFacts(
        name="affectnet",
        title="AffectNet",
        images=None,
        subjects=None,
        labels={
            "neutral": 75374,
            "angry": 25382,
            "disgusted": 4303,
            "fearful": 6878,
            "happy": 134915,
            "sad": 25959,
            "surprised": 14590,
        },
        splits={"train": 283901, "test": 3500},
        table="Not in Table I: 287651 images for training and about 4000 for validation with eight emotions, web "
        "images.",
        source="mohammadmahoor.com/pages/databases/affectnet, on request",
        layout="Either Manually_Annotated_file_lists/training.csv and validation.csv beside "
        "Manually_Annotated_Images, or train_set and val_set with images/0.jpg and annotations/0_exp.npy in "
        "them.",
        example="train_set/annotations/0_exp.npy",
        citation="Mollahosseini, A., Hasani, B., & Mahoor, M. H. (2019). AffectNet: A database for facial expression,"
        " valence, and arousal computing in the wild. IEEE Transactions on Affective Computing, 10(1), "
        "18-31.",
    ),
    DatasetFacts(
        name="fer2013",
        title="FER2013, with the labels of FER+ where they are present",
        images=35887,
        subjects=None,
        labels={
            "neutral": 6198,
            "angry": 4953,
            "disgusted": 547,
            "fearful": 5121,
            "happy": 8989,
            "sad": 6077,
            "surprised": 4002,
        },
        table="Not in Table I: 28709 images for training and twice 3589 for test, 6 emotions and neutral, web images,"
        " 48x48.",
        source="kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge; the votes"
        " of FER+ at github.com/microsoft/FERPlus",
        layout="Either fer2013.csv or icml_face_data.csv (emotion, Usage, pixels), or folders train/happy and "
        "test/happy, or FER2013Train, FER2013Valid and FER2013Test. The votes of FER+, fer2013new.csv, replace"
        " the labels where they lie beside the table or those folders.",
        example="fer2013.csv",
        citation="Goodfellow, I. J., et al. (2013). Challenges in representation learning: A report on three machine "
        "learning contests. ICONIP, 117-124. Barsoum, E., Zhang, C., Canton Ferrer, C., & Zhang, Z. (2016). "
        "Training deep networks for facial expression recognition with crowd-sourced label distribution. "
        "ICMI, 279-283.",
    ),
    DatasetFacts(
        name="manifest",
        title="your own labelled images",
        images=None,
        subjects=None,
        labels={},
        table="Not in Table I.",
        source="you",
        layout="Either one folder for each emotion with <subject>__<anything>.jpg in it, or a manifest.csv with the "
        "columns path and label and, where known, subject, view, moment, take, split, gender, ethnicity and "
        "age.",
        example="happy/anna__01.jpg",
        citation="",
    ),
)

DATASETS: Mapping[str, DatasetFacts] = {facts.name: facts for facts in _FACTS}
