"""Pre-trained bodies: a headless Keras file, or one of keras.applications with its weights."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import keras
from keras import layers

from shared.errors import SetupError

MAX_FILE_BYTES: Final = 1 << 30
MAX_CONFIG_BYTES: Final = 16 << 20
#: What a convolutional body is made of. No Lambda and nothing registered: either runs code.
ALLOWED_LAYERS: Final = frozenset(
    {
        *("InputLayer", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense"),
        *("BatchNormalization", "LayerNormalization", "Normalization", "Rescaling"),
        *("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Activation", "Dropout"),
        *("Add", "Multiply", "Concatenate", "Reshape", "Flatten", "ZeroPadding2D", "Cropping2D"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    }
)

Application = Literal["vgg16", "densenet121"]
#: The file that keras.applications would download, and what it is called there.
APPLICATION_FILES: Final[dict[Application, str]] = {
    "vgg16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "densenet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


@dataclass(frozen=True, slots=True)
class Body:
    """A network without its head, and the file its weights are from."""

    network: keras.Model  #: float32 `[n, height, width, 3]`, scaled as its authors did
    weights: str  #: the file's name
    sha256: str  #: of that file


def headless_file(path: Path, height: int, width: int, *, sha256: str | None = None) -> Body:
    """The body in a `.keras` file, rebuilt for an input size.

    The file is read once: the bytes that are hashed are the ones that are opened. Its
    configuration is looked through before Keras makes anything of it.

    Args:
        path: a functional or sequential Keras 3 model without its classifier.
        height: rows of the input it is to take, in pixels.
        width: columns of it.
        sha256: what the file's hash must be, where that is known.

    Raises:
        SetupError: it is missing, too large, not what its hash says, no Keras file, or holds
            layers that a body has no need of.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise SetupError(f"{path}: more than {MAX_FILE_BYTES:,} bytes")
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise SetupError(f"{path}: its sha256 is {found}, not {sha256}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "body.keras"
        copy.write_bytes(content)
        config = _checked_config(copy, str(path))
        try:
            network: Any = keras.saving.deserialize_keras_object(
                _resized(config, height, width), safe_mode=True
            )
            network.load_weights(copy)
        except (ValueError, TypeError, KeyError, OSError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SetupError(f"{path}: Keras cannot open it: {reason[:300]}") from None
    return Body(network, path.name, found)


def application(name: Application, height: int, width: int, weights: Path | None = None) -> Body:
    """VGG16 or DenseNet121 without its classifier, with its ImageNet weights.

    Args:
        name: which.
        height: rows of its input, in pixels; at least 32.
        width: columns of it.
        weights: the file of its weights; left out, Keras downloads it into its own cache.

    Raises:
        SetupError: the weights are neither there nor to be had. Names the file to bring.
    """
    builders: dict[Application, Callable[..., keras.Model]] = {
        "vgg16": keras.applications.VGG16,
        "densenet121": keras.applications.DenseNet121,
    }
    file = APPLICATION_FILES[name]
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models" / file
    try:
        network = builders[name](
            include_top=False,
            weights="imagenet" if weights is None else str(weights),
            input_shape=(height, width, 3),
        )
    # Keras raises a bare Exception when a download fails.
    except Exception as error:  # noqa: BLE001
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SetupError(
            f"no ImageNet weights for {name}: bring {file} from the keras.applications releases "
            f"and name it with --weights, or put it at {cached} ({reason[:200]})"
        ) from None
    used = weights or cached
    return Body(network, used.name, hashlib.sha256(used.read_bytes()).hexdigest())


def pooled(features: Any) -> Any:
    """One vector a photo out of a body's output, whether it is a map or pooled already."""
    return layers.GlobalAveragePooling2D()(features) if len(features.shape) == 4 else features


def _checked_config(path: Path, name: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
                raise SetupError(f"{name}: its config.json is too large")
            config: Any = json.loads(archive.read("config.json"))
        wrapped = [config] if config["class_name"] in {"Functional", "Sequential"} else []
        inner = [layer for model in wrapped for layer in model["config"]["layers"]]
        foreign = {
            layer["class_name"]
            for layer in inner
            if layer["class_name"] not in ALLOWED_LAYERS
            or layer["module"] != "keras.layers"
            or layer.get("registered_name")
        }
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SetupError(f"{name}: not a .keras file: {type(error).__name__}") from None
    if not inner:
        raise SetupError(f"{name}: a {config['class_name']}, not a plain network of layers")
    if foreign:
        raise SetupError(f"{name}: has layers that are not allowed: {', '.join(sorted(foreign))}")
    return dict(config)


def _resized(config: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    inputs = [
        layer["config"]
        for layer in config["config"]["layers"]
        if layer["class_name"] == "InputLayer"
    ]
    if len(inputs) != 1 or len(inputs[0]["batch_shape"]) != 4:
        raise ValueError("it does not take one batch of pictures")
    inputs[0]["batch_shape"] = [None, height, width, 3]
    # What Keras remembers of its building has the old size in it.
    return {key: value for key, value in config.items() if key != "build_config"}
