"""Read the tensors in an ONNX file, by its wire format: a message of numbered fields.

The graph itself is not run. Only the few fields that hold tensors, and the names that a node
reads, are decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segment2inpaint.errors import BadModel

# Numbers of the fields in ModelProto, GraphProto, NodeProto and TensorProto.
GRAPH = 7
NODE, INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_OPERATION = 1, 2, 4
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
DTYPES: dict[int, str] = {1: "<f4", 10: "<f2"}  # data types of weights
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # wire types

Fields = dict[int, list["int | memoryview"]]


class OnnxNode(NamedTuple):
    """A node of a graph: its operation and the names of the tensors around it."""

    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class OnnxGraph(NamedTuple):
    """The nodes of a graph in the order in which they run, and its weights by name."""

    nodes: tuple[OnnxNode, ...]
    tensors: dict[str, NDArray[np.float32]]


def read_onnx(file: Path) -> OnnxGraph:
    """Return the graph in an ONNX file. Raises ``BadModel`` if it is not readable."""
    try:
        graph = _fields(_bytes(_fields(memoryview(file.read_bytes()))[GRAPH][-1]))
        nodes = tuple(_read_node(_bytes(node)) for node in graph.get(NODE, []))
        tensors = dict(_read_tensors(graph))
    except (OSError, KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
        raise BadModel(f"{file}: not a readable .onnx file; download it again") from error
    for node in nodes:  # a tensor that several nodes read under several names is stored once
        if node.operation == "Identity" and node.inputs[0] in tensors:
            tensors[node.outputs[0]] = tensors[node.inputs[0]]
    return OnnxGraph(nodes, tensors)


def _read_node(data: memoryview) -> OnnxNode:
    fields = _fields(data)
    operation = "".join(_texts(fields, NODE_OPERATION))
    return OnnxNode(operation, _texts(fields, NODE_INPUT), _texts(fields, NODE_OUTPUT))


def _read_tensors(graph: Fields) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the weights of a graph; tensors of integers are left out."""
    for message in graph.get(INITIALIZER, []):
        fields = _fields(_bytes(message))
        data_type = fields[DATA_TYPE][0]
        dtype = DTYPES.get(data_type) if isinstance(data_type, int) else None
        if dtype and RAW_DATA in fields:
            values = np.frombuffer(_bytes(fields[RAW_DATA][0]), dtype).astype(np.float32)
            yield _texts(fields, NAME)[0], values.reshape(_dims(fields))


def _dims(fields: Fields) -> list[int]:
    """Return the shape of a tensor; writers may pack it into one field."""
    shape: list[int] = []
    for value in fields.get(DIMS, []):
        shape += [value] if isinstance(value, int) else _packed_varints(value)
    return shape


def _packed_varints(data: memoryview) -> list[int]:
    numbers, position = [], 0
    while position < len(data):
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers


def _fields(data: memoryview) -> Fields:
    """Return the fields of a message by their number; fields of a fixed size are left out."""
    fields: Fields = {}
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, position = _varint(data, position)
            fields.setdefault(number, []).append(value)
        elif wire_type == BYTES:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("truncated")
            fields.setdefault(number, []).append(data[position : position + length])
            position += length
        elif wire_type in (FIXED_32, FIXED_64):
            position += 4 if wire_type == FIXED_32 else 8
        else:
            raise ValueError(f"wire type {wire_type}")
    return fields


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return the number of variable length at a position, and the position after it."""
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where bytes are expected")
    return value


def _texts(fields: Fields, number: int) -> tuple[str, ...]:
    return tuple(bytes(_bytes(value)).decode() for value in fields.get(number, []))
