"""Procedural materials: every texture is computed, none is loaded."""

from __future__ import annotations

import bpy


class Nodes:
    """A shader written as expressions: each call adds a node and returns one of its outputs.

    Positional arguments and capitalised names are inputs (a value or another node's output),
    lower-case names are the node's own settings.
    """

    def __init__(self, tree):
        self.tree = tree

    def __call__(self, kind, *inputs, out=0, **named):
        node = self.tree.nodes.new("ShaderNode" + kind)
        for key, value in [*sorted(named.items(), reverse=True), *enumerate(inputs)]:
            if isinstance(key, str) and key.islower():
                setattr(node, key, value)
            elif value is not None:
                self.set_input(node.inputs[key if isinstance(key, int) else key.replace("_", " ")], value)
        return node.outputs[out]

    def set_output(self, kind, shader):
        self.tree.links.new(shader, self.tree.nodes.new("ShaderNode" + kind).inputs[0])

    def set_input(self, socket, value):
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif socket.type == "RGBA" and len(value) == 3:
            socket.default_value = (*value, 1)
        else:
            socket.default_value = value

    def math(self, operation, *inputs):
        return self("Math", *inputs, operation=operation)

    def vector(self, operation, *inputs):
        return self("VectorMath", *inputs, operation=operation)

    def mix(self, factor, a, b, blend="MIX"):
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type = "RGBA", blend
        for at, value in ((0, factor), (6, a), (7, b)):
            self.set_input(node.inputs[at], value)
        return node.outputs[2]

    def ramp(self, factor, *stops):
        """Return colours (or grey levels), interpolated between positions."""
        node = self.tree.nodes.new("ShaderNodeValToRGB")
        for _ in stops[2:]:
            node.color_ramp.elements.new(0.5)
        for element, (position, colour) in zip(node.color_ramp.elements, stops):
            colour = (colour,) * 3 if isinstance(colour, float) else colour
            element.position, element.color = position, (*colour, 1)
        self.set_input(node.inputs[0], factor)
        return node.outputs[0]

    def noise(self, scale, detail=5.0, rough=0.55, at=None, stretch=(1, 1, 1), distortion=0.0):
        where = at if at is not None else self.object_coordinates()
        if stretch != (1, 1, 1):
            where = self.vector("MULTIPLY", where, stretch)
        return self("TexNoise", Vector=where, Scale=scale, Detail=detail, Roughness=rough, Distortion=distortion)

    def object_coordinates(self):
        return self("TexCoord", out="Object")

    def random_per_piece(self):
        """Return a random number for each separate piece of the mesh."""
        return self("NewGeometry", out="Random Per Island")

    def piece_coordinates(self):
        """Return object coordinates that differ from piece to piece."""
        return self.vector(
            "ADD",
            self.object_coordinates(),
            self.vector("MULTIPLY", self.to_vector(self.random_per_piece()), (71, 37, 53)),
        )

    def to_vector(self, value):
        return self("CombineXYZ", value, value, value)

    def bump(self, height, strength, distance=0.01, normal=None):
        return self("Bump", Height=height, Strength=strength, Distance=distance, Normal=normal)


def make_material(name, build_shader):
    """Return a material; ``build_shader(nodes)`` returns a shader or the inputs of a Principled one."""
    created = bpy.data.materials.new(name)
    created.use_nodes = True
    created.node_tree.nodes.clear()
    nodes = Nodes(created.node_tree)
    shader = build_shader(nodes)
    if isinstance(shader, dict):
        shader = nodes("BsdfPrincipled", **shader)
    nodes.set_output("OutputMaterial", shader)
    return created


