# SPDX-License-Identifier: Apache-2.0
"""SVG plots of samples, by hand: a page of text needs no library."""
import math

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 56, 40, 32, 16


def distribution(title: str, values: list) -> str:
    """How many of 100 took at most so long; the times are on a logarithmic axis."""
    ordered = sorted(value for value in values if value > 0) or [1.0]
    low, high = math.floor(math.log10(ordered[0])), math.ceil(math.log10(ordered[-1]) + 1e-9)
    high = max(high, low + 1)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    def y(share: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="20">{title} (n = {len(values)})</text>']
    for share in (0, 0.25, 0.5, 0.75, 0.99, 1):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(share):.1f}" y2="{y(share):.1f}" stroke="#ddd"/>')
        if share != 1:
            parts.append(f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{100 * share:.0f} %</text>')
    for power in range(low, high + 1):
        parts.append(f'<line x1="{x(10 ** power):.1f}" x2="{x(10 ** power):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(10 ** power):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10 ** power:g}</text>')
    steps = [ordered[min(len(ordered) - 1, len(ordered) * i // 400)] for i in range(401)]
    line = " ".join(f"{x(value):.1f},{y(i / 400):.1f}" for i, value in enumerate(steps))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1565c0" stroke-width="2"/>')
    return "\n".join(parts) + "\n</svg>\n"
