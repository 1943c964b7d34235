"""Sky, lamps and the camera. Lengths in metres, angles in degrees; z is up."""

from __future__ import annotations

import math

import bpy
from mathutils import Vector

from materials import Nodes


def add_sky(elevation, bearing, sun=3.0, strength=0.12, clouds=0.0, soft=0.6, warmth=0.0, haze=1.0):
    """Add a physical sky with a sun lamp; ``bearing`` is clockwise from +y."""
    elevation_, azimuth = math.radians(elevation), math.radians(bearing)
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world, world.use_nodes = world, True
    world.node_tree.nodes.clear()
    n = Nodes(world.node_tree)
    sky_colour = n(
        "TexSky", sky_type="NISHITA", sun_disc=False, sun_elevation=elevation_, sun_rotation=azimuth, dust_density=haze
    )
    if clouds:
        direction = n("TexCoord", out="Generated")
        z = n("SeparateXYZ", direction, out=2)
        plane_point = n.vector("DIVIDE", direction, n.to_vector(n.math("MAXIMUM", n.math("ADD", z, 0.12), 0.05)))
        cloud = n.ramp(n.noise(1.1, 12, 0.6, plane_point, (1, 1, 0)), (0.62 - 0.25 * clouds, 0.0), (0.78, 1.0))
        sky_colour = n.mix(n.math("MULTIPLY", cloud, 0.85), sky_colour, (6.5, 6.6, 7.0))
    n.set_output("OutputWorld", n("Background", sky_colour, strength))
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 512
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy, lamp.angle = sun, math.radians(soft)
    lamp.color = (1, 1 - 0.25 * warmth, 1 - 0.55 * warmth)
    direction = Vector(
        (math.sin(azimuth) * math.cos(elevation_), math.cos(azimuth) * math.cos(elevation_), math.sin(elevation_))
    )
    point_at(bpy.data.objects.new("sun", lamp), direction * 20, (0, 0, 0))


def add_even_light(colour, strength):
    """Add the same faint light from everywhere, as the rest of a room reflects it."""
    world = bpy.data.worlds.new("room")
    bpy.context.scene.world, world.use_nodes = world, True
    background = world.node_tree.nodes["Background"]
    background.inputs[0].default_value, background.inputs[1].default_value = (*colour, 1), strength


def add_lamp(location, target, size, power, colour=(1, 1, 1)):
    """Add a rectangular light, such as a window."""
    data = bpy.data.lights.new("lamp", "AREA")
    data.shape, data.size, data.size_y = "RECTANGLE", *size
    data.energy, data.color = power, colour
    return point_at(bpy.data.objects.new("lamp", data), location, target)


def add_sunbeam(source, target, power, colour=(1, 0.85, 0.65), soft=0.7):
    """Add sunlight from the direction of ``source``, without a sky."""
    data = bpy.data.lights.new("beam", "SUN")
    data.energy, data.color, data.angle = power, colour, math.radians(soft)
    return point_at(bpy.data.objects.new("beam", data), source, target)


def add_camera(location, target, lens=40, fstop=5.6, focus=None, roll=0.0):
    data = bpy.data.cameras.new("camera")
    data.lens, data.dof.use_dof, data.dof.aperture_fstop = lens, True, fstop
    data.dof.focus_distance = (Vector(focus or target) - Vector(location)).length
    data.clip_end = 5000
    camera_ = point_at(bpy.data.objects.new("camera", data), location, target)
    camera_.rotation_euler.rotate_axis("Z", math.radians(roll))
    bpy.context.scene.add_camera = camera_


def point_at(object_, location, target):
    object_.location = location
    object_.rotation_euler = (Vector(target) - Vector(location)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.collection.objects.link(object_)
    return object_
