"""Sky, lamps and the camera. Metres, z is up; angles in degrees."""

from __future__ import annotations

import math

import bpy
from mathutils import Vector

from materials import Nodes


def sky(elevation, bearing, sun=3.0, strength=0.12, clouds=0.0, soft=0.6, warmth=0.0, haze=1.0):
    """A physical sky with a sun lamp; angles in degrees, bearing clockwise from +y."""
    up, round_ = math.radians(elevation), math.radians(bearing)
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world, world.use_nodes = world, True
    world.node_tree.nodes.clear()
    n = Nodes(world.node_tree)
    air = n("TexSky", sky_type="NISHITA", sun_disc=False, sun_elevation=up, sun_rotation=round_, dust_density=haze)
    if clouds:
        way = n("TexCoord", out="Generated")
        part = n("SeparateXYZ", way, out=2)
        flat = n.vector("DIVIDE", way, n.grey(n.math("MAXIMUM", n.math("ADD", part, 0.12), 0.05)))
        puff = n.ramp(n.noise(1.1, 12, 0.6, flat, (1, 1, 0)), (0.62 - 0.25 * clouds, 0.0), (0.78, 1.0))
        air = n.mix(n.math("MULTIPLY", puff, 0.85), air, (6.5, 6.6, 7.0))
    n.end("OutputWorld", n("Background", air, strength))
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 512
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy, lamp.angle = sun, math.radians(soft)
    lamp.color = (1, 1 - 0.25 * warmth, 1 - 0.55 * warmth)
    way = Vector((math.sin(round_) * math.cos(up), math.cos(round_) * math.cos(up), math.sin(up)))
    _aim(bpy.data.objects.new("sun", lamp), way * 20, (0, 0, 0))


def even_light(colour, strength):
    """The same faint light from everywhere: what the rest of a room throws back."""
    world = bpy.data.worlds.new("room")
    bpy.context.scene.world, world.use_nodes = world, True
    background = world.node_tree.nodes["Background"]
    background.inputs[0].default_value, background.inputs[1].default_value = (*colour, 1), strength


def lamp(location, target, size, power, colour=(1, 1, 1)):
    """A rectangular light, such as a window."""
    data = bpy.data.lights.new("lamp", "AREA")
    data.shape, data.size, data.size_y = "RECTANGLE", *size
    data.energy, data.color = power, colour
    return _aim(bpy.data.objects.new("lamp", data), location, target)


def sunbeam(source, target, power, colour=(1, 0.85, 0.65), soft=0.7):
    """Sunlight from the direction of ``source``, without a sky."""
    data = bpy.data.lights.new("beam", "SUN")
    data.energy, data.color, data.angle = power, colour, math.radians(soft)
    return _aim(bpy.data.objects.new("beam", data), source, target)


def camera(location, target, lens=40, fstop=5.6, focus=None, roll=0.0):
    data = bpy.data.cameras.new("camera")
    data.lens, data.dof.use_dof, data.dof.aperture_fstop = lens, True, fstop
    data.dof.focus_distance = (Vector(focus or target) - Vector(location)).length
    data.clip_end = 5000
    seen = _aim(bpy.data.objects.new("camera", data), location, target)
    seen.rotation_euler.rotate_axis("Z", math.radians(roll))
    bpy.context.scene.camera = seen


def _aim(thing, location, target):
    thing.location = location
    thing.rotation_euler = (Vector(target) - Vector(location)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(thing)
    return thing
