"""The seven emotions, in the order of every table, matrix and probability of this project."""

EMOTIONS = ("neutral", "angry", "disgusted", "fearful", "happy", "sad", "surprised")

# What folders and manifests of other people call them.
_OTHER_NAMES = {
    "neutral": ("neutrality", "calm", "ne"),
    "angry": ("anger", "an"),
    "disgusted": ("disgust", "di"),
    "fearful": ("fear", "afraid", "fe", "af"),
    "happy": ("happiness", "joy", "smile", "ha"),
    "sad": ("sadness", "sa"),
    "surprised": ("surprise", "su"),
}
_EMOTION_OF = {name: emotion for emotion, names in _OTHER_NAMES.items() for name in (emotion, *names)}


def emotion_of(name: str) -> str | None:
    """The emotion that a name, in whatever case, stands for; None where it stands for none of the seven."""
    return _EMOTION_OF.get(name.strip().lower())
