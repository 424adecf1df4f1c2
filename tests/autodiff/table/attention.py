"""Rows for attention layers."""

from tests.autodiff.table.case import grid, layer
from tests.autodiff.table.masks import lower_triangle, mask


def rows():
    return [*_multi_head(), *_dot_product(), *_additive()]


def _self_attention(f, t, training, **kwargs):
    return f(t[0], t[0], training=training, **kwargs)


def _masked(f, t, training):
    return _self_attention(f, t, training, attention_mask=lower_triangle(4))


def _causal(f, t, training):
    return _self_attention(f, t, training, use_causal_mask=True)


def _multi_head():
    sizes = {
        "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
        "GroupQueryAttention": {
            "head_dim": 2,
            "num_query_heads": 2,
            "num_key_value_heads": 1,
        },
    }
    found = []
    for name, size in sizes.items():
        found += grid(
            name,
            (4, 3),
            {},
            {"dropout": 0.3, "use_bias": False},
            {"use_gate": True},
            {"flash_attention": False},
            call=_self_attention,
            **size,
        )
        found += [
            layer(name, (4, 3), call=call, settings={"option": option}, **size)
            for option, call in (
                ("attention_mask", _masked),
                ("causal", _causal),
            )
        ]
    return found


def _attend(f, t, training):
    return f([t[0], t[1]], training=training)


def _dot_product():
    return [
        *grid(
            "Attention",
            (4, 3),
            {},
            {"use_scale": True},
            {"score_mode": "concat"},
            {"dropout": 0.3},
            inputs=2,
            call=_attend,
        ),
        layer(
            "Attention",
            (4, 3),
            inputs=2,
            settings={"option": "causal, mask"},
            call=lambda f, t, training: f(
                t, mask=[mask(x) for x in t], use_causal_mask=True
            ),
        ),
    ]


def _additive():
    return grid(
        "AdditiveAttention",
        (4, 3),
        {},
        {"dropout": 0.3},
        inputs=2,
        call=_attend,
    )
