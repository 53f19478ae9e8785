"""Plain rows that are stepped over count as those that the parser is given."""

import random

import pytest

from stocktake.readers.sheets.reach import ExcelReach, OdsReach, ReachError, SharedTexts

#: Longer than what is held of a chunk.
MANY = 3_000
LENGTHS = [1, 20, 300]


def counted(reach: ExcelReach | OdsReach, data: str, size: int = 1 << 20) -> tuple[object, ...]:
    raw = data.encode()
    reach.read(raw[at : at + size] for at in range(0, len(raw), size))
    return reach.rows, reach.columns, reach.cells, reach.errors, reach.first_error


def excel(rows: str, size: int = 1 << 20) -> tuple[tuple[object, ...], int]:
    reach = ExcelReach(LENGTHS)
    return counted(reach, f"<worksheet><sheetData>{rows}</sheetData></worksheet>", size), reach.text


def excel_row(draw: random.Random, number: int) -> str:
    cells = (
        '<c r="{}"/>', '<c r="{}" s="3"><v>1.5</v></c>', '<c r="{}" t="s"><v>2</v></c>',
        '<c r="{}" s="1" t="s"><v>9</v></c>', '<c r="{}" t="b"><v>1</v></c>',
        '<c r="{}" t="str"><f>A1&amp;"x"</f><v>é</v></c>', '<c r="{}" t="e"><v>#N/A</v></c>',
        '<c t="s"><v>1</v></c>', '<c r="{}" t="inlineStr"><is><t>x</t></is></c>',
    )  # fmt: skip
    # what is not plain is rare
    weights = [9] * 6 + [0.1] * 3
    drawn = draw.choices(cells, weights, k=draw.randrange(6))
    places = (f"{letter}{number}" for letter in draw.sample("ABCDEFGXYZ", 6))
    said = "".join(each.format(place) for each, place in zip(drawn, places, strict=False))
    return draw.choice(["<row r='{}'>{}</row>"] + ['<row r="{}" spans="1:3">{}</row>'] * 30).format(
        number, said
    )


def by_the_parser(rows: str) -> str:
    """The same, so spelled that no row is plain."""
    return rows.replace("<row ", "<row  ")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [77, 70_000, 1 << 20])
def test_rows_of_excel_count_as_by_the_parser(seed: int, size: int) -> None:
    draw = random.Random(seed)
    rows = "".join(excel_row(draw, number) for number in range(1, MANY))
    assert excel(rows, size) == excel(by_the_parser(rows))


@pytest.mark.parametrize("size", [77, 70_000, 1 << 20])
def test_rows_without_a_place_follow_those_that_were_stepped_over(size: int) -> None:
    plain = '<row r="5"><c r="A5"><v>1</v></c></row><row r="7"><c r="C7"><v>1</v></c></row>'
    (rows, columns, *_), _ = excel(plain * 3 + "<row><c><v>1</v></c><c/></row>", size)
    assert (rows, columns) == (8, 3)


ROWS = '<row r="{0}"><c r="B{0}" t="s"><v>2</v></c></row>'


@pytest.mark.parametrize(
    "hidden", ["<!--{}-->", "<x><![CDATA[{}]]></x>", "<?x {}?>"], ids=["comment", "text", "other"]
)
def test_rows_that_are_none_count_for_nothing(hidden: str) -> None:
    many = "".join(ROWS.format(number) for number in range(900, 910))
    seen = ROWS.format(1) + ROWS.format(2) + ROWS.format(3)
    assert excel(seen + hidden.format(many)) == ((3, 2, 6, 0, None), 900)


@pytest.mark.parametrize("broken", ["<c r='A1'", '<x y="', "</y>", "<row>"])
def test_what_is_no_xml_is_refused_behind_plain_rows_too(broken: str) -> None:
    with pytest.raises(ReachError, match="its XML cannot be read"):
        excel(ROWS.format(1) * 9 + broken + ROWS.format(2) * 9)


def test_rows_that_are_no_utf_8_are_refused() -> None:
    row = b'<row r="1"><c r="A1" t="str"><v>\xff</v></c></row>'
    with pytest.raises(ReachError, match="its XML cannot be read"):
        ExcelReach([]).read([b"<sheetData>" + row * 5 + b"</sheetData>"])


def lengths(texts: str, size: int = 1 << 20) -> list[int]:
    shared, raw = SharedTexts(), f"<sst>{texts}</sst>".encode()
    shared.read(raw[at : at + size] for at in range(0, len(raw), size))
    return shared.lengths


@pytest.mark.parametrize("size", [77, 1 << 20])
def test_shared_texts_keep_their_order(size: int) -> None:
    plain = ["", "é" * 7, " a", "b" * 30]
    texts = "".join(f'<si><t xml:space="preserve">{each}</t></si>' for each in plain)
    hidden = f"<!--{texts}-->"
    rich = "<si><r><t>ab</t></r><r><t>c&lt;</t></r></si>"
    wanted = list(map(len, plain))
    assert lengths(texts * 50 + hidden + rich + texts, size) == [*wanted * 50, 4, *wanted]
    with pytest.raises(ReachError, match="stands in another one"):
        lengths(f"<si>{texts}</si>", size)


def ods_row(draw: random.Random) -> str:
    cells = (
        "<table:table-cell/>",
        '<table:table-cell office:value-type="float" office:value="1.5"><text:p>1,5</text:p>'
        "</table:table-cell>",
        '<table:table-cell table:style-name="a" office:value-type="string"/>',
        '<table:table-cell office:value-type="string"><text:p>é &amp; office:value-type='
        "</text:p></table:table-cell>",
        '<table:table-cell table:number-columns-repeated="3" office:value-type="string"/>',
        '<table:table-cell office:value-type="string" calcext:value-type="error"/>',
        '<table:table-cell table:style-name="b"/>',
    )
    weights = [5] * 4 + [0.1] * 3
    times = draw.choice([""] * 40 + [' table:number-rows-repeated="7"'])
    return f"<table:table-row{times}>{''.join(draw.choices(cells, weights, k=draw.randrange(6)))}"


def of_ods(data: str, size: int = 1 << 20) -> tuple[tuple[object, ...], list[object], int]:
    reach = OdsReach()
    found = counted(reach, f"<x>{data}</x>", size)
    return found, [(each.errors, each.first_error) for each in reach.sheets], reach.text


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [77, 70_000, 1 << 20])
def test_rows_of_ods_count_as_by_the_parser(seed: int, size: int) -> None:
    draw = random.Random(seed)
    tables = "".join(
        f"<table:table>{'</table:table-row>'.join([*(ods_row(draw) for _ in range(many)), ''])}"
        "</table:table>"
        for many in (MANY, 0, 40)
    )
    found, errors, text = of_ods(tables, size)
    slow = of_ods(tables.replace("<table:table-row", "<table:table-row "))
    assert (found, errors) == slow[:2]
    # never less than it is, nor more than the entry
    assert slow[2] <= text <= len(tables.encode())


def test_rows_within_a_cell_are_given_to_the_parser() -> None:
    inner = "<table:table-row><table:table-cell/></table:table-row>" * 9
    outer = '<table:table-cell table:number-columns-repeated="5" office:value-type="string">{}'
    data = (
        f"<table:table><table:table-row>{outer}</table:table-cell></table:table-row></table:table>"
    )
    data = data.format(inner)
    assert of_ods(data) == of_ods(data.replace("<table:table-row", "<table:table-row "))
