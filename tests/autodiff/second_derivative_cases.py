"""Every layer, activation and loss of Keras, with the options that change
its mathematics, and what its second derivative is expected to be."""

import dataclasses
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

layers, activations, losses = keras.layers, keras.activations, keras.losses

EXACT, REFUSED, NONE = "exact", "refused", "not differentiable"


@dataclasses.dataclass
class Case:
    """One row of the table.

    Args:
        export: Name under which Keras exports it, such as `layers.Dense`.
        option: What distinguishes this row, as a user would write it.
        make: Callable without arguments that returns a callable on tensors: a
            layer, an activation, a loss. None for what computes nothing.
        shapes: Shapes of the inputs of one sample.
        call: How it is called on (object, tensors, training).
        expected: EXACT, REFUSED or NONE.
        reason: Why it is refused or not differentiable.
        dtype: "float32" where TensorFlow's kernel has no float64.
        range: Interval that the inputs lie in.
        size: Magnitude of the outputs, where it is not that of the inputs.
        jit: Whether XLA compiles it.
        overwrites: Whether a call in training mode overwrites the weights, so
            that the Hessian is that at the weights it leaves.
        kernels: "jit" where TensorFlow has kernels on a CPU under XLA only.
    """

    export: str
    option: str
    make: Callable | None = None
    shapes: tuple = ((3,),)
    call: Callable | None = None
    expected: str = EXACT
    reason: str = ""
    dtype: str = "float64"
    range: tuple = (-1.0, 1.0)
    size: float | None = None
    training: bool = True
    jit: bool = True
    kernels: str = "all"
    overwrites: bool = False

    @property
    def random(self):
        """Whether a call in training mode draws random numbers."""
        words = ("Dropout", "dropout", "Noise")
        return any(word in self.name for word in words)

    @property
    def name(self):
        return f"{self.export} {self.option}".strip()


def _option(kwargs):
    return ", ".join(f"{key}={value!r}" for key, value in kwargs.items())


def layer(name, shape, *, call=None, inputs=1, settings=None, **kwargs):
    """A row for a layer; `settings` go to the row, the rest to the layer."""
    settings = dict(settings or {})
    option = settings.pop("option", _option(kwargs))
    return Case(
        f"layers.{name}",
        option,
        lambda: getattr(layers, name)(**kwargs),
        (shape,) * inputs,
        call,
        **settings,
    )


def grid(name, shape, *options, settings=None, **common):
    """Rows for one layer, one for each dictionary of options."""
    return [
        layer(name, shape, settings=settings, **{**common, **option})
        for option in options or ({},)
    ]


CONV = {"filters": 2, "kernel_size": 2}
CHANNELS_FIRST = {"data_format": "channels_first"}
JIT = {"kernels": "jit"}
FLOAT32 = {"dtype": "float32"}
IMAGE = {"dtype": "float32", "range": (20.0, 230.0)}


def _convolutions():
    rows = []
    for rank, shape in ((1, (5, 4)), (2, (5, 4, 4)), (3, (4, 3, 3, 4))):
        rows += grid(
            f"Conv{rank}D",
            shape,
            {},
            {"padding": "same"},
            {"strides": 2},
            {"dilation_rate": 2},
            {"groups": 2},
            {"activation": "tanh", "use_bias": False},
            **CONV,
        )
        rows += grid(
            f"Conv{rank}DTranspose",
            shape,
            {},
            {"strides": 2, "padding": "same"},
            {"strides": 2, "output_padding": 1},
            **CONV,
        )
        if rank != 3:
            rows += grid(
                f"Conv{rank}DTranspose",
                shape,
                {"dilation_rate": 2},
                settings={"kernels": "jit"},
                **CONV,
            )
    rows += grid("Conv1D", (5, 4), {"padding": "causal"}, **CONV)
    for rank, shape in ((1, (5, 4)), (2, (5, 4, 4))):
        options = [
            {},
            {"padding": "same", "depth_multiplier": 2},
            {"strides": 2},
            {"dilation_rate": 2},
        ]
        rows += grid(f"DepthwiseConv{rank}D", shape, *options, kernel_size=2)
        rows += grid(f"SeparableConv{rank}D", shape, *options, **CONV)
    return rows


