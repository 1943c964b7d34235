"""Shapes made with numpy: boxes, lathed parts, tubes, grass, leaves, pebbles. In metres, z is up."""

from __future__ import annotations

import math

import bmesh
import bpy
import numpy as np


def _add_object(name, data, material, location=(0, 0, 0), rotation=(0, 0, 0)):
    object_ = bpy.data.objects.new(name, data)
    object_.location, object_.rotation_euler = location, rotation
    data.materials.append(material)
    bpy.context.collection.objects.link(object_)
    return object_


def add_mesh(name, verts, faces, material, smooth=False, bevel=0.0, subdivide=0, **placement):
    """Add an object from (n, 3) vertices and (m, k) faces, all with k corners."""
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
    object_ = _add_object(name, data, material, **placement)
    if bevel:
        bevel_modifier = object_.modifiers.new("bevel", "BEVEL")
        bevel_modifier.width, bevel_modifier.segments, bevel_modifier.harden_normals = bevel, 3, True
    if subdivide:
        subdivision = object_.modifiers.new("subdivide", "SUBSURF")
        subdivision.levels = subdivision.render_levels = subdivide
    return object_


CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
CUBE_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def repeat_mesh(verts, faces, centres, rotations=None):
    """Return many copies of a shape as one mesh; verts is (k, 3) or (n, k, 3), rotations (n, 3, 3)."""
    centres = np.asarray(centres, float)
    meshes = np.broadcast_to(verts, (len(centres), *np.shape(verts)[-2:]))
    if rotations is not None:
        meshes = np.einsum("nij,nkj->nki", rotations, meshes)
    step = meshes.shape[1] * np.arange(len(centres))[:, None, None]
    return (meshes + centres[:, None]).reshape(-1, 3), (faces[None] + step).reshape(-1, faces.shape[1])


def rotations(angles):
    """Return (n, 3, 3) rotation matrices of (n, 3) Euler angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    rows = [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def add_boxes(name, centres, sizes, material, bevel=0.004, tilt=0.0, seed=0, **placement):
    """Add bevelled boxes as one object, each rotated by up to about ``tilt`` radians."""
    centres = np.atleast_2d(np.asarray(centres, float))
    sizes = np.broadcast_to(np.asarray(sizes, float), centres.shape)
    angles = np.random.default_rng(seed).normal(0, 1, centres.shape) * tilt
    parts = repeat_mesh(CUBE * sizes[:, None], CUBE_FACES, centres, rotations(angles))
    return add_mesh(name, *parts, material, bevel=bevel, **placement)


def add_lathe(name, profile, material, segments=96, smooth=True, subdivide=0, **placement):
    """Add the surface of revolution of (radius, height) pairs around the z axis."""
    r, z = np.asarray(profile, float).T
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles), np.ones(segments)], 1)
    verts = np.stack([r, r, z], 1)[:, None] * circle[None]
    i, j = np.meshgrid(np.arange(len(r) - 1), np.arange(segments), indexing="ij")
    k = (j + 1) % segments
    faces = np.stack([i * segments + j, i * segments + k, (i + 1) * segments + k, (i + 1) * segments + j], -1)
    return add_mesh(
        name, verts.reshape(-1, 3), faces.reshape(-1, 4), material, smooth=smooth, subdivide=subdivide, **placement
    )


def add_tube(name, points, radius, material, closed=False, taper=None, smooth=True, **placement):
    """Add a round rod through the points; ``taper`` scales the radius at each of them."""
    data = bpy.data.curves.new(name, "CURVE")
    data.dimensions, data.bevel_depth, data.bevel_resolution, data.use_fill_caps = "3D", radius, 4, True
    if smooth and len(points) > 2:
        spline = data.splines.new("BEZIER")
        spline.bezier_points.add(len(points) - 1)
        points_ = spline.bezier_points
        for knot, point in zip(points_, points):
            knot.co, knot.handle_left_type, knot.handle_right_type = point, "AUTO", "AUTO"
    else:
        spline = data.splines.new("POLY")
        spline.points.add(len(points) - 1)
        points_ = spline.points
        for knot, point in zip(points_, points):
            knot.co = (*point, 1)
    for knot, scale in zip(points_, taper or [1] * len(points)):
        knot.radius = scale
    spline.use_cyclic_u, spline.resolution_u, spline.use_smooth = closed, 12, True
    return _add_object(name, data, material, **placement)


def add_ring(name, centre, radius, thickness, material, count=48):
    """Add a torus in the x-z plane."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = [(centre[0] + radius * math.cos(t), centre[1], centre[2] + radius * math.sin(t)) for t in angles]
    return add_tube(name, points, thickness, material, closed=True)


