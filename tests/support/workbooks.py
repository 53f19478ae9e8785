"""Workbooks, as Excel and LibreOffice write them."""

import io
import struct
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import xlsxwriter

FORMATS = {
    date: "yyyy-mm-dd",
    datetime: "yyyy-mm-dd hh:mm:ss",
    time: "hh:mm:ss",
    timedelta: "[h]:mm:ss",
}


def xlsx(*sheets: list[list[Any]]) -> bytes:
    """A workbook as Excel writes it; its sheets are called Sheet1, Sheet2 …"""
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True}) as workbook:
        formats = {kind: workbook.add_format({"num_format": as_}) for kind, as_ in FORMATS.items()}
        for rows in sheets:
            sheet = workbook.add_worksheet()
            for number, row in enumerate(rows):
                for at, cell in enumerate(row):
                    sheet.write(number, at, cell, *filter(None, [formats.get(type(cell))]))
    return sink.getvalue()


_ODS_CONTENT = """<?xml version="1.0" encoding="UTF-8"?>{doctype}
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.2">
<office:body><office:spreadsheet><table:table table:name="Sheet1">{rows}</table:table>
</office:spreadsheet></office:body></office:document-content>"""


def ods(*rows: str, doctype: str = "", manifest: str = "") -> bytes:
    """A workbook as LibreOffice writes it, of rows of cells in XML."""
    inside = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", _ODS_CONTENT.format(rows=inside, doctype=doctype))
        archive.writestr("META-INF/manifest.xml", f"<manifest>{manifest}</manifest>")
    return sink.getvalue()


def cell(kind: str, value: str = "", text: str = "") -> str:
    stored = f' office:{"value" if kind == "float" else kind + "-value"}="{value}"' if value else ""
    paragraph = f"<text:p>{text}</text:p>" if text else ""
    return f'<table:table-cell office:value-type="{kind}"{stored}>{paragraph}</table:table-cell>'


def xlsb(*cells: tuple[int, int], shared: str = "", relation: str = "rId1") -> bytes:
    """A workbook of records, as Excel writes it.

    Args:
        cells: the row and the column of each; its value is 1.5, or the text that they share.
        relation: what the workbook calls its sheet's, which is rId1.
    """
    sheet = _record(129) + _record(148, bytes(16)) + _record(145)
    for row, column in cells:
        sheet += _record(0, struct.pack("<I13x", row))
        where = struct.pack("<II", column, 0)
        sheet += (
            _record(7, where + struct.pack("<I", 0))
            if shared
            else _record(5, where + struct.pack("<d", 1.5))
        )
    text = struct.pack("<BI", 0, len(shared)) + shared.encode("utf-16-le")
    kept = _record(159, struct.pack("<II", 1, 1)) + _record(19, text) + _record(160)
    bundle = struct.pack("<II", 0, 1) + _wide(relation) + _wide("Sheet1")
    to_sheet = (
        '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        'relationships/worksheet" Target="worksheets/sheet1.bin"/>'
    )
    entries = {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.bin": b"".join(
            [_record(131), _record(143), _record(156, bundle), _record(144), _record(132)]
        ),
        "xl/_rels/workbook.bin.rels": f"<Relationships>{to_sheet}</Relationships>",
        "xl/worksheets/sheet1.bin": sheet + _record(146) + _record(130),
    } | ({"xl/sharedStrings.bin": kept} if shared else {})
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return sink.getvalue()


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _record(kind: int, body: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
    size = len(body)
    while size > 127:
        head, size = head + bytes([size & 127 | 128]), size >> 7
    return head + bytes([size]) + body
