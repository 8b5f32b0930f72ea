"""Whether an ONNX graph keeps weights in other files, told from its bytes (without the onnx package)."""

from collections.abc import Iterator

# Fields that lead to tensors, by message: field number -> message (onnx.proto3, IR version 10).
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto


def has_external_data(graph: bytes) -> bool:
    """Whether any tensor of the graph says that its values lie in another file.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    waiting = [("model", 0, len(graph))]
    while waiting:
        message, start, end = waiting.pop()
        for field, at, stop in _fields(graph, start, end):
            if message == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and graph[at] != 0)):
                return True
            if (inner := _INSIDE[message].get(field)) is not None:
                waiting.append((inner, at, stop))
    return False


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each field's value in one message (protobuf's wire format)."""
    while at < end:
        key, at = _number(data, at, end)
        wire = key & 7
        if wire == 0:
            _, stop = _number(data, at, end)
        elif wire in (1, 5):
            stop = at + (8 if wire == 1 else 4)
        elif wire == 2:
            length, at = _number(data, at, end)
            stop = at + length
        else:
            raise ValueError("a wire type that ONNX does not use")
        if stop > end:
            raise ValueError("a field reaches beyond its message")
        yield key >> 3, at, stop
        at = stop


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")
