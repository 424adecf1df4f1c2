"""Rows for recurrent layers, their cells and wrappers."""

from keras import layers

from tests.autodiff.table.case import Case, grid, layer
from tests.autodiff.table.masks import mask

_SEQUENCE = (3, 2)


def rows():
    return [
        *(row for name in ("SimpleRNN", "GRU", "LSTM") for row in _unit(name)),
        *grid("GRU", _SEQUENCE, units=2, reset_after=False),
        *grid("LSTM", _SEQUENCE, units=2, return_state=True),
        *_convolutional(),
        *_around_cells(),
        *_wrappers(),
    ]


def _unit(name):
    return [
        *grid(
            name,
            _SEQUENCE,
            {},
            {"return_sequences": True, "go_backwards": True},
            {"unroll": True},
            {"dropout": 0.3, "recurrent_dropout": 0.3},
            units=2,
        ),
        layer(
            name,
            _SEQUENCE,
            units=2,
            stateful=True,
            # The state of the step before is given, not differentiated.
            call=lambda f, t, training: (f.reset_state(), f(t[0]))[1],
        ),
        layer(
            name,
            (4, 2),
            units=2,
            settings={"option": "mask"},
            call=lambda f, t, training: f(t[0], mask=mask(t[0])),
        ),
        Case(
            f"layers.{name}Cell",
            "",
            lambda: getattr(layers, f"{name}Cell")(2),
            ((3,), (2,)),
            _call_cell,
        ),
    ]


def _call_cell(cell, tensors, training):
    state = tensors[1]
    states = [state, state] if isinstance(cell.state_size, list) else [state]
    return cell(tensors[0], states, training=training)


def _convolutional():
    sizes = {"filters": 2, "kernel_size": 2}
    return [
        *grid("ConvLSTM1D", (3, 4, 2), **sizes),
        *grid(
            "ConvLSTM2D",
            (2, 3, 3, 2),
            {},
            {"return_sequences": True, "padding": "same"},
            {"go_backwards": True, "recurrent_dropout": 0.3},
            **sizes,
        ),
        *grid("ConvLSTM3D", (2, 3, 2, 2, 2), **sizes),
    ]


def _sequence_row(export, option, make):
    return Case(f"layers.{export}", option, make, (_SEQUENCE,))


def _around_cells():
    return [
        _sequence_row(
            "RNN", "LSTMCell", lambda: layers.RNN(layers.LSTMCell(2))
        ),
        _sequence_row(
            "RNN",
            "unroll=True",
            lambda: layers.RNN(layers.GRUCell(2), unroll=True),
        ),
        _sequence_row(
            "StackedRNNCells",
            "in RNN",
            lambda: layers.RNN(
                layers.StackedRNNCells([layers.GRUCell(2), layers.LSTMCell(2)])
            ),
        ),
    ]


def _wrappers():
    return [
        _sequence_row(
            "Bidirectional", "GRU", lambda: layers.Bidirectional(layers.GRU(2))
        ),
        _sequence_row(
            "Bidirectional",
            "LSTM, merge_mode='mul', return_sequences=True",
            lambda: layers.Bidirectional(
                layers.LSTM(2, return_sequences=True), merge_mode="mul"
            ),
        ),
        _sequence_row(
            "TimeDistributed",
            "Dense",
            lambda: layers.TimeDistributed(layers.Dense(2, activation="tanh")),
        ),
    ]
