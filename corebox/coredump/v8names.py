"""What V8 exports for debuggers (its tools/gen-postmortem-metadata.py): offsets and types, under all their names.

``v8dbg_`` stands before each name.
"""

NAMES = {
    "shared": ("class_JSFunction__shared__SharedFunctionInfo",),
    "name": (
        "class_SharedFunctionInfo__name_or_scope_info__Object",
        "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_",
        "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_",
    ),
    "script": (
        "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
        "class_SharedFunctionInfo__script__Tagged_HeapObject_",
    ),
    "script_name": ("class_Script__name__Object",),
    "script_source": ("class_Script__source__Object",),
    "instance_type": ("class_Map__instance_type__uint16_t",),
    "length": ("class_String__length__int32_t",),
    "first": ("class_ConsString__first__String",),
    "second": ("class_ConsString__second__String",),
    "actual": ("class_ThinString__actual__String",),
    "parent": ("class_SlicedString__parent__String",),
    "start": ("class_SlicedString__offset__SMI",),
    "one_byte": ("class_SeqOneByteString__chars__char",),
    "two_byte": ("class_SeqTwoByteString__chars__char",),
    "bytecodes": ("class_BytecodeArray__data__uintptr_t",),
    "function_slot": ("off_fp_function",),
    "kind_slot": ("off_fp_context_or_frame_type",),
    "array_slot": ("off_fp_bytecode_array",),
    "offset_slot": ("off_fp_bytecode_offset",),
    "is_shared": ("type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE",),
    "is_script": ("type_Script__SCRIPT_TYPE",),
    "is_scope": ("type_ScopeInfo__SCOPE_INFO_TYPE",),
    "is_bytecode": ("type_BytecodeArray__BYTECODE_ARRAY_TYPE",),
    "is_bytes": ("type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE", "type_ByteArray__BYTE_ARRAY_TYPE"),
    "no_string": ("FirstNonstringType",),
    "kind_mask": ("StringRepresentationMask",),
    "sequential": ("SeqStringTag",),
    "cons": ("ConsStringTag",),
    "sliced": ("SlicedStringTag",),
    "thin": ("ThinStringTag",),
    "encoding_mask": ("StringEncodingMask",),
    "is_one_byte": ("OneByteStringTag",),
}

#: What holds the characters of a string outside the heap; behind it is where they are.
RESOURCE = "class_ExternalString__resource__Object"
