"""The kinds of goods in the studio: how each is built, posed, tagged and advertised."""

from collections.abc import Callable
from dataclasses import dataclass

from dev.studio import boards, drives_and_cases, gear, keyboards, peripherals
from dev.studio.mesh import Model
from dev.studio.textures import Random

_COMPUTERS = "computers & accessories"
_PERIPHERALS = ("computer accessories & peripherals", _COMPUTERS)
_COMPONENTS = ("computer components", _COMPUTERS)
_AUDIO = ("audio & video accessories", *_PERIPHERALS)


@dataclass(frozen=True, slots=True)
class Pose:
    """How a kind is usually photographed; ranges of degrees."""

    azimuth: tuple[float, float]  #: 0 from the front, positive from the left
    elevation: tuple[float, float]  #: 90 from straight above
    fill: tuple[float, float] = (0.8, 0.95)  #: share of the tighter image side


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of goods."""

    name: str
    build: Callable[[Random], Model]
    tags: tuple[str, ...]
    shop: Pose  #: on a shop's white sweep
    home: Pose  #: on a seller's desk
    titles: tuple[str, ...]
    words: tuple[str, ...]  #: what an honest seller tags it with
    shop_share: float = 0.6
    stands: bool = False  #: stands upright, so that a wall may be seen behind it
    aspect: float | None = None  #: width to height of its shop photos, where one is usual


KINDS: tuple[Kind, ...] = (
    Kind(
        "keyboard",
        keyboards.keyboard,
        _PERIPHERALS,
        shop=Pose((-15, 15), (50, 85)),
        home=Pose((-40, 40), (35, 75), (0.85, 1.15)),
        titles=(
            "Mechanical keyboard, barely used",
            "Slim office keyboard",
            "Keyboard with number pad",
            "Compact keyboard, one key sticks",
        ),
        words=("keyboard", "usb", "office"),
        shop_share=0.4,
    ),
    Kind(
        "mouse",
        peripherals.mouse,
        _PERIPHERALS,
        shop=Pose((-50, 50), (30, 65)),
        home=Pose((-60, 60), (35, 75), (0.65, 0.95)),
        titles=("Optical mouse", "Gaming mouse, 6 buttons", "Wireless mouse without receiver"),
        words=("mouse", "optical"),
        shop_share=0.3,
    ),
    Kind(
        "monitor",
        peripherals.monitor,
        (_COMPUTERS,),
        shop=Pose((-25, 25), (0, 10)),
        home=Pose((-30, 30), (2, 15), (0.85, 1.05)),
        titles=(
            "24 inch monitor, no dead pixels",
            "Office display with stand",
            "Monitor, scratch on the bezel",
        ),
        words=("monitor", "display", "24 inch"),
        stands=True,
    ),
    Kind(
        "laptop",
        peripherals.laptop,
        (_COMPUTERS,),
        shop=Pose((-25, 25), (12, 28)),
        home=Pose((-30, 30), (18, 35)),
        titles=("13 inch laptop, new battery", "Student laptop, works fine", "Netbook"),
        words=("laptop", "notebook"),
        stands=True,
        shop_share=0.5,
    ),
    Kind(
        "webcam",
        peripherals.webcam,
        _AUDIO,
        shop=Pose((-30, 30), (0, 20)),
        home=Pose((-30, 30), (5, 25), (0.6, 0.85)),
        titles=("HD webcam with clip", "USB webcam, 1080p"),
        words=("webcam", "usb", "video calls"),
        stands=True,
        shop_share=0.75,
    ),
    Kind(
        "graphics card",
        boards.graphics_card,
        _COMPONENTS,
        shop=Pose((-20, 20), (5, 25), (0.75, 0.9)),
        home=Pose((-30, 30), (25, 50)),
        titles=("Graphics card 8 GB", "GPU, two fans, dusted", "Gaming graphics card, boxed"),
        words=("gpu", "graphics card", "gaming"),
        shop_share=0.7,
    ),
    Kind(
        "memory",
        boards.memory,
        _COMPONENTS,
        shop=Pose((-8, 8), (78, 90), (0.85, 0.98)),
        home=Pose((-40, 40), (45, 80)),
        titles=("8 GB memory module", "16 GB RAM, tested", "Desktop RAM, matched pair: one left"),
        words=("ram", "memory", "ddr4"),
        shop_share=0.75,
    ),
    Kind(
        "motherboard",
        boards.motherboard,
        _COMPONENTS,
        shop=Pose((-1, 1), (86, 90), (0.7, 0.84)),
        home=Pose((-60, 60), (50, 88), (0.9, 1.2)),
        titles=("Motherboard with I/O shield", "ATX mainboard, working pull", "Micro-ATX board"),
        words=("motherboard", "mainboard", "atx"),
        aspect=1.0,
    ),
    Kind(
        "hard drive",
        drives_and_cases.hard_drive,
        _COMPONENTS,
        shop=Pose((-15, 15), (65, 90), (0.75, 0.92)),
        home=Pose((-60, 60), (40, 80), (0.8, 1.0)),
        titles=("2 TB hard drive, 300 hours", "SSD 500 GB", "Old hard drive for parts"),
        words=("hard drive", "storage", "sata"),
        shop_share=0.75,
    ),
    Kind(
        "processor",
        boards.processor,
        _COMPONENTS,
        shop=Pose((-4, 4), (84, 90), (0.7, 0.92)),
        home=Pose((-50, 50), (45, 85), (0.5, 0.9)),
        titles=("Quad-core processor", "CPU, no bent pins", "Processor, pulled from office PC"),
        words=("cpu", "processor"),
        shop_share=0.75,
    ),
    Kind(
        "computer case",
        drives_and_cases.computer_case,
        _COMPONENTS,
        shop=Pose((-10, 45), (5, 20)),
        home=Pose((0, 50), (5, 25), (0.9, 1.1)),
        titles=("Mid-tower case with glass side", "PC case with three fans", "Tower case, quiet"),
        words=("pc case", "tower", "fans"),
        shop_share=0.4,
        stands=True,
    ),
    Kind(
        "camera",
        gear.camera,
        ("camera & photo",),
        shop=Pose((-8, 8), (0, 8), (0.93, 1.0)),
        home=Pose((-25, 25), (5, 30)),
        titles=("Compact camera 12 MP", "Digital camera with charger", "Travel camera, 5x zoom"),
        words=("camera", "digital camera"),
        stands=True,
        shop_share=0.8,
        aspect=1.45,
    ),
    Kind(
        "headset",
        gear.headset,
        ("headphones", *_AUDIO),
        shop=Pose((-50, 50), (5, 25)),
        home=Pose((-60, 60), (15, 50)),
        titles=("Headset with microphone", "Over-ear headphones", "Gaming headset, new pads"),
        words=("headset", "headphones"),
        shop_share=0.5,
        stands=True,
    ),
    Kind(
        "speakers",
        gear.speakers,
        _AUDIO,
        shop=Pose((-25, 25), (2, 18)),
        home=Pose((-25, 25), (5, 25)),
        titles=("Pair of PC speakers", "Active desktop speakers", "Bookshelf speakers, 2 x 20 W"),
        words=("speakers", "audio"),
        shop_share=0.5,
        stands=True,
    ),
    Kind(
        "microphone",
        gear.microphone,
        _AUDIO,
        shop=Pose((-40, 40), (2, 18), (0.85, 0.97)),
        home=Pose((-40, 40), (5, 25), (0.75, 0.95)),
        titles=("USB microphone for streaming", "Desk microphone with stand"),
        words=("microphone", "usb", "streaming"),
        shop_share=0.0,
        stands=True,
    ),
    Kind(
        "backpack",
        gear.backpack,
        ("bags", "cases & sleeves", _COMPUTERS, "laptop accessories"),
        shop=Pose((-40, 40), (2, 15), (0.9, 0.98)),
        home=Pose((-35, 35), (5, 20)),
        titles=("Laptop backpack 15 inch", "Backpack, many pockets", "School backpack, washed"),
        words=("backpack", "bag", "laptop bag"),
        stands=True,
        shop_share=0.4,
        aspect=1.0,
    ),
)
