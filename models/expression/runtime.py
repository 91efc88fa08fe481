"""The exported network as a function, under OpenVINO on a processor or ONNX Runtime there or on a GPU."""

import logging
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

from models.errors import ModelMismatchError, WeightsMissingError
from models.expression.contract import NetworkContract
from models.openvino_binding import load_openvino

log = logging.getLogger(__name__)

NETWORK = "network.onnx"
CLASSIFIER = "classifier.skops"
CONTRACT_KEY = "contract"
IMAGE_INPUT, LANDMARK_INPUT, OUTPUT = "image", "landmarks", "expression"

# Execution providers of ONNX Runtime, the one asked for first.
_PROVIDERS = {
    "onnxruntime": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
}
RUNTIMES = ("auto", "openvino", *_PROVIDERS)
# Distributions of ONNX Runtime that can use a GPU.
_GPU_DISTRIBUTIONS = ("onnxruntime-gpu", "onnxruntime-training")

# An exported network's function: inputs by name in, (F, n_e) float32 out.
Compute = Callable[[dict[str, np.ndarray]], np.ndarray]


class _ProviderError(ModelMismatchError):
    """What the network should run on is not there."""


class NetworkSession:
    """Aligned images (F, 224, 224, 3) uint8, and landmarks (F, 68, 2) where the network takes them, in; expression
    (F, n_e) in standard deviations out. May be called by several threads at once.

    Attributes
    ----------
    contract : what the numbers mean
    streams : how many calls are computed at the same time
    """

    def __init__(self, contract: NetworkContract, compute: Compute, streams: int = 1):
        self.contract = contract
        self.streams = streams
        self._compute = compute

    @classmethod
    def load(cls, path: Path | str, *, runtime: str = "auto", threads: int = 2, streams: int = 1) -> "NetworkSession":
        """Compile an exported network.

        Under OpenVINO a network in floating point computes in bfloat16 where the processor can, two to four times as
        fast and within some hundredths of a standard deviation. A quantised one computes in 8-bit integers anywhere.

        Parameters
        ----------
        path : the ONNX file
        runtime : "openvino" or "onnxruntime" (both on the processor), "cuda", "tensorrt", or "auto": a GPU where ONNX
            Runtime finds one, else OpenVINO
        threads : of the processor; 0 is all
        streams : how many calls share the threads; more than one raises the throughput and each call's own time

        Raises
        ------
        WeightsMissingError
            The file is missing or no ONNX file.
        ModelMismatchError
            The file was not exported by this project or by another version, or the runtime is unknown or not there.
        """
        if runtime not in RUNTIMES:
            raise ModelMismatchError(f"runtime '{runtime}' is unknown; choose one of {', '.join(RUNTIMES)}.")
        if threads < 0 or streams < 1:
            raise ModelMismatchError(f"{threads} threads in {streams} streams: give 0 or more, and 1 or more.")
        if not Path(path).is_file():
            raise WeightsMissingError(f"{path}: there is no such file; export the network, or name its folder.")
        chosen = _best_runtime() if runtime == "auto" else runtime
        if chosen != "openvino":
            try:
                return cls(*_onnxruntime_session(path, chosen, threads, streams), streams)
            except _ProviderError as error:
                if runtime != "auto":
                    raise
                log.warning("%s The processor is used instead.", error)
        return cls(*_openvino_session(path, threads, streams), streams)

    @property
    def expression_size(self) -> int:
        """Number of expression coefficients."""
        return len(self.contract.expression_std)

    def __call__(self, images: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """Expression (F, n_e) float64 in standard deviations.

        Parameters
        ----------
        images : (F, 224, 224, 3) uint8 aligned faces
        landmarks : (F, 68, 2) pixels of `images`; a network without landmark input takes no notice of them

        Raises
        ------
        ModelMismatchError
            The network takes landmarks, and there are none.
        """
        inputs = {IMAGE_INPUT: np.ascontiguousarray(images)}
        if self.contract.landmark_input:
            if landmarks is None:
                raise ModelMismatchError("this network takes landmarks beside the images; give it both.")
            inputs[LANDMARK_INPUT] = np.ascontiguousarray(landmarks, np.float32)
        return self._compute(inputs).astype(np.float64)


def read_contract(path: Path | str) -> NetworkContract:
    """The contract in an exported network's metadata.

    Raises
    ------
    WeightsMissingError
        The file is missing or no ONNX file.
    ModelMismatchError
        It was not exported by this project, or by another version of it.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise _unreadable(path, error) from error
    return _contract_of({item.key: item.value for item in model.metadata_props}, path)


def _contract_of(properties: dict[str, str], path: Path | str) -> NetworkContract:
    if CONTRACT_KEY not in properties:
        raise ModelMismatchError(f"{path}: an ONNX file, but not one of this project; export the network again.")
    return NetworkContract.from_json(properties[CONTRACT_KEY], str(path))


def _unreadable(path: Path | str, error: Exception) -> WeightsMissingError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return WeightsMissingError(f"{path}: cannot be read ({reason}); export the network again, or copy it anew.")


def _best_runtime() -> str:
    """A GPU's runtime where ONNX Runtime has one, else OpenVINO; without importing either to find out."""
    installed = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    if not installed.intersection(_GPU_DISTRIBUTIONS):
        return "openvino"
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return next((name for name in ("tensorrt", "cuda") if _PROVIDERS[name][0] in available), "openvino")


def _openvino_session(path: Path | str, threads: int, streams: int) -> tuple[NetworkContract, Compute]:
    openvino = load_openvino()
    core = openvino.Core()
    try:
        model = core.read_model(str(path))
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    # OpenVINO keeps an ONNX file's metadata under this name; reading the file once more would take as long again.
    framework = ["framework", CONTRACT_KEY]
    properties = {CONTRACT_KEY: model.get_rt_info(framework).astype(str)} if model.has_rt_info(framework) else {}
    contract = _contract_of(properties, path)
    # What a quantised network leaves to floating point takes no time, and is better kept exact.
    quantised = any(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops())
    bfloat16 = not quantised and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            # Landmarks and decoding run beside it: threads that are bound to processors would wait for theirs.
            "ENABLE_CPU_PINNING": False,
        },
    )
    own = threading.local()

    def compute(inputs: dict[str, np.ndarray]) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        # The result's memory is the request's own, and overwritten by its next call.
        return own.request.infer(inputs, share_inputs=True)[0].copy()

    return contract, compute


def _onnxruntime_session(path: Path | str, runtime: str, threads: int, streams: int) -> tuple[NetworkContract, Compute]:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    wanted = _PROVIDERS[runtime]
    missing = [name for name in wanted if name not in onnxruntime.get_available_providers()]
    if missing:
        raise _ProviderError(
            f"runtime '{runtime}': this ONNX Runtime has no {missing[0]}; install onnxruntime-gpu in the place of "
            "onnxruntime, or choose the runtime auto."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads // streams) if threads else 0
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except (states.InvalidProtobuf, states.Fail, states.InvalidGraph, states.NoSuchFile) as error:
        raise _unreadable(path, error) from error
    if session.get_providers()[0] != wanted[0]:
        # ONNX Runtime itself goes on without, at a fiftieth of the speed, and says so in a log only.
        raise _ProviderError(
            f"runtime '{runtime}': {wanted[0]} could not be started (is there a GPU, and are CUDA and cuDNN "
            "installed?); choose openvino, or mend the installation."
        )
    contract = _contract_of(session.get_modelmeta().custom_metadata_map, path)
    return contract, lambda inputs: session.run([OUTPUT], inputs)[0]
