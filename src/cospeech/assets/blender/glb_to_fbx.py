"""Run by Blender, or by a Python that has `bpy`: blender --background --python glb_to_fbx.py -- IN.glb OUT.fbx SETTINGS

SETTINGS is JSON: `fps`, `glb_fps` (a whole number, at which IN.glb has its keys), `frames`, and `metadata`, which
becomes custom properties of the armature. For Blender 3.3 and newer.
"""

import json
import sys

import bpy  # pyright: ignore[reportMissingImports]


def main(source, target, settings):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for addon in ("io_scene_gltf2", "io_scene_fbx"):
        bpy.ops.preferences.addon_enable(module=addon)
    scene = bpy.context.scene
    scene.render.fps = settings["glb_fps"]  # before the import, which turns seconds into frames
    # Joints keep their own axes: no guess of where bones point.
    bpy.ops.import_scene.gltf(filepath=source, bone_heuristic="BLENDER", guess_original_bind_pose=False)
    scene.render.fps_base = settings["glb_fps"] / settings["fps"]
    scene.frame_start, scene.frame_end = 0, max(0, settings["frames"] - 1)
    armatures = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    for armature in armatures:
        for name, value in settings["metadata"].items():
            armature[name] = value
    # The shape in which newer importers draw bones is no part of the scene.
    for shape in {bone.custom_shape for armature in armatures for bone in armature.pose.bones} - {None}:
        bpy.data.objects.remove(shape)
    bpy.ops.export_scene.fbx(
        filepath=target,
        object_types={"ARMATURE", "EMPTY", "MESH"},
        path_mode="COPY",
        embed_textures=True,
        apply_scale_options="FBX_SCALE_ALL",  # the file is in metres and says so
        axis_forward="-Z",
        axis_up="Y",
        add_leaf_bones=False,
        mesh_smooth_type="OFF",
        use_custom_props=True,
        bake_anim=settings["frames"] > 0,
        bake_anim_use_all_bones=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_simplify_factor=0.0,  # a key at each frame
    )


arguments = sys.argv[sys.argv.index("--") + 1 :]
main(arguments[0], arguments[1], json.loads(arguments[2]))
