"""Types of operations with a gradient that no row holds, and why."""

_ARRAYS = [
    f"TensorArray{name}{version}"
    for name in ["Concat", "Gather", "Read", "Scatter", "Split", "Write"]
    for version in ["", "V2", "V3"]
]
_BY_REASON = {
    "loops, branches, arrays and references of TensorFlow 1": (
        "Enter Exit LoopCond Merge NextIteration Switch RefEnter RefExit "
        "RefIdentity RefMerge RefNextIteration RefSwitch Print "
        + " ".join(_ARRAYS)
    ),
    "the same gradient function as TensorListConcatV2 and TopKV2": (
        "TensorListConcat TopK"
    ),
    "no kernel on a CPU": (
        "AccumulateNV2 CTCLossV2 CudnnRNN CudnnRNNV2 CudnnRNNV3 "
        "SparseMatrixAdd SparseMatrixMul SparseMatrixSoftmax "
        "NcclAllReduce NcclBroadcast NcclReduce"
    ),
    "removed from TensorFlow 2": "BatchNormWithGlobalNormalization",
    "between the replicas of a TPU": (
        "AllToAll CollectivePermute CrossReplicaSum TPUEmbeddingActivations"
    ),
    "integers, which have no derivative": "ArgMax ArgMin",
    "identities for a debugger": (
        "DebugGradientIdentity DebugGradientRefIdentity DebugIdentityV2"
    ),
    "packing of composite tensors, whose parts have rows": (
        "CompositeTensorVariantFromComponents "
        "CompositeTensorVariantToComponents"
    ),
    "a rounding that TensorFlow differentiates as if it were none": (
        "FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars "
        "FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantize "
        "QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 "
        "QuantizeAndDequantizeV4 QuantizeAndDequantizeV4Grad"
    ),
    "a random sample, whose gradient is that of its distribution": (
        "RandomGamma StatelessRandomGammaV2 StatelessRandomGammaV3 "
        "StatelessParameterizedTruncatedNormal"
    ),
    "in second derivatives only, not in first ones": (
        "MaxPool3DGradGrad MaxPoolGradGrad"
    ),
    "TensorFlow's first gradient raises": "SparseSparseMaximum "
    "SparseSparseMinimum",
    "TensorFlow cannot sum two gradients of such a matrix, and raises": (
        "SparseMatrixMatMul SparseMatrixSparseMatMul"
    ),
    "TensorFlow's first gradient is wrong, the second is refused": (
        "BlockLSTMV2"
    ),
}
EXCLUDED = {reason: names.split() for reason, names in _BY_REASON.items()}
