"""Functions of `keras.ops` that no row holds, and why."""

_BY_REASON = {
    "one or two operations of TensorFlow that have rows above": (
        "abs absolute add amax amin arccos arccosh arcsin arcsinh "
        "arctan arctanh array_split average_pool broadcast_to cast "
        "cholesky clip concatenate cond conj conjugate conv "
        "conv_transpose convert_to_tensor copy cos cosh cumsum "
        "depth_to_space depthwise_conv det divide dsplit eigh einsum "
        "elu erfinv exp expand_dims expm1 fabs fft2 flip fliplr flipud "
        "fori_loop full full_like get_item hsplit identity ifft2 imag "
        "inv leaky_relu log log10 log1p log_softmax map matmul max_pool "
        "maximum mean meshgrid min minimum mod moments moveaxis "
        "multiply negative qr ravel real reciprocal relu relu6 "
        "repeat reshape roll rsqrt saturate_cast segment_max "
        "segment_min segment_sum selu sigmoid silu sin sinh slice "
        "softplus softsign solve solve_triangular space_to_depth "
        "sparse_categorical_crossentropy split sqrt square squeeze "
        "stack subtract swapaxes swish switch tan tanh tile top_k "
        "transpose true_divide unstack vectorized_map vsplit where "
        "while_loop"
    ),
    "a result that does not change with the input, or in steps only": (
        "all allclose any arange argmax argmin argpartition argsort "
        "bincount bitwise_and bitwise_invert bitwise_left_shift "
        "bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil "
        "count_nonzero digitize equal floor floor_divide gcd greater "
        "greater_equal heaviside histogram in_top_k isclose isfinite "
        "isin isinf isnan isneginf isposinf isreal lcm left_shift less "
        "less_equal logical_and logical_not logical_or logical_xor "
        "matrix_rank multi_hot nanargmax nanargmin ndim nonzero "
        "not_equal one_hot right_shift round searchsorted sign signbit "
        "size trunc unique unravel_index view shape dtype is_tensor "
        "ctc_decode"
    ),
    "arrays made of no input, or of copies that are no tensors": (
        "array bartlett blackman convert_to_numpy empty empty_like eye "
        "hamming hanning identity kaiser ones ones_like tri zeros zeros_like"
    ),
    "derivatives that are given, or none by definition": (
        "custom_gradient stop_gradient"
    ),
    "not for functions that are traced, or not on TensorFlow": (
        "corrcoef kron vectorize"
    ),
    "of complex numbers only": "angle",
    "in single precision only, by Keras": "exp2",
    "TensorFlow's first gradient raises": "lu_factor slice_update",
}
EXCLUDED = {reason: names.split() for reason, names in _BY_REASON.items()}
