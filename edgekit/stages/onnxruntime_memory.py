"""What onnxruntime takes of a machine's memory, as coefficients; measured with version 1.31.

    weight_copies      pre-packing frees each tensor, but the heap keeps its pages
    layouts            of a convolution it keeps what it parsed, the tensor made of that, and that
                       tensor in blocks of channels
    layout_copies      while one weight is put into blocks, its source, its result and the
                       description of the result exist besides; the heap keeps their pages too,
                       and tensors are large enough to get pages of their own
    activation_copies  the first run allocates each tensor apart, those after it all in one arena,
                       and the pages of the first stay
    margin             covers what the heap does on top; see benchmarks/segment_memory.py

They hold on a processor, with one thread and all optimisations.
"""

from edgekit.memory_model import MemoryEquations

__all__ = ["ONNXRUNTIME_MEMORY"]

ONNXRUNTIME_MEMORY = MemoryEquations(
    weight_copies=2,
    layouts=(("Conv", 3),),
    layout_copies=3,
    activation_copies=2,
    least_share=0.9,
    margin=0.25,
)
