"""Numbers and pictures for TensorBoard, which need not be installed here."""

import io

import tensorflow as tf

from keras_curvature.plots import plot_spectral_density

_METADATA = tf.compat.v1.SummaryMetadata
_DPI = 100


class CurvatureWriter:
    """Writes measurements into a folder.

    Args:
        log_dir: Path of the folder.
    """

    def __init__(self, log_dir):
        self._writer = tf.summary.create_file_writer(str(log_dir))

    def write(self, step, measurement):
        """One measurement.

        Args:
            step: Int.
            measurement: `Measurement`.
        """
        with self._writer.as_default(step=step):
            for name, value in measurement.numbers.items():
                _write(name, tf.constant(value, tf.float32), _metadata(1))
            picture = _picture_of(measurement.density)
            if picture is not None:
                _write("spectral_density", picture, _metadata(3))
        self._writer.flush()

    def close(self):
        self._writer.close()


def _write(name, tensor, metadata):
    tf.summary.write(f"curvature/{name}", tensor, metadata=metadata)


def _metadata(data_class):
    """What TensorBoard shows it with.

    `tf.summary.scalar` and `tf.summary.image` would need TensorBoard.

    Args:
        data_class: Int of its `DataClass`: 1 for scalars, 3 for pictures.
    """
    names = {1: "scalars", 3: "images"}
    plugin = _METADATA.PluginData(plugin_name=names[data_class])
    return _METADATA(plugin_data=plugin, data_class=data_class)


def _picture_of(density):
    """Width, height and PNG of the density, a tensor of strings, or None."""
    if density is None:
        return None
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    # A figure of its own, whatever pyplot and its backend show.
    figure = Figure(figsize=(6, 4), dpi=_DPI, layout="constrained")
    plot_spectral_density(density, ax=figure.add_subplot())
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI)
    width, height = (figure.get_size_inches() * _DPI).round().astype(int)
    return tf.constant([str(width), str(height), png.getvalue()])