def _channels_first():
    rows = []
    for rank, shape in ((1, (4, 5)), (2, (4, 5, 4)), (3, (4, 4, 3, 3))):
        kernels = {} if rank == 3 else JIT
        rows += grid(
            f"Conv{rank}D", shape, CHANNELS_FIRST, settings=kernels, **CONV
        )
        rows += grid(
            f"AveragePooling{rank}D",
            shape,
            CHANNELS_FIRST,
            pool_size=2,
            settings=FLOAT32 if rank == 3 else {},
        )
        rows += grid(f"GlobalMaxPooling{rank}D", shape, CHANNELS_FIRST)
        rows += grid(f"GlobalAveragePooling{rank}D", shape, CHANNELS_FIRST)
    rows += grid(
        "Conv2DTranspose", (4, 5, 4), CHANNELS_FIRST, settings=JIT, **CONV
    )
    rows += grid("UpSampling2D", (4, 3, 3), CHANNELS_FIRST)
    rows += grid("ZeroPadding2D", (4, 3, 3), CHANNELS_FIRST)
    rows += grid("Cropping2D", (4, 3, 3), CHANNELS_FIRST, cropping=1)
    rows += grid("Flatten", (4, 3, 3), CHANNELS_FIRST)
    return rows


def _pooling():
    rows = []
    for rank, shape in ((1, (5, 2)), (2, (5, 4, 2)), (3, (4, 4, 4, 2))):
        kernel = FLOAT32 if rank == 3 else {}
        options = [
            {"pool_size": 2},
            {"pool_size": 3, "strides": 1, "padding": "same"},
        ]
        rows += grid(f"AveragePooling{rank}D", shape, *options, settings=kernel)
        rows += grid(f"MaxPooling{rank}D", shape, *options, settings=kernel)
        rows += grid(f"GlobalAveragePooling{rank}D", shape)
        rows += grid(f"GlobalMaxPooling{rank}D", shape, {"keepdims": True})
        rows += grid(
            f"AdaptiveAveragePooling{rank}D",
            shape,
            output_size=2,
            settings=kernel,
        )
        rows += grid(
            f"AdaptiveMaxPooling{rank}D",
            shape,
            output_size=2,
            settings=kernel,
        )
        rows += grid(f"UpSampling{rank}D", shape, size=2)
        rows += grid(f"ZeroPadding{rank}D", shape)
        rows += grid(f"Cropping{rank}D", shape, cropping=1)
        rows += grid(f"SpatialDropout{rank}D", shape, rate=0.5)
    rows += grid(
        "GlobalAveragePooling1D",
        (5, 2),
        settings={"option": "mask"},
        call=lambda f, t, training: f(t[0], mask=_mask(t[0])),
    )
    rows += grid(
        "UpSampling2D",
        (3, 4, 2),
        {"interpolation": "bilinear"},
        {"interpolation": "bicubic"},
        {"interpolation": "lanczos3"},
        {"interpolation": "lanczos5"},
        settings=FLOAT32,
    )
    return rows


def _mask(x):
    """All but the last two steps of every sample."""
    steps = tf.range(tf.shape(x)[1])[tf.newaxis] < tf.shape(x)[1] - 2
    return tf.repeat(steps, tf.shape(x)[0], axis=0)


def _normalization():
    rows = grid(
        "BatchNormalization",
        (4,),
        {},
        {"center": False, "scale": False},
        {"synchronized": True},
    )
    rows += grid("BatchNormalization", (3, 4, 2), {}, {"axis": 1})
    rows += grid(
        "BatchNormalization",
        (4,),
        settings={"training": False, "option": "training=False"},
    )
    rows += grid(
        "BatchNormalization",
        (5, 2),
        settings={"option": "mask"},
        call=lambda f, t, training: f(t[0], training=True, mask=_mask(t[0])),
    )
    rows += grid(
        "BatchNormalization",
        (4,),
        renorm=True,
        settings={
            "expected": REFUSED,
            "reason": "renorm stops the gradient at its correction by design",
        },
    )
    rows += grid(
        "LayerNormalization",
        (3, 4),
        {},
        {"axis": 1},
        {"axis": (1, 2)},
        {"center": False, "scale": False},
    )
    rows += grid("GroupNormalization", (3, 4), {}, {"groups": -1}, groups=2)
    rows += grid("GroupNormalization", (4, 3, 3), {"axis": 1}, groups=2)
    rows += grid("RMSNormalization", (3, 4))
    rows += grid("UnitNormalization", (3, 4), {}, {"axis": 1})
    rows += grid("Normalization", (4,), mean=0.1, variance=2.0)
    rows += grid("Normalization", (4,), mean=0.1, variance=2.0, invert=True)
    rows += [
        Case(
            "layers.SpectralNormalization",
            f"Dense, training={training}",
            lambda: layers.SpectralNormalization(layers.Dense(3)),
            ((4,),),
            training=training,
            overwrites=training,
        )
        for training in (True, False)
    ]
    return rows


