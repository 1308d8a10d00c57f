"""Tables of pyarrow's as record batches of a schema."""

from __future__ import annotations

from typing import Any


def batches_of(table: Any, schema: Any, most: int | None = None) -> list[Any]:
    """Return a table as record batches of a schema, each of at most so many rows.

    A field that is never NULL may still be inside of something that is. Casts refuse that: the
    types are loose first, and then such fields lose what says where NULL is, as in Spark's arrays.
    """
    import pyarrow as pa

    loose = pa.schema([pa.field(each.name, _loose(each.type)) for each in schema])
    batches: list[Any] = table.cast(loose).to_batches(max_chunksize=most)
    if loose.types == schema.types:
        return [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches]
    return [_strict_batch(batch, schema) for batch in batches]


def _strict_batch(batch: Any, schema: Any) -> Any:
    import pyarrow as pa

    whole = pa.ipc.read_record_batch(batch.serialize(), batch.schema)  # no array begins later
    columns = [_strict(column, each) for column, each in zip(whole.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _loose(kind: Any) -> Any:
    """Return a type in all of whose parts there may be NULL."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([pa.field(each.name, _loose(each.type)) for each in kind])
    if pa.types.is_map(kind):
        return pa.map_(_loose(kind.key_type), _loose(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(pa.field(kind.value_field.name, _loose(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(pa.field(kind.value_field.name, _loose(kind.value_type)))
    return kind


def _strict(array: Any, field: Any) -> Any:
    """Return an array of a loose type as one of a field's."""
    import pyarrow as pa

    kind, buffers, children = field.type, array.buffers(), []
    if pa.types.is_null(kind):
        return array
    if pa.types.is_struct(kind):
        children = [_strict(array.field(i), each) for i, each in enumerate(kind)]
        buffers = buffers[:1]
    elif pa.types.is_map(kind):
        fields = [kind.key_field, kind.item_field]
        parts = [_strict(*pair) for pair in zip((array.keys, array.items), fields, strict=True)]
        children, buffers = [pa.StructArray.from_arrays(parts, fields=fields)], buffers[:2]
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        children, buffers = [_strict(array.values, kind.value_field)], buffers[:2]
    valid = buffers[0] if field.nullable else None
    return pa.Array.from_buffers(kind, len(array), [valid, *buffers[1:]], children=children)
