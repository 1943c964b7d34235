"""Shapes from numpy: boxes, turned parts, tubes, grass, leaves, pebbles. Metres, z is up."""

from __future__ import annotations

import math

import bmesh
import bpy
import numpy as np


def add(name, data, material, location=(0, 0, 0), rotation=(0, 0, 0)):
    thing = bpy.data.objects.new(name, data)
    thing.location, thing.rotation_euler = location, rotation
    data.materials.append(material)
    bpy.context.collection.objects.link(thing)
    return thing


def mesh(name, verts, faces, material, smooth=False, bevel=0.0, subdivide=0, **place):
    """An object from (n, 3) vertices and (m, k) faces, all with k corners."""
    verts, faces = np.asarray(verts, np.float32), np.asarray(faces, np.int32)
    data = bpy.data.meshes.new(name)
    data.vertices.add(len(verts))
    data.vertices.foreach_set("co", verts.ravel())
    data.loops.add(faces.size)
    data.loops.foreach_set("vertex_index", faces.ravel())
    data.polygons.add(len(faces))
    data.polygons.foreach_set("loop_start", np.arange(0, faces.size, faces.shape[1]))
    data.update(calc_edges=True)
    data.validate()
    data.polygons.foreach_set("use_smooth", np.full(len(faces), smooth or bevel > 0))
    thing = add(name, data, material, **place)
    if bevel:
        rounded = thing.modifiers.new("bevel", "BEVEL")
        rounded.width, rounded.segments, rounded.harden_normals = bevel, 3, True
    if subdivide:
        finer = thing.modifiers.new("subdivide", "SUBSURF")
        finer.levels = finer.render_levels = subdivide
    return thing


CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
CUBE_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def copies(verts, faces, centres, turns=None):
    """Many copies of one shape in one mesh; verts is (k, 3) or (n, k, 3), turns (n, 3, 3)."""
    centres = np.asarray(centres, float)
    many = np.broadcast_to(verts, (len(centres), *np.shape(verts)[-2:]))
    if turns is not None:
        many = np.einsum("nij,nkj->nki", turns, many)
    step = many.shape[1] * np.arange(len(centres))[:, None, None]
    return (many + centres[:, None]).reshape(-1, 3), (faces[None] + step).reshape(-1, faces.shape[1])


def turns(angles):
    """(n, 3, 3) rotation matrices from (n, 3) Euler angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    rows = [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def boxes(name, centres, sizes, material, bevel=0.004, tilt=0.0, seed=0, **place):
    """Bevelled boxes in one object, each turned by up to about ``tilt`` radians."""
    centres = np.atleast_2d(np.asarray(centres, float))
    sizes = np.broadcast_to(np.asarray(sizes, float), centres.shape)
    angles = np.random.default_rng(seed).normal(0, 1, centres.shape) * tilt
    parts = copies(CUBE * sizes[:, None], CUBE_FACES, centres, turns(angles))
    return mesh(name, *parts, material, bevel=bevel, **place)


def lathe(name, profile, material, segments=96, smooth=True, subdivide=0, **place):
    """The surface that (radius, height) pairs sweep around the z axis."""
    r, z = np.asarray(profile, float).T
    turn = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), np.ones(segments)], 1)
    verts = np.stack([r, r, z], 1)[:, None] * ring[None]
    i, j = np.meshgrid(np.arange(len(r) - 1), np.arange(segments), indexing="ij")
    k = (j + 1) % segments
    faces = np.stack([i * segments + j, i * segments + k, (i + 1) * segments + k, (i + 1) * segments + j], -1)
    return mesh(
        name, verts.reshape(-1, 3), faces.reshape(-1, 4), material, smooth=smooth, subdivide=subdivide, **place
    )


def tube(name, points, radius, material, closed=False, taper=None, smooth=True, **place):
    """A round rod through the points; ``taper`` scales the radius at each of them."""
    data = bpy.data.curves.new(name, "CURVE")
    data.dimensions, data.bevel_depth, data.bevel_resolution, data.use_fill_caps = "3D", radius, 4, True
    if smooth and len(points) > 2:
        line = data.splines.new("BEZIER")
        line.bezier_points.add(len(points) - 1)
        knots = line.bezier_points
        for knot, point in zip(knots, points):
            knot.co, knot.handle_left_type, knot.handle_right_type = point, "AUTO", "AUTO"
    else:
        line = data.splines.new("POLY")
        line.points.add(len(points) - 1)
        knots = line.points
        for knot, point in zip(knots, points):
            knot.co = (*point, 1)
    for knot, scale in zip(knots, taper or [1] * len(points)):
        knot.radius = scale
    line.use_cyclic_u, line.resolution_u, line.use_smooth = closed, 12, True
    return add(name, data, material, **place)


def ring(name, centre, radius, thickness, material, count=48):
    """A torus in the x-z plane."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = [(centre[0] + radius * math.cos(t), centre[1], centre[2] + radius * math.sin(t)) for t in turn]
    return tube(name, points, thickness, material, closed=True)