def _recurrent():
    rows = []
    options = (
        {},
        {"return_sequences": True, "go_backwards": True},
        {"unroll": True},
        {"dropout": 0.3, "recurrent_dropout": 0.3},
    )
    for name in ("SimpleRNN", "GRU", "LSTM"):
        rows += grid(name, (3, 2), *options, units=2)
        rows += grid(
            name,
            (3, 2),
            units=2,
            stateful=True,
            # The state of the step before is given, not differentiated.
            call=lambda f, t, training: (f.reset_state(), f(t[0]))[1],
        )
        rows += grid(
            name,
            (4, 2),
            units=2,
            settings={"option": "mask"},
            call=lambda f, t, training: f(t[0], mask=_mask(t[0])),
        )
        rows.append(
            Case(
                f"layers.{name}Cell",
                "",
                lambda name=name: getattr(layers, f"{name}Cell")(2),
                ((3,), (2,)),
                _call_cell,
            )
        )
    rows += grid("GRU", (3, 2), units=2, reset_after=False)
    rows += grid("LSTM", (3, 2), units=2, return_state=True)
    for rank, shape in (
        (1, (3, 4, 2)),
        (2, (2, 3, 3, 2)),
        (3, (2, 3, 2, 2, 2)),
    ):
        rows += grid(
            f"ConvLSTM{rank}D",
            shape,
            {},
            *(
                [
                    {"return_sequences": True, "padding": "same"},
                    {"go_backwards": True, "recurrent_dropout": 0.3},
                ]
                if rank == 2
                else []
            ),
            **CONV,
        )
    rows += [
        Case(
            "layers.RNN",
            f"{option}",
            make,
            ((3, 2),),
        )
        for option, make in (
            ("LSTMCell", lambda: layers.RNN(layers.LSTMCell(2))),
            (
                "unroll=True",
                lambda: layers.RNN(layers.GRUCell(2), unroll=True),
            ),
        )
    ]
    rows += [
        Case(
            "layers.StackedRNNCells",
            "in RNN",
            lambda: layers.RNN(
                layers.StackedRNNCells([layers.GRUCell(2), layers.LSTMCell(2)])
            ),
            ((3, 2),),
        ),
        Case(
            "layers.Bidirectional",
            "GRU",
            lambda: layers.Bidirectional(layers.GRU(2)),
            ((3, 2),),
        ),
        Case(
            "layers.Bidirectional",
            "LSTM, merge_mode='mul', return_sequences=True",
            lambda: layers.Bidirectional(
                layers.LSTM(2, return_sequences=True), merge_mode="mul"
            ),
            ((3, 2),),
        ),
        Case(
            "layers.TimeDistributed",
            "Dense",
            lambda: layers.TimeDistributed(layers.Dense(2, activation="tanh")),
            ((3, 2),),
        ),
    ]
    return rows


def _call_cell(cell, tensors, training):
    state = tensors[1]
    states = [state, state] if isinstance(cell.state_size, list) else [state]
    return cell(tensors[0], states, training=training)


