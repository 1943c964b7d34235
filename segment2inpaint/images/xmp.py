"""Keep what XMP says of a panorama's projection and of the angles of a drone's camera.

The rest may describe or show what was removed (thumbnails, depth maps, names of faces, history)
and is dropped. The properties are read with regular expressions: packets in the wild are often
not well-formed, and only short values in fixed namespaces are copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMESPACES = {
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "GSpherical": "http://ns.google.com/videos/1.0/spherical/",
    "drone-dji": "http://www.dji.com/drone-dji/1.0/",
    "Camera": "http://pix4d.com/camera/1.0/",
}
_STRUCTURE = {"x", "rdf", "xml", *_NAMESPACES}
_NAME = rf"({'|'.join(_NAMESPACES)}):(\w{{1,64}})"
_VALUE = r"([\w.,:;+/()\- ]{1,100})"
_ATTRIBUTE = re.compile(rf"{_NAME}\s*=\s*[\"']{_VALUE}[\"']")
_ELEMENT = re.compile(rf"<{_NAME}>\s*{_VALUE}\s*</\1:\2>")
_PREFIX = re.compile(r"xmlns:([\w-]+)\s*=")


def projection(packet: bytes) -> bytes:
    """Return a packet with the properties of a packet that are kept; empty if there are none."""
    properties = dict(_properties(_text(packet)))
    if not properties:
        return b""
    used = dict.fromkeys(prefix for prefix, _ in properties)
    namespaces = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in used)
    values = "".join(f' {prefix}:{name}="{v}"' for (prefix, name), v in properties.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{namespaces}{values}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def dropped(packet: bytes) -> str:
    """Return what ``projection`` leaves out, in words; empty for nothing."""
    if not packet.strip(b"\0 "):
        return ""
    others = sorted(set(_PREFIX.findall(_text(packet))) - _STRUCTURE)
    if others:
        return f"XMP ({', '.join(others)})"
    return "" if projection(packet) else "XMP"


def _text(packet: bytes) -> str:
    encoding = "utf-16" if packet[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return packet.decode(encoding, "replace")


def _properties(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    for pattern in (_ATTRIBUTE, _ELEMENT):
        for match in pattern.finditer(text):
            yield (match[1], match[2]), match[3]
