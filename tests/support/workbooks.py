"""Workbooks, as Excel and LibreOffice write them."""

import io
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