def _attention():
    def self_attention(f, t, training, **kwargs):
        return f(t[0], t[0], training=training, **kwargs)

    def masked(f, t, training):
        return self_attention(f, t, training, attention_mask=_pairs(4))

    def causal(f, t, training):
        return self_attention(f, t, training, use_causal_mask=True)

    heads = {"num_heads": 2, "key_dim": 2}
    groups = {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1}
    rows = []
    for name, sizes in (
        ("MultiHeadAttention", heads),
        ("GroupQueryAttention", groups),
    ):
        rows += grid(
            name,
            (4, 3),
            {},
            {"dropout": 0.3, "use_bias": False},
            {"use_gate": True},
            {"flash_attention": False},
            call=self_attention,
            **sizes,
        )
        for option, call in (("attention_mask", masked), ("causal", causal)):
            rows += grid(
                name, (4, 3), call=call, settings={"option": option}, **sizes
            )

    def attend(f, t, training):
        return f([t[0], t[1]], training=training)

    rows += grid(
        "Attention",
        (4, 3),
        {},
        {"use_scale": True},
        {"score_mode": "concat"},
        {"dropout": 0.3},
        inputs=2,
        call=attend,
    )
    rows += grid(
        "Attention",
        (4, 3),
        inputs=2,
        settings={"option": "causal, mask"},
        call=lambda f, t, training: f(
            t, mask=[_mask(x) for x in t], use_causal_mask=True
        ),
    )
    rows += grid(
        "AdditiveAttention", (4, 3), {}, {"dropout": 0.3}, inputs=2, call=attend
    )
    return rows


def _pairs(length):
    return tf.constant(np.tri(length, dtype=bool)[np.newaxis])


def _merging():
    rows = []
    for name in (
        "Add",
        "Subtract",
        "Multiply",
        "Average",
        "Maximum",
        "Minimum",
        "Concatenate",
    ):
        rows += grid(name, (3, 2), inputs=2, call=_call_list)
        function = name.lower()
        rows.append(
            Case(
                f"layers.{function}",
                "",
                lambda function=function: getattr(layers, function),
                ((3, 2),) * 2,
                lambda f, t, training: f(t),
            )
        )
    rows.append(
        Case(
            "layers.dot",
            "axes=1",
            lambda: lambda t: layers.dot(t, axes=1),
            ((3, 2),) * 2,
            lambda f, t, training: f(t),
        )
    )
    rows += grid(
        "Dot",
        (3, 2),
        {"axes": 1},
        {"axes": 2, "normalize": True},
        inputs=2,
        call=_call_list,
    )
    return rows


def _call_list(f, tensors, training):
    return f(tensors)


def _core():
    rows = grid("Dense", (4,), {}, {"activation": "tanh"}, units=2)
    rows += grid("Dense", (4,), units=2, lora_rank=1, settings=FLOAT32)
    rows += grid("Dense", (3, 4), units=2, use_bias=False)
    rows += [
        layer(
            "EinsumDense",
            (3, 4),
            equation="abc,cd->abd",
            output_shape=(None, 2),
            bias_axes="d",
        ),
        layer("Activation", (4,), activation="tanh"),
        layer("Identity", (4,)),
        layer("Masking", (3, 4)),
        layer("Reshape", (3, 4), target_shape=(4, 3)),
        layer("Permute", (3, 4), dims=(2, 1)),
        layer("RepeatVector", (4,), n=3),
        layer("Flatten", (3, 2)),
        layer("Rescaling", (4,), scale=2.0, offset=0.1),
        layer("ActivityRegularization", (4,), l2=0.1),
        layer("Dropout", (4,), rate=0.4),
        layer("AlphaDropout", (4,), rate=0.4),
        layer("GaussianDropout", (4,), rate=0.4),
        layer("GaussianNoise", (4,), stddev=0.4),
        layer("Softmax", (3, 4)),
        layer("Softmax", (3, 4), axis=(1, 2)),
        layer("ELU", (4,), alpha=0.7),
        layer("LeakyReLU", (4,)),
        layer("ReLU", (4,), max_value=0.5, negative_slope=0.2, threshold=0.1),
        layer("PReLU", (4,), alpha_initializer="ones"),
        layer("PReLU", (3, 4), alpha_initializer="ones", shared_axes=[1]),
        Case(
            "layers.Lambda",
            "x³",
            lambda: layers.Lambda(lambda x: x**3),
            ((4,),),
        ),
        Case(
            "layers.Pipeline",
            "Rescaling",
            lambda: layers.Pipeline([layers.Rescaling(2.0)]),
            ((4,),),
        ),
        Case(
            "layers.Embedding",
            "",
            lambda: OnIntegers(layers.Embedding(4, 2)),
            ((3,),),
        ),
        Case(
            "layers.Embedding",
            "mask_zero=True, lora_rank=1",
            lambda: OnIntegers(
                layers.Embedding(4, 2, mask_zero=True, lora_rank=1)
            ),
            ((3,),),
            dtype="float32",
        ),
        Case(
            "layers.ReversibleEmbedding",
            "reverse=True",
            lambda: layers.ReversibleEmbedding(4, 3),
            ((2, 3),),
            lambda f, t, training: f(t[0], reverse=True),
        ),
        Case(
            "layers.ReversibleEmbedding",
            "tie_weights=False, logit_soft_cap=2",
            lambda: layers.ReversibleEmbedding(
                4, 3, tie_weights=False, logit_soft_cap=2
            ),
            ((2, 3),),
            lambda f, t, training: f(t[0], reverse=True),
        ),
    ]
    return rows


