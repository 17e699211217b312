"""The settings of a fine-tuning run: a YAML file, checked before anything is computed.

Only what differs from the defaults has to be written; a wrong key or value is refused by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from simsearch.errors import InputError
from simsearch.images.preprocess import Preprocessing
from simsearch.runtime.user_files import one_is_a_list, read_yaml

Share = Field(default=0.0, ge=0, le=1)


class Edit(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One edit of a view.

    Attributes:
        edit: A perturbation's name with `{}` where its strength stands, as `rotation_{}_and_rescaling`; a fixed name
            as `chain_2`; a set (`paper`, `platform`), one of which is drawn each time; or a function of one's own,
            `module:function` or `module:function(opacity={})`.
        share: Of the images that it reaches.
        strength: Lowest and highest; drawn evenly for each image.
        log: Draw the logarithm evenly instead, as suits factors.
    """

    edit: str = Field(min_length=1)
    share: float = Field(default=1.0, gt=0, le=1)
    strength: tuple[float, float] | None = None
    log: bool = False

    @pydantic.model_validator(mode="after")
    def _strength_has_a_place(self) -> Edit:
        if ("{}" in self.edit) != (self.strength is not None):
            raise ValueError(f"{self.edit}: a name with {{}} takes `strength: [low, high]`, a name without takes none")
        if self.strength is not None and self.strength[0] > self.strength[1]:
            raise ValueError(f"{self.edit}: strength {list(self.strength)} is not [low, high]")
        if self.log and (self.strength is None or self.strength[0] <= 0):
            raise ValueError(f"{self.edit}: `log` takes a strength above 0")
        return self


