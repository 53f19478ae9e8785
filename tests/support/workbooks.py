"""Workbooks, as Excel and LibreOffice write them."""

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import xlsxwriter

from stocktake.readers.sheets.compound import holding

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


def xlsb(
    *cells: tuple[int, int],
    shared: str = "",
    kinds: Sequence[int] = (),
    relation: str = "rId1",
) -> bytes:
    """A workbook of records, as Excel writes it.

    Args:
        cells: the row and the column of each; its value is 1.5, or the text that they share.
        kinds: of their records, where they are no numbers.
        relation: what the workbook calls its sheet's, which is rId1.
    """
    sheet = _record(129) + _record(148, bytes(16)) + _record(145)
    for at, (row, column) in enumerate(cells):
        sheet += _record(0, struct.pack("<I13x", row))
        where = struct.pack("<II", column, 0)
        kind = kinds[at] if kinds else 7 if shared else 5
        value = struct.pack("<d", 1.5) if kind == 5 else bytes([7 * (not shared), 0, 0, 0])
        sheet += _record(kind, where + value)
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


#: As xlwt 1.3 writes one: sheet One has id, name, day, x and a formula, in three rows; Two a flag.
OLD: bytes = zlib.decompress(
    base64.b85decode(
        "c-rk)O-NKx6#njgZ+_Ep#x&5tM99jNFk7_Isi<6K7C{j~jm;#YGZRx$wkXS720^Q$jbMv5_Os|eFxmtKMlFI"
        "MaB3B;f`S%0uXE44ZyId^2g)$sH{A2?IrrZ49q&E&-sgKY8JQZrU7N)mbihE)3cy=n6I23@5(c$fmZ~~WKNZ"
        "WxqC&t=3+eUXQTa=sT0^zoSxDS6pOOSVP&t63=t`#&^$UnC979Z~7}|wNxhHXrN(eO^S0&5CESIvp$$cNQ+{"
        "BiPEZeE?l-Q5SXjjuloyYrR1Gj}p3f$u{@7U6cYCKnYeD;#C`+BfB(-#|9WDRv@8OA_M+L=ftGD@$&bp(MyL"
        "Q68)5|2-zik5o}->iDztFx~s>RtQ7+6Bn|eYV~A8@rztajyNcG=U*lhlEPz5iG$5Q?(e_nMx>i#%rs4PNt`6"
        "I|TGGPU+qkr=F=;GGPGm*dV3QDXJYiktCV=)XH)_%QotGWFXcXRD=1<2+uk*%6TW1k&L5)>k-~hVG4Qr#+TP"
        "Sdb*<r*)qiUgngT=RH4JdIW>X?hq#5Kr$h#tc*I(k=h^FWuGg}xqCWI&?5@_8?Ze#X0=G62PaES+bX7rpHPu"
        "Hx@48<%@-e!G>f@c+(^cbdqoZh`X^GQ#^&3XBXckwmC_IQdPodA9_bh9EIfMK%tYf$Im05uqwd)8GmbRv5N8"
        "~lB=gQU$(u}-jl4fepVvgrCGRU?FuYl?=*t43sClskVGb?fDneyMup1oK>R#P*m+uC*(z*cfJQ72$1B3Xn;G"
        "Eq<y*$eE|M3RZ_GSQ1Xkt|Lm3y6#&L<SRuG?BqXK22mW(L*L$CmbT9IFX@=IwZxW!l!HDCl(@+Wxjo}CbB4+"
        "$o_(aEbQTtew~m4JnJYn>n>claN)v*i+>EEUsDYI-tEz^K|cLmXNF47{Y>)TVmH$CJ5K*nZbOQm84Q+`Kg-|"
        "|jxRCKG0yiwg}ua{K|gvpj{cJKmtJE<;omdwf#E;5g-Yeml@jM)=Kld1c^?x"
    )
)


def xls(*sheets: bytes, shared: bytes = b"", more: bytes = b"", before: bytes = b"") -> bytes:
    """An old workbook of records.

    Args:
        sheets: the records of each, without those that begin and end it.
        shared: the body of the record of shared texts.
        more: records that continue it.
        before: other records of the workbook.
    """
    head = old_record(0x809, struct.pack("<HH12x", 0x600, 5)) + before
    head += (old_record(0xFC, shared) + more) if shared else b""
    whole = [old_record(0x809, struct.pack("<HH12x", 0x600, 16)) + each + END for each in sheets]
    names = [f"S{number}".encode() for number, _ in enumerate(sheets, start=1)]
    size = len(head) + sum(14 + len(name) - 2 for name in names) + len(END)
    for name, sheet in zip(names, whole, strict=True):
        head += old_record(0x85, struct.pack("<IBBBB", size, 0, 0, len(name), 0) + name)
        size += len(sheet)
    return holding(b"".join([head, END, *whole]), "Workbook")


def old_record(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


END = old_record(0x0A)


def old_number(row: int, column: int, value: float = 1.5) -> bytes:
    return old_record(0x203, struct.pack("<HHHd", row, column, 0, value))