def add_plane(name, size, material, cells=1, heights=None, **placement):
    """Add a flat or, with ``heights(x, y)``, hilly rectangle around its own origin."""
    x, y = (np.linspace(-s / 2, s / 2, cells + 1) for s in size)
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    z = np.zeros_like(grid_x) if heights is None else heights(grid_x, grid_y)
    i, j = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    start, row_length = i * (cells + 1) + j, cells + 1
    faces = np.stack([start, start + row_length, start + row_length + 1, start + 1], -1).reshape(-1, 4)
    verts = np.stack([grid_x, grid_y, z], -1).reshape(-1, 3)
    return add_mesh(name, verts, faces, material, smooth=True, **placement)


def add_blades(name, ground, height, width, material, seed=0):
    """Add grass: a bent blade at each (x, y) or (x, y, z) of ``ground``; ``height`` is the mean."""
    rng = np.random.default_rng(seed)
    ground = np.pad(np.asarray(ground, float), ((0, 0), (0, 3 - np.shape(ground)[1])))
    count = len(ground)
    heights = height * rng.lognormal(0, 0.3, count)
    bend, direction = rng.beta(2, 3, count) * 1.1, rng.uniform(0, 2 * np.pi, count)
    outward = np.stack([np.cos(direction), np.sin(direction), np.zeros(count)], 1)
    sideways = np.stack([-outward[:, 1], outward[:, 0], np.zeros(count)], 1)
    verts = []
    for t, w in ((0, 0.8), (0.4, 1.0), (0.75, 0.7), (1.0, 0.06)):
        middle = ground + outward * (bend * heights * t**2)[:, None]
        middle[:, 2] += heights * t * (1 - 0.35 * bend * t)
        half_width = sideways * (width * w * rng.uniform(0.35, 0.65, count))[:, None]
        verts += [middle - half_width, middle + half_width]
    faces = np.array([[0, 1, 3, 2], [2, 3, 5, 4], [4, 5, 7, 6]])
    step = 8 * np.arange(count)[:, None, None]
    return add_mesh(name, np.stack(verts, 1).reshape(-1, 3), (faces + step).reshape(-1, 4), material, smooth=True)


def add_leaves(name, centres, size, material, seed=0):
    """Add a folded leaf at each centre, at a random rotation."""
    rng = np.random.default_rng(seed)
    shape = np.array([[0, 0, 0], [0.32, 0.45, 0.1], [0, 1, -0.05], [-0.32, 0.45, 0.1]]) * size
    count = len(centres)
    leaves_ = shape[None] * rng.lognormal(0, 0.25, (count, 1, 1))
    rotations_ = rotations(rng.uniform(0, 2 * np.pi, (count, 3)) * [0.35, 0.35, 1])
    return add_mesh(name, *repeat_mesh(leaves_, np.array([[0, 1, 2], [0, 2, 3]]), centres, rotations_), material)


def ellipsoid_points(centres, radii, count, seed=0):
    """Return points near the surface of ellipsoids, such as the leaves of a bush or a tree crown."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, len(centres), count)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    distance = rng.uniform(0.45, 1.0, count) ** 0.4 * (1 + 0.12 * np.sin(directions * 9).sum(1))
    return np.asarray(centres)[index] + directions * distance[:, None] * np.asarray(radii)[index]


def icosphere(subdivisions):
    """Return vertices and triangles of an icosphere of radius 1."""
    mesh_data = bmesh.new()
    bmesh.ops.create_icosphere(mesh_data, subdivisions=subdivisions, radius=1)
    verts = np.array([v.co[:] for v in mesh_data.verts])
    faces = np.array([[v.index for v in f.verts] for f in mesh_data.faces])
    mesh_data.free()
    return verts, faces


def add_stones(name, ground, size, material, subdivisions=2, seed=0, thickness=(0.4, 0.75)):
    """Add pebbles (or tree crowns, with a larger ``thickness``): lumpy spheres at the (x, y, z) of ``ground``."""
    rng = np.random.default_rng(seed)
    verts, faces = icosphere(subdivisions)
    count = len(ground)
    waves = rng.normal(size=(count, 5, 3)) * 1.6
    bumps = np.sin(np.einsum("nwj,kj->nkw", waves, verts) + rng.uniform(0, 6, (count, 1, 5))).sum(2)
    shape = verts[None] * (1 + 0.09 * bumps[..., None])
    shape = shape * rng.uniform([0.7, 0.6, thickness[0]], [1.2, 1.0, thickness[1]], (count, 3))[:, None]
    shape = shape * (size * rng.lognormal(0, 0.35, count))[:, None, None]
    angles = rng.normal(0, 1, (count, 3)) * [0.35, 0.35, 4]
    return add_mesh(name, *repeat_mesh(shape, faces, ground, rotations(angles)), material, smooth=True)


def group(objects, location=(0, 0, 0), rotation=(0, 0, 0)):
    """Move objects that were built around the origin to a place, together."""
    pivot = bpy.data.objects.new("pivot", None)
    pivot.location, pivot.rotation_euler = location, rotation
    bpy.context.collection.objects.link(pivot)
    for object_ in objects:
        object_.parent = pivot
    return objects
