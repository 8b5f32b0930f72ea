"""How files become gray pixels, format by format; `lunglens.film.radiograph` is the way in.

kinds: what a file is, by its first bytes. dicom_file: a DICOM file's elements. dicom_kind: whether it can be a
radiograph. dicom_header, body_part: what its header says. dicom_pixels, codestream: its stored values. dicom_gray: from
these to gray. jsrt_img: the JSRT database's films. values: what all formats share.
apart, decoding_process: all decoders that are written in C run in a process of their own: raster (PNG, JPEG and TIFF)
and decoders (codestreams of DICOM files).
Nothing here knows a path or a file's name.
"""
