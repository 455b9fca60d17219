"""A pipeline's badge: an SVG with the pipeline's name and one word, for a README. It refers to no other file."""

from danube_pkg.core.reasons import Status

_STYLES = {
    Status.SUCCESS: ("passing", "#1a7f37"),
    Status.FAILURE: ("failing", "#c4202b"),
    Status.TIMEOUT: ("timed out", "#9a4a00"),
    Status.CANCELLED: ("cancelled", "#59626d"),
}

CHARACTER_PIXELS = 6.6
"""Average width in Verdana at 11 pixels; `textLength` then stretches the text to the computed width."""

PADDING_PIXELS = 12

_PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{left}: {right}">
<title>{left}: {right}</title>
<rect width="{width}" height="20" rx="4" fill="#3d454e"/>
<path fill="{colour}" d="M{left_width} 0h{right_stretch}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{right_stretch}z"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{left_middle}" y="14" textLength="{left_text}">{left}</text>
<text x="{right_middle}" y="14" textLength="{right_text}">{right}</text>
</g>
</svg>
"""


def badge(pipeline: str, status: Status | None) -> str:
    """The SVG. pipeline: a configured pipeline's name, which needs no escaping. status: of the newest job that has
    ended, None if none has."""
    right, colour = _STYLES[status] if status is not None else ("no runs", "#59626d")
    left_text, right_text = (round(len(word) * CHARACTER_PIXELS) for word in (pipeline, right))
    left_width, right_width = left_text + PADDING_PIXELS, right_text + PADDING_PIXELS
    return _PICTURE.format(
        left=pipeline,
        right=right,
        colour=colour,
        width=left_width + right_width,
        left_width=left_width,
        right_stretch=right_width - 4,
        left_middle=left_width / 2,
        right_middle=left_width + right_width / 2,
        left_text=left_text,
        right_text=right_text,
    )
