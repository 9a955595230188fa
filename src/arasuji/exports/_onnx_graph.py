"""A torch module as a graph of ONNX: traced, compared with the module, and in 8 bits where asked for."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from arasuji.errors import OptionError, first_line, out_of_memory
from arasuji.exports._readback import require_same

ANY_SIZE = 2**62
"""Matrices are turned when the graph is made, however large they are."""
BLOCK = 32
"""The numbers of a matrix that share a scale in 8 bits."""


def traced(
    module: nn.Module,
    example: tuple[Any, ...],
    other: tuple[Any, ...],
    sizes: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
) -> Any:
    """The graph of a module, an ONNXProgram of torch.

    `example` are arguments of the module; `sizes` has, for each of their tensors, the dimensions that may have another
    size, with their names; `inputs` and `outputs` name all tensors in order. For `other`, arguments of other sizes,
    ONNX Runtime has to compute what the module does.

    Raises OptionError, one line, where that is not so, or where the module cannot be traced.
    """
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                dynamic_shapes=sizes,
                input_names=inputs,
                output_names=outputs,
                verbose=False,
            )
            assert program is not None
            pairs = list(zip(module(*other), program(*other), strict=True))
    except Exception as error:  # what an architecture makes the exporter stumble over may be any error
        if out_of_memory(error):
            raise
        cause: BaseException = error
        while cause.__cause__:  # the outer ones say how far the exporter came
            cause = cause.__cause__
        reason = first_line(cause)
        raise OptionError(f"this model cannot be written as ONNX ({reason}): say --to hf") from error
    for ours, theirs in pairs:
        require_same("ONNX Runtime", ours, theirs)
    return program


def save_in_8_bits(program: Any, path: Path) -> None:
    """Write a graph with 8-bit weights.

    A matrix has a scale for every 32 numbers, and so has what it is multiplied with, which is rounded as it comes. With
    one scale for all of the latter, ONNX Runtime's usual way, SmolLM2-135M needs a tenth more bits: a few of its
    numbers are far larger than the others. Those of an LSTM lie between -1 and 1, so the usual way serves there, and
    for tables that are looked up.
    """
    with _quiet():
        import onnx_ir
        from onnxruntime.quantization import quantize_dynamic
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
        from onnxruntime.quantization.onnx_model import ONNXModel
        from onnxscript import optimizer

        optimizer.optimize_ir(program.model, input_size_limit=ANY_SIZE, output_size_limit=ANY_SIZE)
        graph = ONNXModel(onnx_ir.to_proto(program.model))
        graph.replace_gemm_with_matmul()
        graph.topological_sort()
        matrices = MatMulNBitsQuantizer(graph.model, bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=4)
        matrices.process()
        quantize_dynamic(matrices.model.model, path, op_types_to_quantize=["Gather", "LSTM"], per_channel=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is said of how a graph is made; nor to the makers of ONNX Runtime, which would send them an account of
    each model. One of the modules sets up Python's logging when it is imported, which is taken back."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    root = logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