class View(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How one of the two views of an image is made: its edits one after the other, as written.

    Attributes:
        edits: What may happen to the image.
        clean: Share of the images that are shown without any edit.
    """

    edits: tuple[Edit, ...] = ()
    clean: float = Share


class Views(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The two views that training brings together.

    Attributes:
        moderate: As the library holds an image: clean, or hardly edited.
        hard: As a copy comes back.
        mirror: Share of the images of which both views are mirrored, for variety.
        engine: `auto` makes an edit on the training's device where it has a tensor form, and by Pillow in worker
            processes where it has none; those by Pillow then come first. `pillow` makes all by Pillow, as written.
    """

    moderate: View = View()
    hard: View
    mirror: float = Field(default=0.5, ge=0, le=1)
    engine: Literal["auto", "pillow"] = "auto"


class Scratch(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A network that begins with random weights.

    Attributes:
        network: A module of `simsearch.extract.networks`.
        arguments: The family's arguments.
        preprocessing: How an image becomes pixels.
    """

    network: str = "resnet"
    arguments: dict[str, Any]
    preprocessing: Preprocessing


class Grown(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A model whose network is changed before it is trained on: it begins as like the model as can be.

    New blocks at the end of a stage pass on what they get; a stem for luminance takes the sum of the stem's colours.

    Attributes:
        model: Name or folder of a model.
        arguments: The family's arguments that change: `depths`, `luminance`, `scales`.
        preprocessing: How an image becomes pixels; by default as the model has it.
    """

    model: str
    arguments: dict[str, Any]
    preprocessing: Preprocessing | None = None


class Loss(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What is minimised.

    Attributes:
        temperature: Divisor of the similarities.
        similarity: Of the exported rows, `js` or `cosine`; by default as the card recommends.
        koleo: Weight of the entropy that spreads rows.
        mixup: Share of the batch from which blends with another image are made, copies of both in part.
        cutmix: Share of the batch from which pastes of another image are made, copies of both in part.
        bank: Rows of earlier batches that serve as negatives.
        both: Whether both views are trained. Otherwise rows of the moderate one, by the averaged weights, are only what
            hard ones are compared with, as in MoCo: a step costs a third less, and needs `ema`.
    """

    temperature: PositiveFloat = 0.05
    similarity: Literal["js", "cosine"] | None = None
    koleo: NonNegativeFloat = 0.3
    mixup: float = Share
    cutmix: float = Share
    bank: NonNegativeInt = 0
    both: bool = True


class Head(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The three-layer head of SimCLR v2, on whose output the loss is taken by cosine.

    Attributes:
        hidden: Width of its first two layers.
        output: Width of its last layer.
        keep: Its first layer becomes the exported row of a network that has none, as SimCLR v2 fine-tunes.
    """

    hidden: PositiveInt = 512
    output: PositiveInt = 128
    keep: bool = False


class Optimiser(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How weights move: AdamW under a warm-up and a cosine to zero.

    Attributes:
        rate: Highest learning rate, of the last part of the network.
        decay: Weight decay of matrices and kernels.
        layer_decay: Each part before the last learns at this factor of the rate of the part behind it.
        frozen: Beginnings of parameter names that do not move, as `stem` or `stages.0`.
        warm_up: Share of the run in which the rate rises.
        cool_down: Share of the run at its end in which the rate falls evenly to zero; by default it falls as a half
            cosine from the warm-up on. With 0 it stays, and a run may be left whenever it is good enough.
        clip: Greatest norm of the gradient; 0 for any.
    """

    rate: PositiveFloat = 1e-3
    decay: NonNegativeFloat = 0.02
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    frozen: tuple[str, ...] = ()
    warm_up: float = Field(default=0.05, ge=0, lt=1)
    cool_down: float | None = Field(default=None, ge=0, lt=1)
    clip: NonNegativeFloat = 5.0


class Validation(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What is kept out of training, to look at the run and to judge its end.

    Attributes:
        images: Photographs held out with all their edits; the network never trains on them.
        strangers: Photographs that are in no library, for the false-positive rate; by default half of those held out.
        most_strangers: How many of them are used, chosen by chance.
        edits: Names of edits, and the sets `paper` and `platform`; by default the hard view's, at both ends.
        fpr: By default what the number of strangers supports, but no less than 0.005.
        every: Steps between looks; 0 for none.
        patience: Looks without a better recall after which the run ends; 0 for no early stop.
    """

    images: PositiveInt = 100
    strangers: tuple[str, ...] = ()
    most_strangers: PositiveInt = 300
    edits: tuple[str, ...] = ()
    fpr: float | None = Field(default=None, gt=0, lt=1)
    every: NonNegativeInt = 0
    patience: NonNegativeInt = 0

    _lists = pydantic.field_validator("strangers", "edits", mode="before")(one_is_a_list)

    @pydantic.model_validator(mode="after")
    def _patience_needs_looks(self) -> Validation:
        if self.patience and not self.every:
            raise ValueError("`patience` counts looks; give `every`, the steps between them")
        return self


class Guard(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What the trained model must not lose.

    Attributes:
        edits: As in `validation`, beside the trained ones; their families are judged one by one.
        margin: Greatest fall of a family's recall at which a model is exported.
        draws: Of the bootstrap over source images.
    """

    edits: tuple[str, ...] = ("paper",)
    margin: float = Field(default=0.02, ge=0, le=1)
    draws: PositiveInt = 1000


class Distillation(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A larger model whose likeness between images the smaller one takes over.

    Attributes:
        teacher: Any model that gives one row of numbers an image: of the zoo, a folder, `timm:NAME`, `onnx:FILE`.
        weight: Against the contrastive loss.
        temperature: Divisor of the teacher's similarities.
    """

    teacher: str
    weight: PositiveFloat = 1.0
    temperature: PositiveFloat = 0.1


class LabelledPairs(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Labelled pairs: copies, and look-alikes.

    Attributes:
        file: A CSV with the columns a, b (paths, relative to the file) and copy (yes or no).
        batch: Pairs of each step.
        weight: Against the contrastive loss.
        margin: Similarity that a pair which is no copy should stay below.
    """

    file: Path
    batch: PositiveInt = 16
    weight: PositiveFloat = 1.0
    margin: float = Field(default=0.5, ge=-1, lt=1)


class Export(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Texts of the exported card.

    Attributes:
        name: What commands call the model.
        summary: One line.
        training_data: What it was trained on; by default the start's with the names of the folders.
        limits: By default the start's.
        licence: Of the weights; by default the start's.
    """

    name: str = Field(default="finetuned", pattern="^[a-z0-9][a-z0-9._-]*$")
    summary: str = ""
    training_data: str = ""
    limits: str = ""
    licence: str = ""


class FinetuneConfig(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One run.

    Attributes:
        start: Name or folder of a model, one whose network is changed first, or a network that begins at random.
        images: Folders, images or tars to train on.
        most_images: How many of them are used, chosen by chance; by default all.
        side: Longest side at which photographs are held; by default one and a half times the model's.
        views: How the two views are made.
        loss: What is minimised.
        head: A head on which the loss is taken; by default it is taken on the exported row.
        pooling: `avg` or `gem`; by default as the start has it.
        scales: Parts of the picture that the network sees one after the other; by default as the start has it.
        size: Side of the square that the network takes; by default as the start has it.
        batch: Images of a step, on each device.
        alike: Of these, groups of so many look alike as a whole (`simsearch.training.data.look_alikes`), so that
            strangers are harder to tell apart; a divisor of `batch`.
        accumulation: Batches of an optimiser's step.
        precision: `float32`, `bfloat16`, or by default what the device computes well.
        optimiser: How weights move.
        ema: Decay of the averaged weights, which are exported; 0 exports the last ones.
        steps: Length of the run.
        minutes: Its length in time instead.
        seed: Of all that is drawn.
        devices: Number of devices.
        workers: Processes that make edits by Pillow; by default one a core, 0 for none.
        validation: What is held out.
        guard: What must not be lost.
        distillation: A teacher.
        pairs: Labelled pairs.
        tensorboard: Write logs for TensorBoard too, not only `log.csv`.
        save_every: Seconds between saves of the run.
        output: Folder of the run, its report and the model.
        export: Texts of the exported card.
    """

    start: str | Grown | Scratch = "mini"
    images: tuple[str, ...] = Field(min_length=1)
    most_images: PositiveInt | None = None
    side: PositiveInt | None = None
    views: Views
    loss: Loss = Loss()
    head: Head | None = None
    pooling: Literal["avg", "gem"] | None = None
    scales: tuple[float, ...] | None = None
    size: PositiveInt | None = None
    batch: int = Field(default=64, ge=2)
    alike: PositiveInt = 1
    accumulation: PositiveInt = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    optimiser: Optimiser = Optimiser()
    ema: float = Field(default=0.0, ge=0, lt=1)
    steps: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    seed: NonNegativeInt = 0
    devices: PositiveInt = 1
    workers: NonNegativeInt | None = None
    validation: Validation = Validation()
    guard: Guard = Guard()
    distillation: Distillation | None = None
    pairs: LabelledPairs | None = None
    tensorboard: bool = True
    save_every: PositiveFloat = 60.0
    output: Path | None = None
    export: Export = Export()

    _lists = pydantic.field_validator("images", mode="before")(one_is_a_list)

    @pydantic.field_validator("scales")
    @classmethod
    def _scales_are_shares(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not (value and all(0 < scale <= 1 for scale in value)):
            raise ValueError(f"{list(value)} are no shares of a picture's sides; give numbers above 0 and at most 1")
        return value

    @property
    def start_model(self) -> str | None:
        """Name or folder of the model that training begins with; None where it begins at random."""
        if isinstance(self.start, Scratch):
            return None
        return self.start.model if isinstance(self.start, Grown) else self.start

    @pydantic.model_validator(mode="after")
    def _lengths_fit(self) -> FinetuneConfig:
        if self.batch % self.alike:
            raise ValueError(f"`alike` is {self.alike}, and a batch of {self.batch} is no multiple of it")
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either `steps` or `minutes`")
        return self

    @pydantic.model_validator(mode="after")
    def _views_are_trained(self) -> FinetuneConfig:
        if self.distillation and not self.loss.both:
            raise ValueError("`distillation` acts on the moderate view, which `loss: {both: false}` does not train")
        if not self.loss.both and not self.ema:
            raise ValueError("`loss: {both: false}` compares with rows of averaged weights: give `ema`, as 0.99")
        return self


def config_of(values: dict[str, Any], *, source: str = "settings") -> FinetuneConfig:
    """Return the settings with these values.

    Args:
        values: As the YAML file has them.
        source: What the message of an error begins with.

    Raises:
        InputError: A key or value is not allowed; it is named.

    Example:
        >>> config_of({"images": "photos", "steps": 10, "views": {"hard": {"edits": [{"edit": "chain_2"}]}}}).batch
        64
    """
    try:
        return FinetuneConfig.model_validate(values)
    except pydantic.ValidationError as error:
        # Of a value that may be one of several kinds, the fault lies where the path is longest.
        worst = max(error.errors(), key=lambda fault: len(fault["loc"]))
        where = ".".join(str(key) for key in worst["loc"] if str(key) not in ("str", "Grown", "Scratch"))
        message = worst["msg"].removeprefix("Value error, ")
        if worst["type"] == "extra_forbidden":
            message = "there is no such setting"
        raise InputError(f"{source}: {where or 'it'}: {message}; docs/finetuning.md lists what can be set") from error


def read_config(path: Path) -> FinetuneConfig:
    """Return the settings in a YAML file.

    Raises:
        InputError: The file cannot be read, or a key or value is not allowed; it is named.
    """
    return config_of(read_yaml(path), source=str(path))
