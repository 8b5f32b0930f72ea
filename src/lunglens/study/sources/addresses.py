"""Where the sets that are published as many files lie: NIH's archives, NLM's single films.

NIH: https://nihcc.app.box.com/v/ChestXray-NIHCC (its batch_download_zips.py names the archives, its FAQ their sums).
NLM: https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/index.html. What follows "#" in an
address is the file's place in the data set.
"""

from lunglens.study.sources.registry import Download

_BOX = "https://nihcc.app.box.com"
_NLM = "https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets"
# Name in Box and MD5 of images_001.tar.gz ... images_012.tar.gz.
_NIH_ARCHIVES = (
    ("vfk49d74nhbxq3nqjg0900w5nvkorp5c", "fe8ed0a6961412fddcbb3603c11b3698"),
    ("i28rlmbvmfjbl8p2n3ril0pptcmcu9d1", "ab07a2d7cbe6f65ddd97b4ed7bde10bf"),
    ("f1t00wrtdk94satdfb9olcolqx20z2jp", "2301d03bde4c246388bad3876965d574"),
    ("0aowwzs5lhjrceb3qp67ahp0rd1l1etg", "9f1b7f5aae01b13f4bc8e2c44a4b8ef6"),
    ("v5e3goj22zr6h8tzualxfsqlqaygfbsn", "1861f3cd0ef7734df8104f2b0309023b"),
    ("asi7ikud9jwnkrnkj99jnpfkjdes7l6l", "456b53a8b351afd92a35bc41444c58c8"),
    ("jn1b4mw4n6lnh74ovmcjb8y48h8xj07n", "1075121ea20a137b87f290d6a4a5965e"),
    ("tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j", "b61f34cec3aa69f295fbb593cbd9d443"),
    ("upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj", "442a3caa61ae9b64e61c561294d1e183"),
    ("l6nilvfa9cg3s28tqv1qc1olm3gnz54p", "09ec81c4c31e32858ad8cf965c494b74"),
    ("hhq8fkdgvcari67vfhs7ppg2w6ni4jze", "499aefc67207a5a97692424cf5dbeed5"),
    ("ioqwiy20ihqwyr8pf4c24eazhh281pbu", "dc9fda1757c2de0032b63347a7d2895c"),
)
_NIH_TABLE = (
    f"{_BOX}/index.php?rm=box_download_shared_file&vanity_name=ChestXray-NIHCC&file_id=f_219760887468"
    "#Data_Entry_2017_v2020.csv"
)
_MONTGOMERY_NORMAL = "1-6 8 11 13 15-17 19-24 26-31 35 38 40-49 51-64 68-72 74-75 77 79-87 89-92 94-97 99-103"
_MONTGOMERY_TUBERCULOSIS = (
    "104 108 113 117 126 140-142 144 150 162 166 170 173 182 188 194-196 203 213 218 223 228 243 251 253-255 258 264 "
    "266 275 282 289 294 301 309 311 313 316 331 334 338 348 350 352 354 362 367 369 372 375 383 387 390 393 399"
)
_FILMS = ("CXR_png", "png")
_READINGS = ("ClinicalReadings", "txt")
_LUNGS = (("ManualMask/leftMask", "png"), ("ManualMask/rightMask", "png"))


def nih_download() -> Download:
    """Twelve archives and the table: 45 GB."""
    archives = [(f"images_{index:03d}.tar.gz", *archive) for index, archive in enumerate(_NIH_ARCHIVES, 1)]
    urls = [f"{_BOX}/shared/static/{name}.gz#{file}" for file, name, _ in archives]
    sums = tuple((file, f"md5:{md5}") for file, _, md5 in archives)
    return Download("http", (_NIH_TABLE, *urls), 45_100_000_000, sums)


def montgomery_download() -> Download:
    """138 films, 276 masks, 138 readings, one file each."""
    names = [f"MCUCXR_{number:04d}_0" for number in _numbers(_MONTGOMERY_NORMAL)]
    names += [f"MCUCXR_{number:04d}_1" for number in _numbers(_MONTGOMERY_TUBERCULOSIS)]
    base = f"{_NLM}/Montgomery-County-CXR-Set/MontgomerySet"
    return Download("http", _addresses(base, names, (_FILMS, *_LUNGS, _READINGS)), 700_000_000)


def shenzhen_download() -> Download:
    """662 films (the first 326 normal) and 662 readings, one file each."""
    names = [f"CHNCXR_{number:04d}_{int(number > 326)}" for number in range(1, 663)]
    return Download("http", _addresses(f"{_NLM}/Shenzhen-Hospital-CXR-Set", names, (_FILMS, _READINGS)), 3_700_000_000)


def _numbers(ranges: str) -> list[int]:
    ends = [part.split("-") for part in ranges.split()]
    return [number for end in ends for number in range(int(end[0]), int(end[-1]) + 1)]


def _addresses(base: str, names: list[str], folders: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    places = [f"{folder}/{name}.{ending}" for folder, ending in folders for name in names]
    return tuple(f"{base}/{place}#{place}" for place in places)