def plane(name, size, material, cells=1, heights=None, **place):
    """A flat or, with ``heights(x, y)``, hilly rectangle around its own origin."""
    x, y = (np.linspace(-s / 2, s / 2, cells + 1) for s in size)
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    z = np.zeros_like(grid_x) if heights is None else heights(grid_x, grid_y)
    i, j = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    at, row = i * (cells + 1) + j, cells + 1
    faces = np.stack([at, at + row, at + row + 1, at + 1], -1).reshape(-1, 4)
    verts = np.stack([grid_x, grid_y, z], -1).reshape(-1, 3)
    return mesh(name, verts, faces, material, smooth=True, **place)


def blades(name, ground, height, width, material, seed=0):
    """Grass: one bent blade at each (x, y) or (x, y, z) of ``ground``; height is the mean."""
    rng = np.random.default_rng(seed)
    ground = np.pad(np.asarray(ground, float), ((0, 0), (0, 3 - np.shape(ground)[1])))
    n = len(ground)
    tall = height * rng.lognormal(0, 0.3, n)
    bend, way = rng.beta(2, 3, n) * 1.1, rng.uniform(0, 2 * np.pi, n)
    out = np.stack([np.cos(way), np.sin(way), np.zeros(n)], 1)
    side = np.stack([-out[:, 1], out[:, 0], np.zeros(n)], 1)
    verts = []
    for t, w in ((0, 0.8), (0.4, 1.0), (0.75, 0.7), (1.0, 0.06)):
        middle = ground + out * (bend * tall * t**2)[:, None]
        middle[:, 2] += tall * t * (1 - 0.35 * bend * t)
        half = side * (width * w * rng.uniform(0.35, 0.65, n))[:, None]
        verts += [middle - half, middle + half]
    faces = np.array([[0, 1, 3, 2], [2, 3, 5, 4], [4, 5, 7, 6]])
    step = 8 * np.arange(n)[:, None, None]
    return mesh(name, np.stack(verts, 1).reshape(-1, 3), (faces + step).reshape(-1, 4), material, smooth=True)


def leaves(name, centres, size, material, seed=0):
    """One folded leaf at each centre, turned at random."""
    rng = np.random.default_rng(seed)
    shape = np.array([[0, 0, 0], [0.32, 0.45, 0.1], [0, 1, -0.05], [-0.32, 0.45, 0.1]]) * size
    n = len(centres)
    grown = shape[None] * rng.lognormal(0, 0.25, (n, 1, 1))
    turn = turns(rng.uniform(0, 2 * np.pi, (n, 3)) * [0.35, 0.35, 1])
    return mesh(name, *copies(grown, np.array([[0, 1, 2], [0, 2, 3]]), centres, turn), material)


def cloud_of(centres, radii, count, seed=0):
    """Points near the surface of ellipsoids: where a bush or a tree crown has its leaves."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, len(centres), count)
    way = rng.normal(size=(count, 3))
    way /= np.linalg.norm(way, axis=1)[:, None]
    far = rng.uniform(0.45, 1.0, count) ** 0.4 * (1 + 0.12 * np.sin(way * 9).sum(1))
    return np.asarray(centres)[which] + way * far[:, None] * np.asarray(radii)[which]


def ball_faces(subdivisions):
    """Vertices and triangles of an icosphere of radius 1."""
    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=subdivisions, radius=1)
    verts = np.array([v.co[:] for v in shape.verts])
    faces = np.array([[v.index for v in f.verts] for f in shape.faces])
    shape.free()
    return verts, faces


def stones(name, ground, size, material, subdivisions=2, seed=0, thick=(0.4, 0.75)):
    """Pebbles (or, with more ``thick``, tree crowns): lumpy spheres lying at the (x, y, z) of ``ground``."""
    rng = np.random.default_rng(seed)
    verts, faces = ball_faces(subdivisions)
    n = len(ground)
    waves = rng.normal(size=(n, 5, 3)) * 1.6
    lumps = np.sin(np.einsum("nwj,kj->nkw", waves, verts) + rng.uniform(0, 6, (n, 1, 5))).sum(2)
    shape = verts[None] * (1 + 0.09 * lumps[..., None])
    shape = shape * rng.uniform([0.7, 0.6, thick[0]], [1.2, 1.0, thick[1]], (n, 3))[:, None]
    shape = shape * (size * rng.lognormal(0, 0.35, n))[:, None, None]
    angles = rng.normal(0, 1, (n, 3)) * [0.35, 0.35, 4]
    return mesh(name, *copies(shape, faces, ground, turns(angles)), material, smooth=True)


def group(things, location=(0, 0, 0), rotation=(0, 0, 0)):
    """Put things that were built around the origin at a place, together."""
    pivot = bpy.data.objects.new("pivot", None)
    pivot.location, pivot.rotation_euler = location, rotation
    bpy.context.collection.objects.link(pivot)
    for thing in things:
        thing.parent = pivot
    return things
