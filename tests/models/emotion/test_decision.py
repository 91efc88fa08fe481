"""Classifiers read as arrays decide as the estimators that they were saved from."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from models.emotion.decision import load_decision
from models.emotion.ecoc import EcocSvm
from models.emotion.labels import EMOTIONS
from models.emotion.persistence import save_classifier
from models.emotion.zero_shot import LinearEmotionClassifier
from models.errors import ModelMismatchError, WeightsMissingError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.repeat(EMOTIONS, 15)
    centres = {emotion: rng.normal(size=12) for emotion in EMOTIONS}
    return rng.normal(size=(len(labels), 12)) + [centres[label] for label in labels], labels


@pytest.mark.parametrize("coding", ["one_vs_all", "one_vs_one"])
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_probabilities_are_those_of_the_saved_classifier(data, coding, kernel, tmp_path):
    features, labels = data
    classifier = EcocSvm(coding=coding, kernel=kernel, C=2.0, kernel_scale=3.0).fit(features, labels)
    save_classifier(classifier, tmp_path / "classifier.skops")
    decision = load_decision(tmp_path / "classifier.skops", features=12)
    assert decision.classes_.tolist() == classifier.classes_.tolist()
    unseen = np.random.default_rng(1).normal(size=(20, 12)) * 2
    np.testing.assert_allclose(decision.predict_proba(unseen), classifier.predict_proba(unseen), atol=1e-9)


def test_two_classes_need_one_learner(data, tmp_path):
    features, labels = data
    chosen = np.isin(labels, ["happy", "sad"])
    classifier = EcocSvm().fit(features[chosen], labels[chosen])
    save_classifier(classifier, tmp_path / "classifier.skops")
    found = load_decision(tmp_path / "classifier.skops").predict_proba(features)
    np.testing.assert_allclose(found, classifier.predict_proba(features), atol=1e-9)


def test_logistic_regression_is_read_too(data, tmp_path):
    features, labels = data
    classifier = LinearEmotionClassifier().fit(features, labels)
    save_classifier(classifier, tmp_path / "classifier.skops")
    found = load_decision(tmp_path / "classifier.skops").predict_proba(features)
    np.testing.assert_allclose(found, classifier.predict_proba(features), atol=1e-9)


def test_a_missing_file_a_foreign_one_and_a_wrong_size_are_told_apart(data, tmp_path):
    features, labels = data
    with pytest.raises(WeightsMissingError, match=r"none\.skops"):
        load_decision(tmp_path / "none.skops")
    (tmp_path / "noise.skops").write_bytes(b"noise")
    with pytest.raises(WeightsMissingError, match=r"noise\.skops"):
        load_decision(tmp_path / "noise.skops")
    with zipfile.ZipFile(tmp_path / "foreign.skops", "w") as archive:
        archive.writestr("schema.json", '{"__module__": "os", "__class__": "system", "content": "true"}')
    with pytest.raises(ModelMismatchError, match=r"os\.system"):
        load_decision(tmp_path / "foreign.skops")
    save_classifier(EcocSvm().fit(features, labels), tmp_path / "classifier.skops")
    with pytest.raises(ModelMismatchError, match="takes 12 features, the network gives 28"):
        load_decision(tmp_path / "classifier.skops", features=28)


def test_an_array_that_would_have_to_be_unpickled_is_refused(data, tmp_path):
    features, labels = data
    save_classifier(EcocSvm().fit(features, labels), tmp_path / "classifier.skops")
    with (
        zipfile.ZipFile(tmp_path / "classifier.skops") as source,
        zipfile.ZipFile(tmp_path / "evil.skops", "w") as evil,
    ):
        for name in source.namelist():
            if name.endswith(".npy"):
                with evil.open(name, "w") as file:
                    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
            else:
                evil.writestr(name, source.read(name))
    with pytest.raises(WeightsMissingError, match=r"evil\.skops"):
        load_decision(tmp_path / "evil.skops")


def test_reading_a_classifier_imports_neither_scikit_learn_nor_torch(data, tmp_path):
    features, labels = data
    save_classifier(EcocSvm().fit(features, labels), tmp_path / "classifier.skops")
    program = (
        "import sys; from models.emotion.decision import load_decision; "
        f"load_decision({str(tmp_path / 'classifier.skops')!r}); "
        "print([name for name in ('sklearn', 'skops', 'torch', 'scipy') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
