"""segment2inpaint as ComfyUI nodes: copy this folder into ``custom_nodes``."""

from .nodes import (  # noqa: TID252 - a pack does not know the name of its folder
    NODE_CLASS_MAPPINGS,
    NODE_DISPLAY_NAME_MAPPINGS,
)

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
