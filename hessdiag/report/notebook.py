"""What notebooks show of a result: its text, and its picture inside the page."""

import base64
import html
import io

from matplotlib.figure import Figure


def shown(text: str, figure: Figure | None, alt: str) -> str:
    """HTML of a text as it is, with a figure below it, if there is one."""
    if figure is None:
        return f"<pre>{html.escape(text)}</pre>"
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    data = base64.b64encode(file.getvalue()).decode()
    picture = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
    return f"<pre>{html.escape(text)}</pre>{picture}"