def wood(name, dark, light, along="x", rough=0.45, grain=1.0, wear=0.3, coat=0.0):
    """Return sawn boards: long fibres, a tint per board, worn patches."""
    stretch = {"x": (0.06, 1, 1), "y": (1, 0.06, 1), "z": (1, 1, 0.06)}[along]

    def shader(n):
        coordinates = n.piece_coordinates()
        rings = n.noise(14 * grain, 6, 0.6, coordinates, stretch, 1.2)
        fibre = n.noise(160 * grain, 4, 0.7, coordinates, stretch)
        tint = n.ramp(
            n.math("ADD", n.math("MULTIPLY", rings, 0.75), n.math("MULTIPLY", fibre, 0.25)),
            (0.35, dark),
            (0.65, light),
        )
        tint = n(
            "HueSaturation",
            Hue=n.math("MULTIPLY_ADD", n.random_per_piece(), 0.02, 0.49),
            Saturation=n.math("MULTIPLY_ADD", n.random_per_piece(), 0.25, 0.85),
            Value=n.math("MULTIPLY_ADD", n.random_per_piece(), 0.5, 0.75),
            Color=tint,
        )
        stain = n.ramp(n.noise(2.5, 6, 0.65), (0.42, 1.0), (0.7, 0.62))
        return {
            "Base_Color": n.mix(wear, tint, n.mix(1.0, tint, stain, "MULTIPLY")),
            "Roughness": n.math("MULTIPLY_ADD", n.noise(5, 6), 0.35, rough - 0.15),
            "Normal": n.bump(fibre, 0.25, 0.002),
            "Coat_Weight": coat,
            "Coat_Roughness": 0.2,
        }

    return make_material(name, shader)


def paint(name, colour, rough=0.4, lumps=0.1, lump_size=60.0, dirt=0.15, metal=0.0, coat=0.0, **more):
    """Return an even material with small faults: dust, smears, an uneven surface."""

    def shader(n):
        smear = n.noise(4, 5, 0.65)
        dusty = n.mix(n.math("MULTIPLY", n.ramp(smear, (0.45, 0.0), (0.75, 1.0)), dirt), colour, (0.20, 0.17, 0.13))
        return {
            "Base_Color": dusty,
            "Metallic": metal,
            "Coat_Weight": coat,
            "Coat_Roughness": 0.08,
            "Roughness": n.math("MULTIPLY_ADD", smear, 0.3, rough - 0.15),
            "Normal": n.bump(n.noise(lump_size, 4), lumps, 0.004),
            **more,
        }

    return make_material(name, shader)


def mineral(name, colours, speckle=0.5, scale=40.0, rough=0.8, depth=0.004, blotch=3.0):
    """Return brick, stone, soil or concrete: a colour per piece, blotches, grains, a rough surface."""

    def shader(n):
        coordinates = n.piece_coordinates()
        steps = [(i / max(1, len(colours) - 1), c) for i, c in enumerate(colours)]
        base = n.ramp(
            n.math(
                "ADD",
                n.math("MULTIPLY", n.random_per_piece(), 0.75),
                n.math("MULTIPLY", n.noise(blotch, 6, 0.6, coordinates), 0.3),
            ),
            *steps,
        )
        grain = n.noise(scale, 6, 0.75, coordinates)
        fine = n.ramp(grain, (0.3, 1.0 - speckle), (0.7, 1.0 + 0.3 * speckle))
        weather = n.ramp(n.noise(0.9, 6, 0.6), (0.35, 0.75), (0.65, 1.05))
        base = n.mix(1.0, n.mix(1.0, base, fine, "MULTIPLY"), weather, "MULTIPLY")
        return {
            "Base_Color": base,
            "Roughness": n.math("MULTIPLY_ADD", grain, 0.3, rough - 0.15),
            "Normal": n.bump(grain, 0.8, depth),
        }

    return make_material(name, shader)


def foliage(name, colours, shine=0.45):
    """Return leaves or grass: a colour per leaf, translucent."""

    def shader(n):
        steps = [(i / max(1, len(colours) - 1), c) for i, c in enumerate(colours)]
        tint = n.ramp(n.random_per_piece(), *steps)
        patch = n.ramp(n.noise(1.2, 5), (0.35, 0.72), (0.65, 1.1))
        tint = n.mix(1.0, tint, patch, "MULTIPLY")
        front = n("BsdfPrincipled", Base_Color=tint, Roughness=shine)
        back = n("BsdfTranslucent", n.mix(1.0, tint, (1.0, 1.25, 0.5), "MULTIPLY"))
        return n("MixShader", 0.35, front, back)

    return make_material(name, shader)