class OnIntegers(keras.layers.Layer):
    """Looks integers up, and adds the tensor so that it has a curvature."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        integers = tf.range(tf.size(x)) % 4
        rows = self.inner(tf.reshape(integers, tf.shape(x)))
        return rows * x[..., tf.newaxis]


def _audio():
    rows = grid(
        "STFTSpectrogram",
        (16, 1),
        {},
        {"mode": "psd"},
        {"mode": "magnitude"},
        {"mode": "real"},
        {"mode": "imag"},
        frame_length=8,
        frame_step=4,
        fft_length=8,
    )
    rows += grid(
        "STFTSpectrogram",
        (16, 1),
        mode="angle",
        frame_length=8,
        settings={
            "option": "mode='angle'",
            "expected": NONE,
            "reason": "the angle jumps where a spectrum is real and negative",
        },
    )
    rows += grid(
        "MelSpectrogram",
        (64,),
        fft_length=16,
        sequence_stride=8,
        num_mel_bins=4,
        sampling_rate=100,
        settings={"option": "", **FLOAT32},
    )
    return rows


_IMAGE_LAYERS = {
    "AugMix": {},
    "AutoContrast": {},
    "CenterCrop": {"height": 2, "width": 2},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 2)},
    "CutMix": {},
    "Equalization": {},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.2},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {
        "brightness_factor": 0.2,
        "contrast_factor": 0.2,
        "saturation_factor": 0.2,
        "hue_factor": 0.1,
    },
    "RandomContrast": {"factor": 0.3},
    "RandomCrop": {"height": 3, "width": 3},
    "RandomElasticTransform": {},
    "RandomErasing": {},
    "RandomFlip": {},
    "RandomGaussianBlur": {},
    "RandomGrayscale": {"factor": 1.0},
    "RandomHue": {"factor": 0.2},
    "RandomInvert": {},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.1},
    "RandomSaturation": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.5},
    "RandomShear": {"x_factor": 0.2, "y_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "Solarization": {"threshold_factor": 0.5},
}


_HUE = "TensorFlow gives the conversion from hue no gradient"
_ROUNDING = {
    "AugMix": "mixes operations that round pixels",
    "ContrastLimitedAdaptiveHistogramEqualization": "counts rounded pixels",
    "Equalization": "counts rounded pixels",
    "RandAugment": "mixes operations that round pixels",
    "RandomColorJitter": _HUE,
    "RandomHue": _HUE,
    "RandomPosterization": "rounds pixels",
    "RandomSaturation": _HUE,
}


def _images():
    rows = []
    for name, kwargs in _IMAGE_LAYERS.items():
        reason = _ROUNDING.get(name, "")
        settings = {
            **IMAGE,
            "jit": False,
            "option": "",
            "expected": NONE if reason else EXACT,
            "reason": reason,
        }
        shape = (8, 8, 3) if "Equal" in name else (5, 5, 3)
        rows += grid(name, shape, settings=settings, **kwargs)
    for interpolation in ("bilinear", "nearest", "bicubic", "lanczos3"):
        rows += grid(
            "Resizing",
            (4, 4, 2),
            interpolation=interpolation,
            height=6,
            width=3,
            settings={**FLOAT32, "option": f"interpolation={interpolation!r}"},
        )
    rows += grid(
        "Resizing",
        (6, 6, 2),
        height=3,
        width=4,
        antialias=True,
        settings={**FLOAT32, "option": "antialias=True"},
    )
    return rows


def _saved():
    """A layer that runs a SavedModel, its gradient restored from the file."""

    def make():
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(3, activation="tanh"),
                layers.LayerNormalization(),
            ]
        )
        with tempfile.TemporaryDirectory() as folder:
            model.export(folder, verbose=False)
            return layers.TFSMLayer(folder, call_endpoint="serve")

    return [
        Case(
            "layers.TFSMLayer",
            "LayerNormalization",
            make,
            ((4,),),
            lambda f, t, training: f(t[0]),
        )
    ]


_NO_NUMBERS = {
    "CategoryEncoding": "its input are integers",
    "Discretization": "piecewise constant",
    "HashedCrossing": "its input are integers or strings",
    "Hashing": "its input are integers or strings",
    "IntegerLookup": "its input are integers",
    "StringLookup": "its input are strings",
    "TextVectorization": "its input are strings",
    "MaxNumBoundingBoxes": "works on bounding boxes, not on features",
    "FlaxLayer": "runs under the JAX backend only",
    "JaxLayer": "runs JAX code, of which TensorFlow holds no second derivative",
    "TorchModuleWrapper": "runs under the PyTorch backend only",
    "Input": "computes nothing",
    "InputLayer": "computes nothing",
    "InputSpec": "computes nothing",
    "Layer": "computes nothing",
    "Wrapper": "computes nothing",
    "deserialize": "computes nothing",
    "serialize": "computes nothing",
}


def _without_numbers():
    return [
        Case(f"layers.{name}", "", expected=NONE, reason=reason)
        for name, reason in _NO_NUMBERS.items()
    ]


_ACTIVATIONS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh",
    "tanh_shrink",
]


def activation(name, option="", **kwargs):
    return Case(
        f"activations.{name}",
        option or _option(kwargs),
        lambda: lambda x: getattr(activations, name)(x, **kwargs),
        ((3, 4),),
        lambda f, t, training: f(t[0]),
        range=(-3.0, 3.0),
    )


def _activations():
    rows = [activation(name) for name in _ACTIVATIONS]
    rows += [
        activation("gelu", approximate=True),
        activation("threshold", threshold=0.5, default_value=0.1),
        activation("relu", negative_slope=0.1, max_value=1.0, threshold=0.2),
        activation("elu", alpha=0.5),
        activation("softmax", axis=1),
        activation("log_softmax", axis=1),
        activation("sparsemax", axis=1),
    ]
    rows += [
        Case(
            f"activations.{name}", "", expected=NONE, reason="computes nothing"
        )
        for name in ("deserialize", "serialize", "get")
    ]
    return rows


_REAL = np.array([[0.2, -0.4, 0.7], [1.1, 0.3, -0.6], [-0.9, 0.5, 0.1]])
_SIGNS = np.sign(_REAL)
_BINARY = (_SIGNS + 1) / 2
_SHARES = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.0, 1.0, 0.0]])
_CLASSES = np.array([[2], [0], [1]])
_POSITIVE = np.array([[0.2, 1.4, 2.7], [1.1, 0.3, 3.6], [0.9, 0.5, 0.1]])


def loss(name, labels, range=(-1.0, 1.0), settings=None, **kwargs):
    return Case(
        f"losses.{name}",
        _option(kwargs),
        lambda: getattr(losses, name)(**kwargs),
        ((3,),),
        lambda f, t, training: f(labels, t[0]),
        range=range,
        **(settings or {}),
    )


def _losses():
    share, logits = (0.05, 0.95), (-2.0, 2.0)
    rows = []
    for name in ("BinaryCrossentropy", "BinaryFocalCrossentropy"):
        rows += [
            loss(name, _BINARY, share),
            loss(name, _BINARY, logits, from_logits=True),
            loss(name, _BINARY, share, label_smoothing=0.1),
        ]
    for name in ("CategoricalCrossentropy", "CategoricalFocalCrossentropy"):
        rows += [
            loss(name, _SHARES, share),
            loss(name, _SHARES, logits, from_logits=True),
            loss(name, _SHARES, share, label_smoothing=0.1),
        ]
    rows += [
        loss("SparseCategoricalCrossentropy", _CLASSES, share),
        loss(
            "SparseCategoricalCrossentropy", _CLASSES, logits, from_logits=True
        ),
        loss(
            "SparseCategoricalCrossentropy",
            _CLASSES,
            logits,
            from_logits=True,
            ignore_class=1,
        ),
        loss("CategoricalGeneralizedCrossEntropy", _SHARES, share),
        loss("CategoricalHinge", _SHARES),
        loss("CosineSimilarity", _REAL),
        loss("Dice", _BINARY, share),
        loss("Tversky", _BINARY, share),
        loss("Hinge", _SIGNS),
        loss("SquaredHinge", _SIGNS),
        loss("Huber", _REAL),
        loss("Huber", _REAL, delta=0.3),
        loss("KLDivergence", _SHARES, share),
        loss("LogCosh", _REAL),
        loss("MeanAbsoluteError", _REAL),
        loss("MeanAbsolutePercentageError", _REAL, settings={"size": 200.0}),
        loss("MeanSquaredError", _REAL),
        loss("MeanSquaredError", _REAL, reduction="sum"),
        loss("MeanSquaredLogarithmicError", _POSITIVE, (0.1, 2.0)),
        loss("Poisson", _POSITIVE, (0.1, 2.0)),
    ]
    rows += [
        Case(
            "losses.CTC",
            "",
            losses.CTC,
            ((5, 4),),
            lambda f, t, training: f(np.array([[1, 2], [2, 1], [3, 1]]), t[0]),
            expected=REFUSED,
            reason="TensorFlow has no derivative of its gradient",
            dtype="float32",
        ),
        Case(
            "losses.Circle",
            "",
            losses.Circle,
            ((3,),),
            # A sample without a partner of its class has a second derivative
            # of NaN, which is TensorFlow's of logsumexp over nothing.
            lambda f, t, training: f(
                np.array([0, 1, 0, 0, 1, 0]),
                tf.concat([t[0], 0.5 * t[0] + 0.1], 0),
            ),
            size=100.0,
        ),
        Case(
            "losses.CategoricalCrossentropy",
            "labels that depend on the weights, from_logits=True",
            lambda: losses.CategoricalCrossentropy(from_logits=True),
            ((3,), (3,)),
            lambda f, t, training: f(tf.nn.softmax(t[0]), t[1]),
        ),
    ]
    rows += [_loss_function(row) for row in rows if not row.option]
    rows += [
        Case(f"losses.{name}", "", expected=NONE, reason="computes nothing")
        for name in ("deserialize", "serialize", "get", "Loss")
    ]
    return rows


_FUNCTIONS = {
    "BinaryCrossentropy": "binary_crossentropy",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CTC": "ctc",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "CategoricalGeneralizedCrossEntropy": (
        "categorical_generalized_cross_entropy"
    ),
    "CategoricalHinge": "categorical_hinge",
    "Circle": "circle",
    "CosineSimilarity": "cosine_similarity",
    "Dice": "dice",
    "Hinge": "hinge",
    "Huber": "huber",
    "KLDivergence": "kl_divergence",
    "LogCosh": "log_cosh",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredError": "mean_squared_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Poisson": "poisson",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky",
}


def _loss_function(row):
    name = _FUNCTIONS[row.export.removeprefix("losses.")]

    def make():
        if name == "categorical_generalized_cross_entropy":
            return lambda y, x: losses.categorical_generalized_cross_entropy(
                y, x, q=0.5
            )
        return getattr(losses, name)

    return dataclasses.replace(row, export=f"losses.{name}", make=make)


CASES = [
    *_core(),
    *_convolutions(),
    *_channels_first(),
    *_pooling(),
    *_normalization(),
    *_recurrent(),
    *_attention(),
    *_merging(),
    *_audio(),
    *_images(),
    *_saved(),
    *_without_numbers(),
    *_activations(),
    *_losses(),
]
